package norm

import (
	"github.com/gorgonorm/norm/ops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// BatchNorm normalizes each channel over the batch and the spatial axes:
//
//	y = (x − mean)/√(variance + eps)·γ + β
//
// with the mean and the biased variance of the batch in training, and the
// running ones in evaluation. Choose it for convolutions and large batches.
//
// Each training batch updates the running statistics, with a momentum m of 0.1 by
// default:
//
//	running ← (1−m)·running + m·batch
//
// where the variance of the batch is the unbiased one. They start at mean 0 and
// variance 1. Building a machine sets the mode of every layer in its graph:
// evaluation with gorgonia.EvalMode(), else training. Until then the mode is training.
// Building a machine never changes the statistics. ops.BatchNorm has the details.
//
// If the layer is applied twice to the same node, both results are one op, and the batch
// counts once.
//
// Parameters: name.gamma, 1 at first, and name.beta, 0 at first, both of shape
// (channels). The statistics are not parameters.
//
// Ioffe, Szegedy, "Batch Normalization: Accelerating Deep Network Training by
// Reducing Internal Covariate Shift", 2015, arXiv:1502.03167v3.
type BatchNorm struct{ channelLayer }

// NewBatchNorm makes a layer for inputs (N, channels), (N, channels, L),
// (N, channels, H, W) or (N, channels, D, H, W) of a dtype, or with the channels
// in another axis. Options: WithName, WithChannelAxis (1), WithEps (1e-5),
// WithMomentum (0.1), WithCumulativeAverage, WithScaleInit (1), WithBiasInit (0),
// WithoutAffine, WithoutScale, WithoutBias, WithoutRunningStats, WithReuse.
//
// Errors: ErrGraph, ErrDtype, ErrShape, ErrOption, ErrName, and ErrValue for an
// initial value that does not fit. After an error the graph is as it was.
func NewBatchNorm(g *G.ExprGraph, dt tensor.Dtype, channels int, opts ...BatchNormOption) (*BatchNorm, error) {
	l, err := newChannelLayer("batchnorm", g, dt, channels, configure(opts), ops.BatchNorm, ops.EvalBatchNorm, "WithoutRunningStats left out")
	if err != nil {
		return nil, err
	}
	return &BatchNorm{l}, nil
}

// In returns the same layer in another graph: γ, β and the running statistics
// are the same storage, so that one graph can train with one batch size while
// the other evaluates with another. Each graph has a mode of its own.
//
// Errors: ErrGraph, ErrName, ErrValue.
func (l *BatchNorm) In(g *G.ExprGraph) (*BatchNorm, error) {
	other, err := l.inGraph(g)
	if err != nil {
		return nil, err
	}
	return &BatchNorm{other}, nil
}
