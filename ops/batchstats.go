package ops

import (
	"fmt"
	"math"

	"github.com/chewxy/hm"
	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The statistics travel through the graph as a float64 vector for both dtypes:
// for each channel the mean, what its rounding left over, and 1/√(variance +
// eps), and at the end 1 if they are the batch's own, 0 if they are constants.

func statsLen(channels int) int { return 3*channels + 1 }

func unpackStats(packed []float64, c int) (s kernel.Stats, batch bool) {
	return kernel.Stats{Mean: packed[:c], Residual: packed[c : 2*c], Rstd: packed[2*c : 3*c]}, packed[3*c] != 0
}

// batchStatsOp gives the statistics to normalize x by, and moves the running
// ones.
type batchStatsOp[T dense.Float] struct {
	stateful
	channelAxis
	name      string        // for errors
	instances bool          // the statistics are means of those of the samples
	stats     *RunningStats // nil: none
	cfg       BatchNormConfig
	mem       memory[float64]
}

func newBatchStats[T dense.Float](name string, c channelAxis, instances bool, stats *RunningStats, cfg BatchNormConfig) *batchStatsOp[T] {
	label := fmt.Sprintf("norm.BatchStats(axis=%d, instances=%v, eps=%v", c.axis, instances, cfg.Eps)
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
	return &batchStatsOp[T]{stateful: stateful{base: base{label + ")", []int{anySize}}}, channelAxis: c, name: name, instances: instances, stats: stats, cfg: cfg,
		mem: memory[float64]{reuse: cfg.Reuse}}
}

// state returns the running statistics that the op moves.
func (o *batchStatsOp[T]) state() any { return o.stats }

// trains says whether a run moves the running statistics.
func (o *batchStatsOp[T]) trains() bool { return o.stateful.trains() && !o.cfg.Frozen }

// Type is (x) -> statistics.
func (o *batchStatsOp[T]) Type() hm.Type {
	return hm.NewFnType(tensorOf[T](o.rank), tensorOf[float64](1))
}

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
	x, err := dense.Check[T](o.label, inputNames[0], vs[0])
	if err != nil {
		return nil, err
	}
	view, err := o.view(o.label, x.Shape())
	if err != nil {
		return nil, err
	}
	out, packed := o.mem.tensor(statsLen(o.channels))
	s, _ := unpackStats(packed, o.channels)
	if o.stats != nil && (o.cfg.Frozen || o.evaluating.Load()) {
		o.stats.read(s, o.cfg.Eps)
		packed[len(packed)-1] = 0
		return out, nil
	}
	n := float64(view.Count())
	if o.instances {
		n = float64(view.Inner)
	}
	if n == 1 {
		return nil, fault.New(fault.ErrBatch, o.name,
			"x is %v, want more than one value per channel in training; drop the batch, or evaluate with gorgonia.EvalMode()", x.Shape())
	}
	data, err := dense.Elements[T](o.label, inputNames[0], x)
	if err != nil {
		return nil, err
	}
	m2 := s.Rstd // in place
	if o.instances {
		meanMoments(data, view, o.cfg.Eps, s.Mean, s.Residual, m2)
	} else {
		kernel.Moments(data, view, o.cfg.Eps, s.Mean, s.Residual, m2)
	}
	if o.stats != nil && !o.held() {
		o.stats.update(s.Mean, s.Residual, m2, n, o.momentum())
	}
	rstdOfMoments(m2, n, o.cfg.Eps)
	packed[len(packed)-1] = 1
	return out, nil
}

// rstdOfMoments makes 1/√(variance + eps) of the m2 of n values, in place.
func rstdOfMoments(m2 []float64, n, eps float64) {
	for c, q := range m2 {
		m2[c] = 1 / math.Sqrt(q/n+eps)
	}
}

// momentum is nil for the cumulative average.
func (o *batchStatsOp[T]) momentum() *float64 {
	if o.cfg.Cumulative {
		return nil
	}
	return &o.cfg.Momentum
}

var (
	_ G.SDOp        = (*batchStatsOp[float32])(nil)
	_ G.ADOp        = (*batchStatsOp[float32])(nil)
	_ G.TrainModeOp = (*batchStatsOp[float32])(nil)
)
