package norm

import (
	"slices"

	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// LayerNorm normalizes over the trailing axes of its input, each sample by
// itself:
//
//	y = (x − mean)/√(variance + eps)·γ + β
//
// with the mean and the biased variance over those axes. It is the same in
// training and evaluation and for any batch size; choose it for recurrent
// networks, for sequences and for small batches. ops.LayerNorm has the details.
// WithAxes normalizes over other axes, such as the channels of (N, C, H, W); see
// ops.LayerNormAxes.
//
// Parameters: name.gamma, 1 at first, and name.beta, 0 at first, both of the
// normalized shape.
//
// Ba, Kiros, Hinton, "Layer Normalization", 2016, arXiv:1607.06450v1.
type LayerNorm struct {
	layer
	shape tensor.Shape
	axes  []int // nil: the trailing ones
	cfg   ops.LayerNormConfig
}

// NewLayerNorm makes a layer for inputs (..., shape) of a dtype. Options:
// WithName, WithAxes (the trailing ones), WithEps (1e-5), WithoutAffine,
// WithoutScale, WithoutBias, WithUnbiasedStd, WithReuse.
//
// Errors: ErrGraph, ErrDtype, ErrShape, ErrOption, ErrName. After an error the
// graph is as it was.
func NewLayerNorm(g *G.ExprGraph, dt tensor.Dtype, shape tensor.Shape, opts ...LayerNormOption) (*LayerNorm, error) {
	const kind = "layernorm"
	c := configure(opts)
	l, err := newLayer(kind, g, dt, c.name, affineSuffixes(c)...)
	if err != nil {
		return nil, err
	}
	if err := fault.NormalizedShape(kind, shape); err != nil {
		return nil, err
	}
	if err := fault.Eps(kind, c.eps); err != nil {
		return nil, err
	}
	if c.hasAxes && len(c.axes) != len(shape) {
		return nil, fault.New(ErrShape, kind, "the axes are %v for the normalized shape %v, want an axis for each size", c.axes, shape)
	}
	l.addAffine(shape)
	l.done()
	return &LayerNorm{l, shape.Clone(), c.axes, ops.LayerNormConfig{Eps: c.eps, UnbiasedStd: c.unbiasedStd, Reuse: c.reuse}}, nil
}

// Fwd returns the normalized x, which has the shape (..., shape), or the sizes of
// shape in the axes of WithAxes.
//
// Errors: ErrGraph, ErrDtype, ErrShape.
func (l *LayerNorm) Fwd(x *G.Node) (*G.Node, error) {
	if err := l.checkInput(x); err != nil {
		return nil, err
	}
	if l.axes == nil {
		return l.named(ops.LayerNorm(x, l.param("gamma"), l.param("beta"), l.shape, l.cfg))
	}
	if err := l.checkAxes(x.Shape()); err != nil {
		return nil, err
	}
	return l.named(ops.LayerNormAxes(x, l.param("gamma"), l.param("beta"), l.axes, l.cfg))
}

// checkAxes checks that the axes of x have the sizes of the layer, which the op
// cannot know without γ and β.
func (l *LayerNorm) checkAxes(x tensor.Shape) error {
	var sorted [8]int // on the stack, for Eval
	axes, err := fault.AppendAxes(sorted[:0], l.kind, x, l.axes)
	if err != nil {
		return nil // the op finds it too
	}
	for i, a := range axes {
		if x[a] != l.shape[i] {
			return fault.New(ErrShape, l.kind, "x is %v, want %v in the axes %v", x, l.shape, slices.Clone(axes))
		}
	}
	return nil
}

// In returns the same layer in another graph: γ and β are the same storage, so
// a solver's step in one graph is seen in the other.
//
// Errors: ErrGraph, ErrName, ErrValue.
func (l *LayerNorm) In(g *G.ExprGraph) (*LayerNorm, error) {
	other, err := l.in(g)
	if err != nil {
		return nil, err
	}
	return &LayerNorm{other, l.shape, l.axes, l.cfg}, nil
}

// FwdResidual returns the normalized sum x + r, and the sum; see
// ops.AddLayerNorm.
//
// Errors: ErrGraph, ErrDtype, ErrShape.
func (l *LayerNorm) FwdResidual(x, r *G.Node) (y, sum *G.Node, err error) {
	if err := l.checkInput(x); err != nil {
		return nil, nil, err
	}
	return l.namedSum(ops.AddLayerNorm(x, r, l.param("gamma"), l.param("beta"), l.shape, l.cfg))
}
