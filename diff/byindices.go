package diff

import (
	"fmt"
	"hash"
	"hash/fnv"
	"reflect"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// byIndices takes some of x along an axis. Its own derivative is right along axis 0 of two
// axes or more only, and has none itself.
type byIndices struct{ G.SDOp }

func (op byIndices) SymDiff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	axis := int(reflect.ValueOf(op.SDOp).Elem().FieldByName("axis").Int())
	d, err := G.ApplyOp(&scatter{in[0].Shape().Clone(), axis}, grad, in[1])
	return G.Nodes{d, nil}, err
}

// scatter is the transposed of byIndices: zeros of a shape, to which the first input is
// added along an axis, where the second one says.
type scatter struct {
	shape tensor.Shape
	axis  int
}

func (o *scatter) Arity() int { return 2 }

func (o *scatter) Type() hm.Type {
	t := G.TensorType{Dims: len(o.shape), Of: hm.TypeVariable('a')}
	return hm.NewFnType(t, G.TensorType{Dims: 1, Of: tensor.Int}, t)
}

func (o *scatter) InferShape(...G.DimSizer) (tensor.Shape, error) { return o.shape.Clone(), nil }

func (o *scatter) Do(vs ...G.Value) (G.Value, error) {
	grad, ok := vs[0].(*tensor.Dense)
	at, ok2 := vs[1].Data().([]int)
	if !ok || !ok2 {
		return nil, fmt.Errorf("diff: %v: got %T and %T, want dense tensors, the second one of ints", o, vs[0], vs[1])
	}
	out := tensor.New(tensor.Of(grad.Dtype()), tensor.WithShape(o.shape...))
	size, inner := o.shape[o.axis], o.shape[o.axis+1:].TotalSize()
	switch from := tensor.Materialize(grad).Data().(type) {
	case []float32:
		addAt(out.Data().([]float32), from, at, size, inner)
	case []float64:
		addAt(out.Data().([]float64), from, at, size, inner)
	default:
		return nil, fmt.Errorf("diff: %v: got %T, want floats", o, from)
	}
	return out, nil
}

// addAt adds rows of inner elements to those of a longer or shorter axis, of a size.
func addAt[T float32 | float64](to, from []T, at []int, size, inner int) {
	for i, v := range from {
		row := i / inner
		outer, k := row/len(at), row%len(at)
		to[(outer*size+at[k])*inner+i%inner] += v
	}
}

// DiffWRT is true for what is added.
func (o *scatter) DiffWRT(int) []bool { return []bool{true, false} }

func (o *scatter) SymDiff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	d, err := G.ByIndices(grad, in[1], o.axis)
	return G.Nodes{d, nil}, err
}

func (o *scatter) ReturnsPtr() bool      { return false }
func (o *scatter) CallsExtern() bool     { return false }
func (o *scatter) OverwritesInput() int  { return -1 }
func (o *scatter) String() string        { return fmt.Sprintf("scatter%v along %d", o.shape, o.axis) }
func (o *scatter) WriteHash(h hash.Hash) { fmt.Fprintf(h, "diff.%v", o) }

func (o *scatter) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}
