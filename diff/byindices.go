package diff

import (
	"fmt"
	"hash"
	"reflect"

	"github.com/chewxy/hm"
	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/opcall"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// byIndices takes slices of x along an axis. Gorgonia's derivative of it is right only
// along axis 0 of two axes or more, and has no derivative itself.
type byIndices struct{ G.SDOp }

func (op byIndices) SymDiff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	axis := int(reflect.ValueOf(op.SDOp).Elem().FieldByName("axis").Int())
	d, err := G.ApplyOp(&scatter{shape: in[0].Shape().Clone(), axis: axis}, grad, in[1])
	return G.Nodes{d, nil}, err
}

// scatter is the transpose of byIndices: it adds its first input to zeros of a shape, at
// the indices along an axis that its second input has.
type scatter struct {
	opcall.Pure
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
	at, ok := vs[1].Data().([]int)
	if !ok {
		return nil, fmt.Errorf("diff: %v: the indices are %T, want ints", o, vs[1].Data())
	}
	if vs[0].Dtype() == tensor.Float32 {
		return scattered[float32](o, vs[0], at)
	}
	return scattered[float64](o, vs[0], at)
}

func scattered[T dense.Float](o *scatter, v G.Value, at []int) (G.Value, error) {
	from, err := dense.Elements[T]("diff: "+o.String(), "the gradient", v)
	if err != nil {
		return nil, err
	}
	to := make([]T, o.shape.TotalSize())
	size, inner := o.shape[o.axis], o.shape[o.axis+1:].TotalSize()
	for i, e := range from {
		row := i / inner
		outer, k := row/len(at), row%len(at)
		to[(outer*size+at[k])*inner+i%inner] += e
	}
	return dense.New(o.shape, to), nil
}

// DiffWRT is true for the first input only, which is the one that is added.
func (o *scatter) DiffWRT(int) []bool { return []bool{true, false} }

func (o *scatter) SymDiff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	d, err := G.ByIndices(grad, in[1], o.axis)
	return G.Nodes{d, nil}, err
}

func (o *scatter) String() string        { return fmt.Sprintf("scatter%v along %d", o.shape, o.axis) }
func (o *scatter) WriteHash(h hash.Hash) { fmt.Fprintf(h, "diff.%v", o) }
func (o *scatter) Hashcode() uint32      { return opcall.Hashcode(o) }
