package ops

import (
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"github.com/chewxy/hm"
	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// BatchNormConfig says how batch norm normalizes and averages.
type BatchNormConfig struct {
	// Eps > 0 is added to the variance.
	Eps float64

	// Momentum in [0, 1] is how far the running statistics move towards each
	// batch: running ← (1−Momentum)·running + Momentum·batch. PyTorch's default
	// is 0.1. At 0 they never move.
	Momentum float64

	// Cumulative makes the running statistics the average of all batches
	// instead; Momentum is then not used.
	Cumulative bool

	// Frozen always normalizes by the running statistics and never moves them,
	// whatever the mode of the machine.
	Frozen bool

	// Reuse keeps the memory of results from run to run; see the package
	// documentation.
	Reuse bool
}

// BatchNorm normalizes each channel of x over the batch and the spatial axes,
// and applies an optional scale and shift:
//
//	y = (x − mean)/√(variance + eps)·γ + β
//
// In training the mean and the biased variance are those of the batch, and the
// running statistics move towards it (see RunningStats). In evaluation they are
// the running ones, constants to the gradient. With nil stats there are no
// running statistics, and they are the batch's in both modes.
//
// The mode is training, until a machine is built on the graph with
// gorgonia.EvalMode() or without: each machine sets the mode of all ops in its
// graph. Building a machine never changes the statistics.
//
// The statistics move when the op runs, so a run that fails later on has moved
// them. A training batch with one value per channel has no unbiased variance:
// it is ErrBatch from RunAll, or at graph building where stats are nil, and
// leaves the statistics as they were.
//
// Shapes: x is (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W), γ and β are
// (C), or nil for none; y has the shape of x. Dtypes: float32 or float64, one
// for all.
//
// Errors at graph building: ErrGraph, ErrDtype, ErrShape, ErrOption, ErrBatch.
//
// Ioffe, Szegedy, "Batch Normalization: Accelerating Deep Network Training by
// Reducing Internal Covariate Shift", 2015, arXiv:1502.03167v3, algorithms 1
// and 2.
func BatchNorm(x, gamma, beta *G.Node, stats *RunningStats, cfg BatchNormConfig) (*G.Node, error) {
	const name = "batchnorm"
	in, aff := affineArgs(x, gamma, beta)
	dt, err := checkNodes(name, in)
	if err != nil {
		return nil, err
	}
	if err := checkBatchNorm(name, in, stats, cfg); err != nil {
		return nil, err
	}
	if dt == tensor.Float32 {
		return applyBatchNorm[float32](name, in, aff, stats, cfg)
	}
	return applyBatchNorm[float64](name, in, aff, stats, cfg)
}

func checkBatchNorm(name string, in []arg, stats *RunningStats, cfg BatchNormConfig) error {
	x := in[0].node.Shape()
	if len(x) < 2 || len(x) > 5 {
		return fault.New(fault.ErrShape, name, "x is %v, want rank 2 to 5 as (N, C, ...)", x)
	}
	if stats != nil && x[1] != stats.Channels() {
		return fault.New(fault.ErrShape, name, "x is %v, want (N, %d, ...) as the running statistics have", x, stats.Channels())
	}
	if stats == nil && x.TotalSize() == x[1] {
		return fault.New(fault.ErrBatch, name, "x is %v and there are no running statistics: want more than one value per channel", x)
	}
	if stats == nil && cfg.Frozen {
		return fault.New(fault.ErrOption, name, "stats are nil, want running statistics where Frozen is set")
	}
	for _, p := range in[1:] {
		if err := checkShape(name, p, tensor.Shape{x[1]}); err != nil {
			return err
		}
	}
	if err := fault.Eps(name, cfg.Eps); err != nil {
		return err
	}
	if cfg.Cumulative {
		return nil
	}
	return fault.Momentum(name, cfg.Momentum)
}

func applyBatchNorm[T dense.Float](name string, in []arg, aff affine, stats *RunningStats, cfg BatchNormConfig) (*G.Node, error) {
	x := in[0].node
	rank, channels := x.Dims(), x.Shape()[1]
	s, err := apply(name, newBatchStats[T](rank, channels, stats, cfg), x)
	if err != nil {
		return nil, err
	}
	return apply(name, newBatchNorm[T](rank, channels, aff, cfg.Reuse), append(nodes(in), s)...)
}

// The statistics travel through the graph as a float64 vector for both dtypes:
// for each channel the mean, what its rounding left over, and 1/√(variance +
// eps), and at the end 1 if they are the batch's own, 0 if they are constants.

func statsLen(channels int) int { return 3*channels + 1 }

func unpackStats(packed []float64, c int) (s kernel.Stats, batch bool) {
	return kernel.Stats{Mean: packed[:c], Residual: packed[c : 2*c], Rstd: packed[2*c : 3*c]}, packed[3*c] != 0
}

// batchStatsOp gives the statistics to normalize x by, and moves the running
// ones. It is the only op of this package with state.
type batchStatsOp[T dense.Float] struct {
	base
	rank, channels int
	stats          *RunningStats // nil: none
	cfg            BatchNormConfig
	mem            memory[float64]

	evaluating atomic.Bool
	holds      atomic.Int64
}

func newBatchStats[T dense.Float](rank, channels int, stats *RunningStats, cfg BatchNormConfig) *batchStatsOp[T] {
	label := fmt.Sprintf("norm.BatchStats(eps=%v", cfg.Eps)
	switch {
	case stats != nil && cfg.Frozen:
		label = fmt.Sprintf("norm.BatchStats(eps=%v, frozen, running=#%d", cfg.Eps, stats.id)
	case stats != nil && cfg.Cumulative:
		label = fmt.Sprintf("norm.BatchStats(eps=%v, cumulative, running=#%d", cfg.Eps, stats.id)
	case stats != nil:
		label = fmt.Sprintf("norm.BatchStats(eps=%v, momentum=%v, running=#%d", cfg.Eps, cfg.Momentum, stats.id)
	}
	if cfg.Reuse {
		label += ", reuse"
	}
	return &batchStatsOp[T]{base: base{label + ")", []int{anySize}}, rank: rank, channels: channels, stats: stats, cfg: cfg,
		mem: memory[float64]{reuse: cfg.Reuse}}
}

// running returns the running statistics that the op moves, or nil.
func (o *batchStatsOp[T]) running() *RunningStats { return o.stats }

// SetTraining sets the mode, and nothing else. Machines call it when they are
// built.
func (o *batchStatsOp[T]) SetTraining(training bool) error {
	o.evaluating.Store(!training)
	return nil
}

// Hold keeps the running statistics from moving until release is called, for
// those who run a graph only to look at it, such as a gradient check.
func (o *batchStatsOp[T]) Hold() (release func()) {
	o.holds.Add(1)
	var once atomic.Bool
	return func() {
		if once.CompareAndSwap(false, true) {
			o.holds.Add(-1)
		}
	}
}

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
	view, err := batchView(o.label, x.Shape(), o.rank, o.channels)
	if err != nil {
		return nil, err
	}
	out, packed := o.mem.tensor(statsLen(o.channels))
	s, _ := unpackStats(packed, o.channels)
	if o.stats != nil && (o.cfg.Frozen || o.evaluating.Load()) {
		o.stats.read(s.Mean, s.Rstd, o.cfg.Eps)
		clear(s.Residual)
		packed[len(packed)-1] = 0
		return out, nil
	}
	if view.Count() == 1 {
		return nil, fault.New(fault.ErrBatch, "batchnorm",
			"x is %v, want more than one value per channel in training; drop the batch, or evaluate with gorgonia.EvalMode()", x.Shape())
	}
	data, err := dense.Elements[T](o.label, inputNames[0], x)
	if err != nil {
		return nil, err
	}
	n := float64(view.Count())
	m2 := s.Rstd // in place
	kernel.Moments(data, view, o.cfg.Eps, s.Mean, s.Residual, m2)
	if o.stats != nil && o.holds.Load() == 0 {
		o.stats.update(s.Mean, s.Residual, m2, n, o.momentum())
	}
	for c, q := range m2 {
		s.Rstd[c] = 1 / math.Sqrt(q/n+o.cfg.Eps)
	}
	packed[len(packed)-1] = 1
	return out, nil
}

