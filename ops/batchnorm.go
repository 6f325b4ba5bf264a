package ops

import (
	"fmt"

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
	// is 0.1. At 0 they never change.
	Momentum float64

	// Cumulative makes the running statistics the average of all batches
	// instead; Momentum is then not used.
	Cumulative bool

	// Frozen always normalizes by the running statistics and never updates them,
	// whatever the mode of the machine.
	Frozen bool

	// ChannelAxis is the axis of the channels; negative numbers count from the
	// end, so that −1 is for (N, H, W, C). 0 means 1, as in (N, C, H, W). For
	// axis 0 itself pass −rank.
	ChannelAxis int

	// Mask, if it is not nil, says which part of x is padding. Its dtype is that of x. It
	// is one of two things: 0 for padding and 1 elsewhere, in the shape of x without the
	// channel axis, as (N, L) for an x (N, C, L) or (N, L, C), and (N) for (N, C); or, in
	// the shape (N), the length of each sample in the last axis other than that of the
	// channels, from 0 to its size.
	//
	// Padding does not count, whatever it holds: the statistics are those of the rest. In
	// the padding y is 0, and so is the gradient of x, whatever the gradient of y is.
	Mask *G.Node

	// Reuse keeps the memory of results from run to run; see the package documentation.
	Reuse bool
}

// BatchNorm normalizes each channel of x over the batch and the spatial axes,
// and applies an optional scale and shift:
//
//	y = (x − mean)/√(variance + eps)·γ + β
//
// In training the op uses the mean and the biased variance of the batch, and updates the
// running statistics by them (see RunningStats). In evaluation it uses the running
// statistics, which are constants to the gradient. With nil stats there are no running
// statistics, and it uses those of the batch in both modes.
//
// Building a machine sets the mode of every op in its graph: evaluation with
// gorgonia.EvalMode(), else training. Until then the mode is training. Building a
// machine never changes the statistics.
//
// The statistics are updated when the op runs, so they have been updated even if the run
// fails later. A training batch with one value per channel has no unbiased variance: it
// is ErrBatch from RunAll, or at graph building if stats are nil, and leaves the
// statistics unchanged. With a mask only values outside the padding are counted, and a
// mask value other than 0 and 1, or a length out of range, is ErrValue from RunAll.
//
// Shapes: x is (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W), or has its
// channels in another axis, cfg.ChannelAxis; γ and β are (C), or nil for none; y
// has the shape of x. Dtypes: float32 or float64, one for all.
//
// Errors at graph building: ErrGraph, ErrDtype, ErrShape, ErrOption, ErrBatch.
//
// Ioffe, Szegedy, "Batch Normalization: Accelerating Deep Network Training by
// Reducing Internal Covariate Shift", 2015, arXiv:1502.03167v3, algorithms 1
// and 2.
func BatchNorm(x, gamma, beta *G.Node, stats *RunningStats, cfg BatchNormConfig) (*G.Node, error) {
	const name = "batchnorm"
	in, aff := affineArgs(x, gamma, beta)
	dt, err := checkNodes(name, withMask(in, cfg.Mask))
	if err != nil {
		return nil, err
	}
	c, err := checkBatchNorm(name, in, stats, cfg)
	if err != nil {
		return nil, err
	}
	if dt == tensor.Float32 {
		return applyBatchNorm[float32](name, in, aff, c, nil, stats, cfg)
	}
	return applyBatchNorm[float64](name, in, aff, c, nil, stats, cfg)
}

