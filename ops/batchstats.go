package ops

import (
	"fmt"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The statistics pass through the graph as a float64 vector for both dtypes. It has three
// numbers for each channel: the mean, the rounding error of the mean, and 1/√(variance +
// eps). The last element is 1 if they are statistics of the batch, and 0 if they are
// constants.

func statsLen(channels int) int { return 3*channels + 1 }

func unpackStats(packed []float64, c int) (s kernel.Stats, batch bool) {
	return kernel.Stats{Mean: packed[:c], Residual: packed[c : 2*c], Rstd: packed[2*c : 3*c]}, packed[3*c] != 0
}

// batchStatsOp returns the statistics by which x is normalized, from (x, mask?), and
// updates the running ones.
type batchStatsOp[T dense.Float] struct {
	stateful
	channelAxis
	name      string // for errors
	instances bool   // the statistics are the means over samples
	mask      masking
	stats     *RunningStats // nil: none
	cfg       BatchNormConfig
	mem       memory[float64]
}

func newBatchStats[T dense.Float](name string, c channelAxis, instances bool, stats *RunningStats, cfg BatchNormConfig) *batchStatsOp[T] {
	mask := maskingOf(cfg.Mask, c.axis)
	cfg.Mask = nil // a node belongs to a graph
	label := fmt.Sprintf("norm.BatchStats(axis=%d, instances=%v, eps=%v%v", c.axis, instances, cfg.Eps, mask)
	switch {
	case stats != nil && cfg.Frozen:
		label += fmt.Sprintf(", frozen, running=#%d", stats.id)
	case stats != nil && cfg.Cumulative:
		label += fmt.Sprintf(", cumulative, running=#%d", stats.id)
	case stats != nil:
		label += fmt.Sprintf(", momentum=%v, running=#%d", cfg.Momentum, stats.id)
	}
	if cfg.Reuse {
		label += ", reuse"
	}
	return &batchStatsOp[T]{
		stateful: stateful{base: statefulBase[T](label+")", append([]inputSpec{{name: "x", rank: c.rank}}, mask.inputSpecs()...))}, channelAxis: c, name: name,
		instances: instances, mask: mask, stats: stats, cfg: cfg, mem: memory[float64]{reuse: cfg.Reuse},
	}
}

// state returns the running statistics that the op updates.
func (o *batchStatsOp[T]) state() any { return o.stats }

// trains says whether a run updates the running statistics.
func (o *batchStatsOp[T]) trains() bool { return o.stateful.trains() && !o.cfg.Frozen }

// InferShape returns the length of the packed statistics.
func (o *batchStatsOp[T]) InferShape(...G.DimSizer) (tensor.Shape, error) {
	return tensor.Shape{statsLen(o.channels)}, nil
}

// Do returns the packed statistics.
func (o *batchStatsOp[T]) Do(vs ...G.Value) (_ G.Value, err error) {
	defer guard(o, &err)
	if err := o.checkCount(vs); err != nil {
		return nil, err
	}
	x, err := dense.Check[T](o.label, "x", vs[0])
	if err != nil {
		return nil, err
	}
	view, err := o.view(o.label, x.Shape())
	if err != nil {
		return nil, err
	}
	out, packed := o.mem.tensor(statsLen(o.channels))
	s, _ := unpackStats(packed, o.channels)
	if o.stats != nil && !o.trains() {
		o.stats.read(s, o.cfg.Eps)
		packed[len(packed)-1] = 0
		return out, nil
	}
	if err := o.ofBatch(s, view, vs); err != nil {
		return nil, err
	}
	packed[len(packed)-1] = 1
	return out, nil
}

// ofBatch sets the statistics to those of the batch. It updates the running ones by them,
// if there are any and if they are not held.
func (o *batchStatsOp[T]) ofBatch(s kernel.Stats, view kernel.View, vs []G.Value) error {
	x, err := dense.Elements[T](o.label, "x", vs[0])
	if err != nil {
		return err
	}
	mask, err := o.flags(vs)
	if err != nil {
		return err
	}
	defer mask.release()
	count := o.maxGroupCount(view, mask.data)
	if count < 2 {
		want := "per channel in training; drop the batch, or"
		if o.instances {
			want = "in each channel of a sample in training;"
		}
		return fault.New(fault.ErrBatch, o.name, "x is %v%s, want more than one value %s evaluate with gorgonia.EvalMode()", vs[0].Shape(), o.mask.exceptMasked(), want)
	}
	n, m2 := float64(count), s.Rstd // in place
	if o.instances {
		n = kernel.SampleMoments(x, mask.data, view, o.cfg.Eps, s.Mean, s.Residual, m2)
	} else {
		kernel.Moments(x, mask.data, view, o.cfg.Eps, s.Mean, s.Residual, m2)
	}
	if o.stats != nil && !o.held() {
		batch := kernel.ChannelMoments{N: n, Mean: s.Mean, Residual: s.Residual, M2: m2}
		if err := o.stats.update(o.name, batch, o.instances, o.cfg); err != nil {
			return err
		}
	}
	kernel.Rstd(m2, m2, n, o.cfg.Eps)
	return nil
}

// flags returns the flags of the mask.
func (o *batchStatsOp[T]) flags(vs []G.Value) (f lent[T], err error) {
	if o.mask.rank == 0 {
		return f, nil
	}
	mask, err := input[T](&o.base, vs, 1)
	if err != nil {
		return f, err
	}
	return flagsOf(o.label, o.mask, mask, vs[0].Shape())
}

// maxGroupCount returns the largest number of values of a channel that are normalized
// together.
func (o *batchStatsOp[T]) maxGroupCount(v kernel.View, mask []T) (n int) {
	switch {
	case mask == nil && o.instances:
		return v.Inner
	case mask == nil:
		return v.Count()
	case !o.instances:
		return kernel.CountOf(mask)
	}
	for i := range v.Outer {
		n = max(n, kernel.CountOf(mask[i*v.Inner:][:v.Inner]))
	}
	return n
}

var (
	_ G.SDOp        = (*batchStatsOp[float32])(nil)
	_ G.ADOp        = (*batchStatsOp[float32])(nil)
	_ G.TrainModeOp = (*batchStatsOp[float32])(nil)
)