// momentum is nil for the cumulative average.
func (o *batchStatsOp[T]) momentum() *float64 {
	if o.cfg.Cumulative {
		return nil
	}
	return &o.cfg.Momentum
}

// batchView sees a value of x as (N, C, the rest).
func batchView(op string, x tensor.Shape, rank, channels int) (kernel.View, error) {
	if len(x) != rank || x[1] != channels || x.TotalSize() == 0 {
		return kernel.View{}, fault.New(fault.ErrValue, op, "x is %v, want (N, %d, ...) of rank %d", x, channels, rank)
	}
	return kernel.View{Outer: x[0], Channels: channels, Inner: x[2:].TotalSize()}, nil
}

// DiffWRT is false: the gradient op returns the total derivative, which has the
// part through the statistics in it.
func (o *batchStatsOp[T]) DiffWRT(inputs int) []bool { return make([]bool, inputs) }

// SymDiff returns no gradient.
func (o *batchStatsOp[T]) SymDiff(in G.Nodes, _, _ *G.Node) (G.Nodes, error) {
	return make(G.Nodes, len(in)), nil
}

// DoDiff adds nothing.
func (o *batchStatsOp[T]) DoDiff(G.ExecutionContext, G.Nodes, *G.Node) error { return nil }

// batchNorm is what the forward op and its gradient have in common.
type batchNorm struct {
	affine
	rank, channels int
	reuse          bool
}

