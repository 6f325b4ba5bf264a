package ops

import (
	"slices"
	"strings"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// gradOp is the gradient of a forward op: a function of (inputs..., dy) that is packed
// into a vector, and has a derivative itself.
type gradOp[T dense.Float] interface {
	G.SDOp

	// second returns the gradients of ⟨u, packed⟩ with respect to all inputs that have
	// one, packed one after the other into a vector from mem.
	second(mem *memory[T], u []T, vs []G.Value) (*tensor.Dense, error)
}

// secondOp is the derivative of a gradient op. Its inputs are those of that op and u, the
// gradient of its packed result. It has no derivative.
type secondOp[T dense.Float] struct {
	lastOrder
	of  gradOp[T]
	mem memory[T]
}

// secondOf returns the derivative of a gradient op, whose base is b.
func secondOf[T dense.Float](b *base, of gradOp[T], reuse bool) gradient {
	in := append(slices.Clone(b.inputs), inputSpec{name: upstreamGradient, rank: 1})
	op := &secondOp[T]{
		lastOrder: lastOrder{newBase[T](strings.Replace(b.label, "Grad(", "Second(", 1), 1, in...)},
		of:        of, mem: memory[T]{reuse: reuse},
	}
	return gradientOf(b, op, in, reuse)
}

// InferShape returns the length of the packed gradients.
func (o *secondOp[T]) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	n := 0
	for i, differentiable := range o.of.DiffWRT(o.Arity() - 1) {
		if !differentiable {
			continue
		}
		s, err := shapeOf(o.label, in, i)
		if err != nil {
			return nil, err
		}
		n += s.TotalSize()
	}
	return tensor.Shape{n}, nil
}

// Do returns the packed gradients.
func (o *secondOp[T]) Do(vs ...G.Value) (_ G.Value, err error) {
	defer guard(o, &err)
	if err := o.checkCount(vs); err != nil {
		return nil, err
	}
	last := len(vs) - 1
	u, err := input[T](&o.base, vs, last)
	if err != nil {
		return nil, err
	}
	out, err := o.of.second(&o.mem, u, vs[:last])
	if err != nil {
		return nil, err
	}
	return out, nil
}

// upstreamGradient is what errors call the u of a secondOp.
const upstreamGradient = "the gradient of the result"

// checkUpstream checks the length of the gradient of a packed vector.
func checkUpstream[T dense.Float](op string, u []T, want int) error {
	if len(u) != want {
		return fault.New(fault.ErrValue, op, "%s has %d elements, want %d", upstreamGradient, len(u), want)
	}
	return nil
}

// secondParts cuts the packed second derivative of a norm. gamma is the number of
// elements of γ, or 0.
func secondParts[T dense.Float](packed []T, n, gamma int) (g kernel.SecondGrads[T]) {
	g.X, g.DY = packed[:n:n], packed[n+gamma:]
	if gamma > 0 {
		g.Gamma = packed[n : n+gamma : n+gamma]
	}
	return g
}

var (
	_ gradOp[float32] = (*normGradOp[float32])(nil)
	_ gradOp[float32] = (*batchNormGradOp[float32])(nil)
	_ gradOp[float32] = (*weightNormGradOp[float32])(nil)
	_ gradOp[float32] = (*linearGradOp[float32])(nil)
	_ G.SDOp          = (*secondOp[float32])(nil)
	_ G.ADOp          = (*secondOp[float32])(nil)
)
