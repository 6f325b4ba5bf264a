package norm

import (
	"github.com/gorgonorm/norm/ops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// InstanceNorm normalizes each channel of each sample over the spatial axes:
//
//	y = (x − mean)/√(variance + eps)
//
// with the mean and the biased variance of the channel in the sample. It is the
// same in training and evaluation and for any batch size; choose it where
// contrast should not matter, as in style transfer. As in PyTorch there are no γ
// and β unless WithAffine asks for them.
//
// With WithRunningStats the layer has running statistics. Training updates them as
// BatchNorm does, towards the samples' mean and unbiased variance, averaged over the
// batch. Evaluation normalizes by them, as batch norm does: that is a different
// function than in training. ops.InstanceNorm has the details.
//
// Parameters, with WithAffine: name.gamma, 1 at first, and name.beta, 0 at
// first, both of shape (channels). The statistics are not parameters.
//
// Ulyanov, Vedaldi, Lempitsky, "Instance Normalization: The Missing Ingredient
// for Fast Stylization", 2016, arXiv:1607.08022v3.
type InstanceNorm struct{ channelLayer }

// NewInstanceNorm makes a layer for inputs (N, channels, L), (N, channels, H, W)
// or (N, channels, D, H, W) of a dtype. Options: WithName, WithEps (1e-5),
// WithAffine, and with it WithScaleInit (1), WithBiasInit (0), WithoutScale or
// WithoutBias, WithRunningStats, WithMomentum (0.1), WithCumulativeAverage, WithReuse.
//
// Errors: ErrGraph, ErrDtype, ErrShape, ErrOption, ErrName, and ErrValue for an
// initial value that does not fit. After an error the graph is as it was.
func NewInstanceNorm(g *G.ExprGraph, dt tensor.Dtype, channels int, opts ...InstanceNormOption) (*InstanceNorm, error) {
	c := configure(append([]InstanceNormOption{WithoutAffine(), option(withoutStats)}, opts...))
	l, err := newChannelLayer("instancenorm", g, dt, channels, c, ops.InstanceNorm, ops.EvalInstanceNorm, "WithRunningStats")
	if err != nil {
		return nil, err
	}
	return &InstanceNorm{l}, nil
}

// In returns the same layer in another graph: γ, β and the running statistics,
// where it has them, are the same storage. Each graph has a mode of its own.
//
// Errors: ErrGraph, ErrName, ErrValue.
func (l *InstanceNorm) In(g *G.ExprGraph) (*InstanceNorm, error) {
	other, err := l.inGraph(g)
	if err != nil {
		return nil, err
	}
	return &InstanceNorm{other}, nil
}
