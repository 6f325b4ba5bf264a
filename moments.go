package norm

import (
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops"
)

// NewMoments returns empty moments for batches that the layer accepts. Several workers
// can each gather the statistics of a part of the data, and merge them.
func (l *BatchNorm) NewMoments() *ops.Moments {
	m, _ := ops.NewMoments(l.channels, l.cfg.ChannelAxis) // the layer was made with both
	return m
}

// SetMoments replaces the running statistics, in all graphs that share them, by the mean
// and the unbiased variance of the values that m has seen, and the number of batches by
// that of m. After an error nothing has changed.
//
// Errors: ErrValue for nil and for moments that are not finite, ErrShape for another
// number of channels, ErrBatch for fewer than two values a channel, ErrOption for a
// layer without running statistics.
func (l *BatchNorm) SetMoments(m *ops.Moments) error {
	if l.stats == nil {
		return l.untracked()
	}
	return l.wrap(l.stats.SetMoments(m))
}

// Reestimate replaces the running statistics of layers by those of a whole data set: the
// mean and the unbiased variance of all values that the layers see while run is running,
// as if they were one batch. This is known as precise batch norm. Running averages lag
// behind the weights; call it after training, or before an evaluation that matters, for
// statistics at the current weights.
//
//	vm := gorgonia.NewTapeMachine(g) // training mode
//	err := norm.Reestimate(func() error {
//		for _, batch := range batches {
//			gorgonia.Let(x, batch)
//			if err := vm.RunAll(); err != nil {
//				return err
//			}
//			vm.Reset()
//		}
//		return nil
//	}, bn1, bn2)
//
// run must not step a solver. Pass all batch norms of a model together: one that is left
// out goes on with its running average meanwhile. The statistics change when run has
// returned, and not at all after an error. WithCumulativeAverage gives nearly the same,
// but weights batches instead of values, and leaves out the variance between the means of
// batches.
//
// Errors: that of run; ErrGraph for a nil layer; ErrOption for a nil run, and for a layer
// that has no running statistics or is in another Reestimate already; ErrBatch for a
// layer that saw no batch or a single value per channel; ErrValue for one that saw a NaN
// or an infinity. ops.Reestimate has the details.
func Reestimate(run func() error, layers ...*BatchNorm) error {
	stats := make([]*ops.RunningStats, len(layers))
	for i, b := range layers {
		if b == nil || b.made() != nil {
			return fault.New(ErrGraph, "reestimate", "layer %d is nil or a zero value, want a layer with running statistics", i)
		}
		if b.stats == nil {
			return b.untracked()
		}
		stats[i] = b.stats
	}
	err := ops.Reestimate(run, stats...)
	if i, ok := fault.Item(err); ok {
		return fault.Of("reestimate: "+layers[i].label, err)
	}
	return err
}
