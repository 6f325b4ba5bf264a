package norm

import (
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// channelLayer is a layer that normalizes channels and may have running
// statistics: batch norm and instance norm, which differ in their op.
type channelLayer struct {
	layer
	channels int
	stats    *ops.RunningStats // nil: none
	cfg      ops.BatchNormConfig
	tracking string // how to get running statistics, for errors about a layer without them
	op       channelOp
	eval     channelEval
}

type (
	channelOp   func(x, gamma, beta *G.Node, stats *ops.RunningStats, cfg ops.BatchNormConfig) (*G.Node, error)
	channelEval func(dst, x, gamma, beta *tensor.Dense, stats *ops.RunningStats, cfg ops.BatchNormConfig) (*tensor.Dense, error)
)

func newChannelLayer(kind string, g *G.ExprGraph, dt tensor.Dtype, channels int, c config, op channelOp, eval channelEval, tracking string) (channelLayer, error) {
	l := channelLayer{channels: channels, op: op, eval: eval, tracking: tracking, cfg: ops.BatchNormConfig{
		Eps: c.eps, Momentum: c.momentum, Cumulative: c.cumulative, ChannelAxis: c.channelAxis, Reuse: c.reuse,
	}}
	var err error
	if l.layer, err = newLayer(kind, g, dt, c.name, affineSuffixes(c)...); err != nil {
		return l, err
	}
	if err := fault.Channels(l.label, channels); err != nil {
		return l, err
	}
	if err := fault.Eps(l.label, c.eps); err != nil {
		return l, err
	}
	if err := fault.Momentum(l.label, c.momentum); err != nil && !c.cumulative {
		return l, err
	}
	if c.channelAxis == 0 {
		return l, fault.New(ErrOption, l.label, "the channel axis is 0, want another; the first axis of a batch of rank 4 is -4")
	}
	if err := fault.GivenChannelAxis(ErrOption, l.label, "x", c.channelAxis); err != nil {
		return l, err
	}
	if !c.untracked {
		if l.stats, err = ops.NewRunningStats(channels); err != nil {
			return l, err
		}
	}
	if err := l.addAffine(tensor.Shape{channels}, c); err != nil {
		return l, err
	}
	l.done()
	return l, nil
}

// inGraph makes the same layer in another graph, with the same storage and
// statistics.
func (l *channelLayer) inGraph(g *G.ExprGraph) (channelLayer, error) {
	other := *l
	var err error
	other.layer, err = l.in(g)
	return other, err
}

// Fwd returns the normalized x, of the same shape. It follows the mode that the
// machine sets.
//
// A batch with one value per channel (instance norm: a sample with one value per
// channel) has no variance: it is ErrBatch from RunAll in training, and at graph
// building for a layer without running statistics. Other errors at graph building:
// ErrGraph, ErrDtype, ErrShape.
func (l *channelLayer) Fwd(x *G.Node) (*G.Node, error) { return l.fwd(x, l.cfg) }

// FwdFrozen returns x normalized by the running statistics whatever the mode,
// and never updates them: for fine-tuning with frozen statistics. γ and β still
// have gradients.
//
// Errors: as Fwd, and ErrOption for a layer without running statistics.
func (l *channelLayer) FwdFrozen(x *G.Node) (*G.Node, error) {
	if l.stats == nil {
		return nil, l.untracked()
	}
	cfg := l.cfg
	cfg.Frozen = true
	return l.fwd(x, cfg)
}

// FwdMasked is Fwd for an x with padding. Padding does not count in the statistics, the
// running ones included, and the result is 0 there.
//
// mask has the dtype of x, and may change from run to run. It is one of two things: 0 for
// padding and 1 elsewhere, in the shape of x without the channel axis, as (N, L) for an x
// (N, channels, L); or, in the shape (N), the length of each sample in the last axis
// other than that of the channels.
//
// For instance norm, a sample with a single unmasked value per channel yields β there.
// With running statistics a training batch is ErrBatch only if no sample has two.
//
// Errors: those of Fwd; ErrGraph for a nil mask, ErrShape and ErrDtype for a mask of
// another shape or dtype; and from RunAll ErrValue for a mask value other than 0 and 1,
// or a length out of range.
func (l *channelLayer) FwdMasked(x, mask *G.Node) (*G.Node, error) {
	if err := l.checkMask(mask); err != nil {
		return nil, err
	}
	cfg := l.cfg
	cfg.Mask = mask
	return l.fwd(x, cfg)
}

func (l *channelLayer) fwd(x *G.Node, cfg ops.BatchNormConfig) (*G.Node, error) {
	if err := l.checkInput(x); err != nil {
		return nil, err
	}
	if err := l.checkChannels(x.Shape(), cfg.ChannelAxis, l.channels); err != nil {
		return nil, err
	}
	return l.named(l.op(x, l.Learnable("gamma"), l.Learnable("beta"), l.stats, cfg))
}

// SetTraining sets the mode of the layer wherever it has been applied in its graph.
// Building a machine sets the mode of all layers; the later of the two counts. Later
// applications of the layer begin in training. Without running statistics there is only
// one mode.
func (l *channelLayer) SetTraining(training bool) {
	if l.stats != nil {
		l.stats.SetTraining(l.graph, training)
	}
}

// Running returns the running statistics themselves, which the layer shares with the same
// layer in other graphs, or nil if it has none. They include the number of batches, which
// a cumulative average needs in order to go on from saved statistics.
func (l *channelLayer) Running() *ops.RunningStats { return l.stats }

// Stats returns copies of the running mean and variance, one value for each
// channel, or nil for a layer without running statistics.
func (l *channelLayer) Stats() (mean, variance []float64) {
	if l.stats == nil {
		return nil, nil
	}
	mean, variance, _ = l.stats.Values()
	return mean, variance
}

// SetStats replaces the running statistics, in all graphs that share them, but
// not the number of batches (see Running). The values must be finite and no
// variance negative; after an error nothing has changed.
//
// Errors: ErrShape for another number of channels, ErrValue, ErrOption for a layer
// without running statistics.
func (l *channelLayer) SetStats(mean, variance []float64) error {
	if l.stats == nil {
		return l.untracked()
	}
	return l.wrap(l.stats.Set(mean, variance, ops.KeepBatches))
}

func (l *channelLayer) untracked() error {
	if err := l.made(); err != nil {
		return err
	}
	return fault.New(ErrOption, l.label, "the layer has no running statistics, want %s", l.tracking)
}

// ResetStats sets the running statistics to mean 0, variance 1 and no batches.
func (l *channelLayer) ResetStats() {
	if l.stats != nil {
		l.stats.Reset()
	}
}
