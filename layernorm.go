package norm

import (
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
	axesLayer
	cfg ops.LayerNormConfig
}

// NewLayerNorm makes a layer for inputs (..., shape) of a dtype. Options:
// WithName, WithAxes (the trailing ones), WithEps (1e-5), WithScaleInit (1),
// WithBiasInit (0), WithoutAffine, WithoutScale, WithoutBias, WithUnbiasedStd,
// WithReuse.
//
// Errors: ErrGraph, ErrDtype, ErrShape, ErrOption, ErrName, and ErrValue for an
// initial value that does not fit. After an error the graph is as it was.
func NewLayerNorm(g *G.ExprGraph, dt tensor.Dtype, shape tensor.Shape, opts ...LayerNormOption) (*LayerNorm, error) {
	c := configure(opts)
	l, err := newAxesLayer("layernorm", g, dt, shape, c)
	if err != nil {
		return nil, err
	}
	if err := l.addAffine(shape, c); err != nil {
		return nil, err
	}
	l.done()
	return &LayerNorm{l, ops.LayerNormConfig{Eps: c.eps, UnbiasedStd: c.unbiasedStd, Reuse: c.reuse}}, nil
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
		return l.named(ops.LayerNorm(x, l.Learnable("gamma"), l.Learnable("beta"), l.shape, l.cfg))
	}
	return l.named(ops.LayerNormAxes(x, l.Learnable("gamma"), l.Learnable("beta"), l.axes, l.cfg))
}

// FwdResidual returns the normalized sum x + r, and the sum; see
// ops.AddLayerNorm.
//
// Errors: ErrGraph, ErrDtype, ErrShape, and ErrOption if WithAxes names axes other
// than the trailing ones.
func (l *LayerNorm) FwdResidual(x, r *G.Node) (y, sum *G.Node, err error) {
	if err := l.checkResidual(x, r); err != nil {
		return nil, nil, err
	}
	return l.namedSum(ops.AddLayerNorm(x, r, l.Learnable("gamma"), l.Learnable("beta"), l.shape, l.cfg))
}

// In returns the same layer in another graph: γ and β are the same storage, so
// a solver's step in one graph is seen in the other.
//
// Errors: ErrGraph, ErrName, ErrValue.
func (l *LayerNorm) In(g *G.ExprGraph) (*LayerNorm, error) {
	other, err := l.inGraph(g)
	if err != nil {
		return nil, err
	}
	return &LayerNorm{other, l.cfg}, nil
}