func (b *batchNorm) describe(name string) string {
	return fmt.Sprintf("%s(gamma=%v, beta=%v, reuse=%v)", name, b.gamma, b.beta, b.reuse)
}

// batchNormOp is the forward op, of (x, γ?, β?, statistics).
type batchNormOp[T dense.Float] struct {
	base
	batchNorm
	mem memory[T]
}

func newBatchNorm[T dense.Float](rank, channels int, aff affine, reuse bool) *batchNormOp[T] {
	b := batchNorm{aff, rank, channels, reuse}
	sizes := aff.inputSizes(channels, statsLen(channels))
	return &batchNormOp[T]{base{b.describe("norm.BatchNorm"), sizes}, b, memory[T]{reuse: reuse}}
}

// Type is (x, γ?, β?, statistics) -> y.
func (o *batchNormOp[T]) Type() hm.Type {
	ts := []hm.Type{tensorOf[T](o.rank)}
	for range o.count() {
		ts = append(ts, tensorOf[T](1))
	}
	return hm.NewFnType(append(ts, tensorOf[float64](1), tensorOf[T](o.rank))...)
}

// InferShape returns the shape of x.
func (o *batchNormOp[T]) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	return shapeOf(o.label, in, 0)
}

// Do returns y.
func (o *batchNormOp[T]) Do(vs ...G.Value) (_ G.Value, err error) {
	defer guard(o, &err)
	in, err := batchInputs[T](&o.base, &o.batchNorm, vs, len(o.sizes)-1)
	if err != nil {
		return nil, err
	}
	gamma, beta := affineOf(o.affine, in.data[1:])
	out, y := o.mem.tensor(vs[0].Shape()...)
	kernel.BatchNormFwd(y, in.data[0], gamma, beta, in.view, in.stats)
	return out, nil
}

// batchIn are the inputs of an op: those of the data's type and the statistics.
type batchIn[T dense.Float] struct {
	data  [maxInputs][]T // nil for the statistics
	view  kernel.View
	stats kernel.Stats
	batch bool // the statistics are those of x itself
}

// batchInputs checks and unpacks the inputs, of which x is the first and the
// statistics are number statsAt.
func batchInputs[T dense.Float](b *base, n *batchNorm, vs []G.Value, statsAt int) (in batchIn[T], err error) {
	if err = b.checkCount(vs); err != nil {
		return in, err
	}
	for i := range vs {
		if i == statsAt {
			continue
		}
		if in.data[i], err = input[T](b, vs, i); err != nil {
			return in, err
		}
	}
	packed, err := input[float64](b, vs, statsAt)
	if err != nil {
		return in, err
	}
	in.stats, in.batch = unpackStats(packed, n.channels)
	in.view, err = batchView(b.label, vs[0].Shape(), n.rank, n.channels)
	return in, err
}