func checkBatchNorm(name string, in []arg, stats *RunningStats, cfg BatchNormConfig) (c channelAxis, err error) {
	x := in[0].node.Shape()
	axis, err := fault.ChannelAxis(name, "x", x, cfg.ChannelAxis)
	if err != nil {
		return c, err
	}
	c = channelAxis{rank: len(x), axis: axis, channels: x[axis]}
	if stats != nil && c.channels != stats.Channels() {
		return c, fault.New(fault.ErrShape, name, "x is %v, want %s as the running statistics have", x, fault.WithChannels(stats.Channels(), axis))
	}
	if stats == nil && x.TotalSize() == c.channels {
		return c, fault.New(fault.ErrBatch, name, "x is %v and there are no running statistics: want more than one value per channel", x)
	}
	if stats == nil && cfg.Frozen {
		return c, fault.New(fault.ErrOption, name, "stats are nil, want running statistics where Frozen is set")
	}
	for _, p := range in[1:] {
		if err := checkShape(name, p, tensor.Shape{c.channels}); err != nil {
			return c, err
		}
	}
	if err := checkMask(name, cfg.Mask, x, axis); err != nil {
		return c, err
	}
	if err := fault.Eps(name, cfg.Eps); err != nil || cfg.Cumulative {
		return c, err
	}
	return c, fault.Momentum(name, cfg.Momentum)
}

// applyBatchNorm applies batch norm or, if within is not nil, instance norm, which in
// training normalizes each sample by its own statistics.
func applyBatchNorm[T dense.Float](name string, in []arg, aff affine, c channelAxis, within *channelGroups, stats *RunningStats, cfg BatchNormConfig) (*G.Node, error) {
	s, err := apply(name, newBatchStats[T](name, c, within != nil, stats, cfg), nodes(withMask(in[:1], cfg.Mask))...)
	if err != nil {
		return nil, err
	}
	all := nodes(withMask(append(in, arg{"statistics", s}), cfg.Mask))
	return apply(name, newBatchNorm[T](c, within, aff, maskingOf(cfg.Mask, c.axis), cfg.Reuse), all...)
}

// batchNorm is what the forward op and its gradient have in common.
type batchNorm struct {
	affine
	channelAxis
	within *channelGroups // if not nil, each sample has statistics of its own, and those of the batch are not used
	mask   masking
	reuse  bool
}

func (b *batchNorm) describe(name string) string {
	return fmt.Sprintf("%s(axis=%d, within=%v, gamma=%v, beta=%v%v, reuse=%v)", name, b.axis, b.within, b.gamma, b.beta, b.mask, b.reuse)
}

// inputsWith returns (x, γ?, β?, statistics, mask?), with γ and β as a says.
func (b *batchNorm) inputsWith(a affine) []inputSpec {
	stats := inputSpec{name: "statistics", rank: 1, size: statsLen(b.channels), kind: statistics}
	return append(a.inputSpecs(b.rank, 1, b.channels, stats), b.mask.inputSpecs()...)
}

// batchNormOp is the forward op, of (x, γ?, β?, statistics, mask?).
type batchNormOp[T dense.Float] struct {
	base
	batchNorm
	differentiable[T]
	mem memory[T]
}

func newBatchNorm[T dense.Float](c channelAxis, within *channelGroups, aff affine, mask masking, reuse bool) *batchNormOp[T] {
	b := batchNorm{aff, c, within, mask, reuse}
	o := &batchNormOp[T]{base: newBase[T](b.describe("norm.BatchNorm"), b.rank, b.inputsWith(aff)...), batchNorm: b, mem: memory[T]{reuse: reuse}}
	o.differentiable = differentiable[T]{"batchnorm", o}
	return o
}

// InferShape returns the shape of x.
func (o *batchNormOp[T]) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	return shapeOf(o.label, in, 0)
}

// Do returns y.
func (o *batchNormOp[T]) Do(vs ...G.Value) (_ G.Value, err error) {
	defer guard(o, &err)
	in, err := batchInputs[T](&o.base, &o.batchNorm, vs, o.count()+1)
	if err != nil {
		return nil, err
	}
	defer in.mask.release()
	gamma, beta := affineOf(o.affine, in.data[1:])
	out, y := o.mem.tensor(vs[0].Shape()...)
	if in.within != nil {
		groupNorm[T]{*in.within}.forward(y, in.data[0], in.mask.data, gamma, beta, vs[0].Shape())
		return out, nil
	}
	kernel.BatchNormFwd(y, in.data[0], in.mask.data, gamma, beta, in.view, in.stats)
	return out, nil
}

// gradient returns the gradient with respect to x, γ and β.
func (o *batchNormOp[T]) gradient() gradient {
	grad := newBatchNormGrad[T](o.batchNorm)
	return gradientOf(&o.base, grad, grad.inputs, o.reuse)
}

