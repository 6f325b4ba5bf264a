package norm

import (
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// RMSNorm divides its input by the root of its mean square over the trailing
// axes, each sample by itself:
//
//	y = x/√(Σx²/n + eps)·γ
//
// It is layer norm without the mean: cheaper, and common in transformers.
// ops.RMSNorm has the details. WithAxes takes the mean square over other axes, such
// as the channels of (N, C, H, W); see ops.RMSNormAxes.
//
// Parameter: name.gamma, of the normalized shape, 1 at first; with
// WithScalePlusOne the scale is 1 + γ and γ is 0 at first.
//
// Zhang, Sennrich, "Root Mean Square Layer Normalization", 2019,
// arXiv:1910.07467v1.
type RMSNorm struct {
	axesLayer
	cfg ops.RMSNormConfig
}

// NewRMSNorm makes a layer for inputs (..., shape) of a dtype. Options:
// WithName, WithAxes (the trailing ones), WithEps (1e-5; PyTorch's default is the
// dtype's machine epsilon), WithScaleInit (1, or 0 WithScalePlusOne), WithoutScale
// or WithoutAffine, WithScalePlusOne, WithReuse.
//
// Errors: ErrGraph, ErrDtype, ErrShape, ErrOption, ErrName, and ErrValue for an
// initial value that does not fit. After an error the graph is as it was.
func NewRMSNorm(g *G.ExprGraph, dt tensor.Dtype, shape tensor.Shape, opts ...RMSNormOption) (*RMSNorm, error) {
	c := configure(opts)
	c.noBias = true
	l, err := newAxesLayer("rmsnorm", g, dt, shape, c)
	if err != nil {
		return nil, err
	}
	if c.plusOne && !c.gamma() {
		return nil, fault.New(ErrOption, l.label, "WithScalePlusOne and WithoutScale, want at most one of them")
	}
	if err := l.addAffine(shape, c); err != nil {
		return nil, err
	}
	l.done()
	return &RMSNorm{l, ops.RMSNormConfig{Eps: c.eps, ScalePlusOne: c.plusOne, Reuse: c.reuse}}, nil
}

// Fwd returns the scaled x, which has the shape (..., shape), or the sizes of shape
// in the axes of WithAxes.
//
// Errors: ErrGraph, ErrDtype, ErrShape.
func (l *RMSNorm) Fwd(x *G.Node) (*G.Node, error) {
	if err := l.checkInput(x); err != nil {
		return nil, err
	}
	if l.axes == nil {
		return l.named(ops.RMSNorm(x, l.Learnable("gamma"), nil, l.shape, l.cfg))
	}
	return l.named(ops.RMSNormAxes(x, l.Learnable("gamma"), nil, l.axes, l.cfg))
}

// FwdResidual returns the scaled sum x + r, and the sum; see ops.AddRMSNorm.
//
// Errors: ErrGraph, ErrDtype, ErrShape, and ErrOption if WithAxes names axes other
// than the trailing ones.
func (l *RMSNorm) FwdResidual(x, r *G.Node) (y, sum *G.Node, err error) {
	if err := l.checkResidual(x, r); err != nil {
		return nil, nil, err
	}
	return l.namedSum(ops.AddRMSNorm(x, r, l.Learnable("gamma"), nil, l.shape, l.cfg))
}

// In returns the same layer in another graph: γ is the same storage, so a
// solver's step in one graph is seen in the other.
//
// Errors: ErrGraph, ErrName, ErrValue.
func (l *RMSNorm) In(g *G.ExprGraph) (*RMSNorm, error) {
	other, err := l.inGraph(g)
	if err != nil {
		return nil, err
	}
	return &RMSNorm{other, l.cfg}, nil
}
