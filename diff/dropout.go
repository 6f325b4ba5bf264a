package diff

import (
	"fmt"
	"hash"
	"reflect"

	"github.com/chewxy/hm"
	"github.com/gorgonorm/norm/internal/opcall"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// dropout keeps an element with a probability of 1 − p and divides it by that. In
// evaluation it does nothing. Gorgonia's derivative divides by p instead, and does so in
// evaluation too.
type dropout struct{ G.SDOp }

func (op dropout) SymDiff(in G.Nodes, out, grad *G.Node) (G.Nodes, error) {
	d, err := G.ApplyOp(&dropoutGrad{of: op.SDOp}, out, grad)
	return G.Nodes{d}, err
}

// dropoutGrad is the gradient of dropout, from its result y and the gradient of y.
// Gorgonia keeps no mask, so an element counts as dropped where y is 0.
type dropoutGrad struct {
	opcall.Pure
	of G.SDOp // a machine sets its mode
}

func (o *dropoutGrad) Arity() int { return 2 }

func (o *dropoutGrad) Type() hm.Type {
	a := hm.TypeVariable('a')
	return hm.NewFnType(a, a, a)
}

func (o *dropoutGrad) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	return in[0].(tensor.Shape).Clone(), nil
}

func (o *dropoutGrad) Do(vs ...G.Value) (G.Value, error) {
	y, ok := vs[0].(*tensor.Dense)
	grad, ok2 := vs[1].(*tensor.Dense)
	if !ok || !ok2 {
		return nil, fmt.Errorf("diff: %v: got %T and %T, want dense tensors", o, vs[0], vs[1])
	}
	of := reflect.ValueOf(o.of).Elem()
	p := of.FieldByName("probability").Float()
	if p == 0 || !of.FieldByName("isTraining").Bool() {
		return grad.Clone().(*tensor.Dense), nil
	}
	zero, scale := any(0.0), any(1/(1-p))
	if y.Dtype() == tensor.Float32 {
		zero, scale = float32(0), float32(1/(1-p))
	}
	kept, err := tensor.ElNe(y, zero, tensor.AsSameType()) // 1 and 0
	if err != nil {
		return nil, err
	}
	if kept, err = tensor.Mul(kept, scale, tensor.UseUnsafe()); err != nil {
		return nil, err
	}
	return tensor.Mul(kept, grad, tensor.UseUnsafe())
}

// DiffWRT is true for the gradient only.
func (o *dropoutGrad) DiffWRT(int) []bool { return []bool{false, true} }

func (o *dropoutGrad) SymDiff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	d, err := G.ApplyOp(o, in[0], grad)
	return G.Nodes{nil, d}, err
}

// DoDiff adds to the gradient of the second input.
func (o *dropoutGrad) DoDiff(_ G.ExecutionContext, in G.Nodes, out *G.Node) error {
	d, err := out.Grad()
	if err != nil {
		return err
	}
	if d, err = o.Do(in[0].Value(), d); err != nil {
		return err
	}
	return addGrad(in[1], d)
}

func (o *dropoutGrad) String() string        { return fmt.Sprintf("gradient of %v", o.of) }
func (o *dropoutGrad) WriteHash(h hash.Hash) { fmt.Fprintf(h, "diff.dropoutGrad(%p)", o.of) }
func (o *dropoutGrad) Hashcode() uint32      { return opcall.Hashcode(o) }