// batchNormGradOp is the gradient, of (x, γ?, statistics, mask?, dy), packed as [dx | dγ?
// | dβ?]. If the statistics are those of the batch, dx is the total derivative, through
// them too.
type batchNormGradOp[T dense.Float] struct {
	base
	batchNorm
	differentiable[T]
	mem memory[T]
}

func newBatchNormGrad[T dense.Float](b batchNorm) *batchNormGradOp[T] {
	in := append(b.inputsWith(affine{gamma: b.gamma}), inputSpec{name: "dy", rank: b.rank})
	o := &batchNormGradOp[T]{base: newBase[T](b.describe("norm.BatchNormGrad"), 1, in...), batchNorm: b, mem: memory[T]{reuse: b.reuse}}
	o.differentiable = differentiable[T]{"batchnorm", o}
	return o
}

// statsAt returns the number of the statistics among the inputs.
func (o *batchNormGradOp[T]) statsAt() int { return affine{gamma: o.gamma}.count() + 1 }

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
	in, x, gamma, dy, err := o.values(vs)
	if err != nil {
		return nil, err
	}
	defer in.mask.release()
	out, packed := o.mem.tensor(len(x) + o.count()*o.channels)
	dgamma, dbeta := affineParts(o.affine, packed[len(x):], o.channels)
	if in.within != nil {
		groupNorm[T]{*in.within}.backward(packed[:len(x)], dgamma, dbeta, x, in.mask.data, gamma, dy, vs[0].Shape())
		return out, nil
	}
	kernel.BatchNormBwd(packed[:len(x)], dgamma, dbeta, x, in.mask.data, gamma, dy, in.view, in.stats, in.batch)
	return out, nil
}

// values checks the inputs and returns them.
func (o *batchNormGradOp[T]) values(vs []G.Value) (in batchIn[T], x, gamma, dy []T, err error) {
	if in, err = batchInputs[T](&o.base, &o.batchNorm, vs, o.statsAt()); err != nil {
		return in, nil, nil, nil, err
	}
	x, dy = in.data[0], in.data[len(vs)-1]
	if len(dy) != len(x) {
		in.mask.release()
		return in, nil, nil, nil, fault.New(fault.ErrValue, o.label, "dy has %d elements, want %d", len(dy), len(x))
	}
	gamma, _ = affineOf(affine{gamma: o.gamma}, in.data[1:])
	return in, x, gamma, dy, nil
}

// gradient returns the gradient with respect to x, γ and dy.
func (o *batchNormGradOp[T]) gradient() gradient { return secondOf[T](&o.base, o, o.reuse) }

// second returns the gradients of ⟨u, packed⟩ with respect to x, γ and dy.
func (o *batchNormGradOp[T]) second(mem *memory[T], u []T, vs []G.Value) (*tensor.Dense, error) {
	in, x, gamma, dy, err := o.values(vs)
	if err != nil {
		return nil, err
	}
	defer in.mask.release()
	n := len(x)
	if err := checkUpstream(o.label, u, n+o.count()*o.channels); err != nil {
		return nil, err
	}
	ugamma, ubeta := affineParts(o.affine, u[n:], o.channels)
	out, packed := mem.tensor(2*n + len(gamma))
	grads := secondParts(packed, n, len(gamma))
	args := kernel.SecondArgs[T]{X: x, Gamma: gamma, DY: dy, UX: u[:n], UGamma: ugamma, UBeta: ubeta}
	if in.within != nil {
		groupNorm[T]{*in.within}.second(grads, args, in.mask.data, vs[0].Shape())
		return out, nil
	}
	kernel.BatchNormSecond(grads, args, in.mask.data, in.view, in.stats, in.batch)
	return out, nil
}

var (
	_ G.SDOp = (*batchNormOp[float32])(nil)
	_ G.ADOp = (*batchNormOp[float32])(nil)
	_ G.SDOp = (*batchNormGradOp[float32])(nil)
	_ G.ADOp = (*batchNormGradOp[float32])(nil)
)