// DiffWRT is true for x, γ and β, and false for the statistics, whose part is
// in the gradient of x.
func (o *batchNormOp[T]) DiffWRT(inputs int) []bool {
	wrt := slices.Repeat([]bool{true}, inputs)
	wrt[inputs-1] = false
	return wrt
}

// SymDiff returns the gradients of x, γ and β.
func (o *batchNormOp[T]) SymDiff(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	return symDiff[T]("batchnorm", o.gradient(), in, dy)
}

// DoDiff adds to the gradients of x, γ and β.
func (o *batchNormOp[T]) DoDiff(_ G.ExecutionContext, in G.Nodes, out *G.Node) (err error) {
	defer guard(o, &err)
	return doDiff[T](o.gradient(), in, out)
}

func (o *batchNormOp[T]) gradient() gradient {
	return gradient{op: newBatchNormGrad[T](o.batchNorm), from: append(o.from(), o.Arity()-1), wrt: o.wrt(), reuse: o.reuse}
}

// batchNormGradOp is the gradient, of (x, γ?, statistics, dy), packed as
// [dx | dγ? | dβ?]. dx is the total derivative, through the statistics too
// where they are the batch's.
type batchNormGradOp[T dense.Float] struct {
	firstOrder
	batchNorm
	mem memory[T]
}

func newBatchNormGrad[T dense.Float](b batchNorm) *batchNormGradOp[T] {
	sizes := affine{gamma: b.gamma}.inputSizes(b.channels, statsLen(b.channels), anySize)
	return &batchNormGradOp[T]{firstOrder{base{b.describe("norm.BatchNormGrad"), sizes}}, b, memory[T]{reuse: b.reuse}}
}

// Type is (x, γ?, statistics, dy) -> packed.
func (o *batchNormGradOp[T]) Type() hm.Type {
	ts := []hm.Type{tensorOf[T](o.rank)}
	if o.gamma {
		ts = append(ts, tensorOf[T](1))
	}
	return hm.NewFnType(append(ts, tensorOf[float64](1), tensorOf[T](o.rank), tensorOf[T](1))...)
}

// InferShape returns the length of the packed gradients.
func (o *batchNormGradOp[T]) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	x, err := shapeOf(o.label, in, 0)
	if err != nil {
		return nil, err
	}
	return tensor.Shape{x.TotalSize() + o.count()*o.channels}, nil
}

// Do returns the packed gradients.
func (o *batchNormGradOp[T]) Do(vs ...G.Value) (_ G.Value, err error) {
	defer guard(o, &err)
	in, err := batchInputs[T](&o.base, &o.batchNorm, vs, len(o.sizes)-2)
	if err != nil {
		return nil, err
	}
	x, dy := in.data[0], in.data[len(vs)-1]
	if len(dy) != len(x) {
		return nil, fault.New(fault.ErrValue, o.label, "dy has %d elements, want %d", len(dy), len(x))
	}
	gamma, _ := affineOf(affine{gamma: o.gamma}, in.data[1:])
	out, packed := o.mem.tensor(len(x) + o.count()*o.channels)
	dgamma, dbeta := affineParts(o.affine, packed[len(x):], o.channels)
	kernel.BatchNormBwd(packed[:len(x)], dgamma, dbeta, x, gamma, dy, in.view, in.stats, in.batch)
	return out, nil
}

var (
	_ G.SDOp        = (*batchStatsOp[float32])(nil)
	_ G.ADOp        = (*batchStatsOp[float32])(nil)
	_ G.TrainModeOp = (*batchStatsOp[float32])(nil)
	_ G.SDOp        = (*batchNormOp[float32])(nil)
	_ G.ADOp        = (*batchNormOp[float32])(nil)
	_ G.SDOp        = (*batchNormGradOp[float32])(nil)
	_ G.ADOp        = (*batchNormGradOp[float32])(nil)
)
