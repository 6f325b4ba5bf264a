package norm

import (
	"github.com/gorgonorm/norm/internal/fault"
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
// Each training batch moves the running statistics, by default by 0.1:
//
//	running ← (1−m)·running + m·batch
//
// where the variance of the batch is the unbiased one. They start at mean 0 and
// variance 1. The machine that is built on a graph sets the mode of all its
// layers, gorgonia.EvalMode() for evaluation; without a machine, and until
// then, the mode is training. Building a machine never changes the statistics.
// ops.BatchNorm has the details.
//
// Applied twice to one node the layer is one op, and sees its batch once.
//
// Parameters: name.gamma, 1 at first, and name.beta, 0 at first, both of shape
// (channels). The statistics are no parameters.
//
// Ioffe, Szegedy, "Batch Normalization: Accelerating Deep Network Training by
// Reducing Internal Covariate Shift", 2015, arXiv:1502.03167v3.
type BatchNorm struct {
	layer
	channels int
	stats    *ops.RunningStats // nil: none
	cfg      ops.BatchNormConfig
}

// NewBatchNorm makes a layer for inputs (N, channels), (N, channels, L),
// (N, channels, H, W) or (N, channels, D, H, W) of a dtype. Options: WithName,
// WithEps (1e-5), WithMomentum (0.1), WithCumulativeAverage, WithoutAffine,
// WithoutScale, WithoutBias, WithoutRunningStats, WithReuse.
//
// Errors: ErrGraph, ErrDtype, ErrShape, ErrOption, ErrName. After an error the
// graph is as it was.
func NewBatchNorm(g *G.ExprGraph, dt tensor.Dtype, channels int, opts ...BatchNormOption) (*BatchNorm, error) {
	const kind = "batchnorm"
	c := configure(opts)
	l, err := newLayer(kind, g, dt, c.name, affineSuffixes(c)...)
	if err != nil {
		return nil, err
	}
	if err := fault.Channels(kind, channels); err != nil {
		return nil, err
	}
	if err := fault.Eps(kind, c.eps); err != nil {
		return nil, err
	}
	if err := fault.Momentum(kind, c.momentum); err != nil && !c.cumulative {
		return nil, err
	}
	b := &BatchNorm{layer: l, channels: channels,
		cfg: ops.BatchNormConfig{Eps: c.eps, Momentum: c.momentum, Cumulative: c.cumulative, Reuse: c.reuse}}
	if !c.untracked {
		if b.stats, err = ops.NewRunningStats(channels); err != nil {
			return nil, err
		}
	}
	b.addAffine(tensor.Shape{channels})
	b.done()
	return b, nil
}

// Fwd returns the normalized x. It follows the mode that the machine sets.
//
// A batch with one value per channel is ErrBatch when it is run in training.
// Errors at graph building: ErrGraph, ErrDtype, ErrShape, and ErrBatch for a
// layer without running statistics.
func (b *BatchNorm) Fwd(x *G.Node) (*G.Node, error) { return b.fwd(x, b.cfg) }

// FwdFrozen returns x normalized by the running statistics whatever the mode,
// and never moves them: for fine-tuning with frozen statistics. γ and β still
// have gradients.
//
// Errors: as Fwd, and ErrOption for a layer without running statistics.
func (b *BatchNorm) FwdFrozen(x *G.Node) (*G.Node, error) {
	if b.stats == nil {
		return nil, b.untracked()
	}
	cfg := b.cfg
	cfg.Frozen = true
	return b.fwd(x, cfg)
}

func (b *BatchNorm) fwd(x *G.Node, cfg ops.BatchNormConfig) (*G.Node, error) {
	if err := b.checkInput(x); err != nil {
		return nil, err
	}
	if s := x.Shape(); len(s) >= 2 && s[1] != b.channels {
		return nil, fault.New(ErrShape, b.kind, "x is %v, want (N, %d, ...)", s, b.channels)
	}
	return ops.BatchNorm(x, b.param("gamma"), b.param("beta"), b.stats, cfg)
}

// In returns the same layer in another graph: γ, β and the running statistics
// are the same storage, so that one graph can train with one batch size while
// the other evaluates with another. Each graph has a mode of its own.
//
// Errors: ErrGraph, ErrName, ErrValue.
func (b *BatchNorm) In(g *G.ExprGraph) (*BatchNorm, error) {
	other, err := b.in(g)
	if err != nil {
		return nil, err
	}
	return &BatchNorm{layer: other, channels: b.channels, stats: b.stats, cfg: b.cfg}, nil
}

// SetTraining sets the mode of the layer, where it has been applied in its
// graph, as building a machine does for all layers: the last one wins. Without
// running statistics there is only one mode.
func (b *BatchNorm) SetTraining(training bool) {
	if b.stats != nil {
		b.stats.SetTraining(b.graph, training)
	}
}

// Running returns the running statistics themselves, which the same layer in
// other graphs shares, or nil for a layer without. It has the number of batches
// that a cumulative average needs to go on after its statistics were set.
func (b *BatchNorm) Running() *ops.RunningStats { return b.stats }

// Stats returns copies of the running mean and variance, one value for each
// channel, or nil for a layer without running statistics.
func (b *BatchNorm) Stats() (mean, variance []float64) {
	if b.stats == nil {
		return nil, nil
	}
	mean, variance, _ = b.stats.Values()
	return mean, variance
}

// SetStats replaces the running statistics, in all graphs that share them, but
// not the number of batches behind them (see Running). The values must be
// finite and no variance negative; after an error nothing has changed.
//
// Errors: ErrShape for another number of channels, ErrOption.
func (b *BatchNorm) SetStats(mean, variance []float64) error {
	if b.stats == nil {
		return b.untracked()
	}
	return b.stats.Set(mean, variance, ops.KeepBatches)
}

func (b *BatchNorm) untracked() error {
	return fault.New(ErrOption, b.kind, "the layer has no running statistics (WithoutRunningStats)")
}

// ResetStats sets the running statistics to mean 0, variance 1 and no batches.
func (b *BatchNorm) ResetStats() {
	if b.stats != nil {
		b.stats.Reset()
	}
}
