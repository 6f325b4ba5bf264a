package norm

import (
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// GroupNorm normalizes groups of neighbouring channels over the spatial axes,
// each sample by itself:
//
//	y = (x − mean)/√(variance + eps)·γ + β
//
// with the mean and the biased variance of each group, and γ and β of each
// channel. It is the same in training and evaluation and for any batch size;
// choose it for convolutions with small batches. ops.GroupNorm has the details.
//
// Parameters: name.gamma, 1 at first, and name.beta, 0 at first, both of shape
// (channels).
//
// Wu, He, "Group Normalization", 2018, arXiv:1803.08494v3.
type GroupNorm struct {
	layer
	channels int
	cfg      ops.GroupNormConfig
}

// NewGroupNorm makes a layer for inputs (N, channels), (N, channels, L),
// (N, channels, H, W) or (N, channels, D, H, W) of a dtype. The number of groups
// divides that of the channels. Options: WithName, WithEps (1e-5), WithScaleInit
// (1), WithBiasInit (0), WithoutAffine, WithoutScale, WithoutBias, WithReuse.
//
// Errors: ErrGraph, ErrDtype, ErrShape, ErrOption, ErrName, and ErrValue for an
// initial value that does not fit. After an error the graph is as it was.
func NewGroupNorm(g *G.ExprGraph, dt tensor.Dtype, groups, channels int, opts ...GroupNormOption) (*GroupNorm, error) {
	c := configure(opts)
	l, err := newLayer("groupnorm", g, dt, c.name, affineSuffixes(c)...)
	if err != nil {
		return nil, err
	}
	if err := fault.Channels(l.label, channels); err != nil {
		return nil, err
	}
	if err := fault.Groups(l.label, groups, channels); err != nil {
		return nil, err
	}
	if err := fault.Eps(l.label, c.eps); err != nil {
		return nil, err
	}
	if err := l.addAffine(tensor.Shape{channels}, c); err != nil {
		return nil, err
	}
	l.done()
	return &GroupNorm{l, channels, ops.GroupNormConfig{Groups: groups, Eps: c.eps, Reuse: c.reuse}}, nil
}

// Fwd returns the normalized x, of the same shape.
//
// Errors: ErrGraph, ErrDtype, ErrShape, and ErrBatch for one sample with one
// value per group.
func (l *GroupNorm) Fwd(x *G.Node) (*G.Node, error) { return l.fwd(x, l.cfg) }

// FwdMasked is Fwd for an x with padding. Padding does not count in the statistics, and
// the result is 0 there.
//
// mask has the dtype of x, and may change from run to run. It is one of two things: 0 for
// padding and 1 elsewhere, in the shape of x without the channel axis, as (N, L) for an x
// (N, channels, L); or, in the shape (N), the length of each sample in the last axis.
//
// Errors: ErrGraph, ErrDtype, ErrShape, ErrBatch as for Fwd, and from RunAll ErrValue for
// a mask value other than 0 and 1, or a length out of range.
func (l *GroupNorm) FwdMasked(x, mask *G.Node) (*G.Node, error) {
	if err := l.checkMask(mask); err != nil {
		return nil, err
	}
	cfg := l.cfg
	cfg.Mask = mask
	return l.fwd(x, cfg)
}

func (l *GroupNorm) fwd(x *G.Node, cfg ops.GroupNormConfig) (*G.Node, error) {
	if err := l.checkInput(x); err != nil {
		return nil, err
	}
	if err := l.checkChannels(x.Shape(), 1, l.channels); err != nil {
		return nil, err
	}
	return l.named(ops.GroupNorm(x, l.Learnable("gamma"), l.Learnable("beta"), cfg))
}

// In returns the same layer in another graph: γ and β are the same storage, so
// a solver's step in one graph is seen in the other.
//
// Errors: ErrGraph, ErrName, ErrValue.
func (l *GroupNorm) In(g *G.ExprGraph) (*GroupNorm, error) {
	other, err := l.in(g)
	if err != nil {
		return nil, err
	}
	return &GroupNorm{other, l.channels, l.cfg}, nil
}
