package diff

import (
	"fmt"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// expression builds expressions of nodes. After the first error, kept in err, its results
// are nil.
type expression struct{ err error }

func (e *expression) exp(a *G.Node) *G.Node      { return e.unary(G.Exp, a) }
func (e *expression) neg(a *G.Node) *G.Node      { return e.unary(G.Neg, a) }
func (e *expression) plus(a, b *G.Node) *G.Node  { return e.binary(G.Add, a, b) }
func (e *expression) minus(a, b *G.Node) *G.Node { return e.binary(G.Sub, a, b) }
func (e *expression) times(a, b *G.Node) *G.Node { return e.binary(G.HadamardProd, a, b) }
func (e *expression) over(a, b *G.Node) *G.Node  { return e.binary(G.HadamardDiv, a, b) }

// transposed returns a with its axes in the given order, or reversed if none is given.
func (e *expression) transposed(a *G.Node, order ...int) *G.Node {
	if order != nil && slices.IsSorted(order) {
		return a
	}
	return e.unary(func(a *G.Node) (*G.Node, error) { return G.Transpose(a, order...) }, a)
}

func (e *expression) reshaped(a *G.Node, shape ...int) *G.Node {
	return e.unary(func(a *G.Node) (*G.Node, error) { return G.Reshape(a, shape) }, a)
}

// sum returns the sum along an axis, repeated along it to the shape of a.
func (e *expression) sum(a *G.Node, axis int) *G.Node {
	return e.unary(func(a *G.Node) (*G.Node, error) {
		s, err := sumAlong(a, axis)
		if err != nil {
			return nil, err
		}
		one := a.Shape().Clone()
		one[axis] = 1
		if s, err = G.Reshape(s, one); err != nil {
			return nil, err
		}
		s, _, err = G.Broadcast(s, a, G.NewBroadcastPattern([]byte{byte(axis)}, nil))
		return s, err
	}, a)
}

func (e *expression) unary(op func(a *G.Node) (*G.Node, error), a *G.Node) (n *G.Node) {
	if e.err == nil {
		n, e.err = op(a)
	}
	return n
}

func (e *expression) binary(op func(a, b *G.Node) (*G.Node, error), a, b *G.Node) (n *G.Node) {
	if e.err == nil {
		n, e.err = op(a, b)
	}
	return n
}

// constant returns a scalar in the graph of like, with its dtype. Gorgonia merges
// constants by their names alone, so the name has to say the dtype.
func constant(like *G.Node, name string, x float64) *G.Node {
	var v G.Value = G.NewF64(x)
	if like.Dtype() == tensor.Float32 {
		v = G.NewF32(float32(x))
	}
	return like.Graph().AddNode(G.NewConstant(v, G.WithName(fmt.Sprintf("diff.%s of %v", name, like.Dtype()))))
}
