package ops

import (
	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// InstanceNormConfig says how instance norm normalizes and averages. It is as for batch
// norm, with each sample in place of the batch. ChannelAxis must be 1, or 0 for the
// default. The other fields, except Eps, Mask and Reuse, are about running statistics.
type InstanceNormConfig = BatchNormConfig

// InstanceNorm normalizes each channel of each sample over the spatial axes, and
// applies an optional scale and shift:
//
//	y = (x − mean)/√(variance + eps)·γ + β
//
// with the mean and the biased variance of the channel in the sample. With nil
// stats, which is PyTorch's default, it is the same in training and evaluation.
//
// With running statistics, training updates them towards the mean and the unbiased
// variance of the samples, averaged over the batch. Evaluation normalizes by them, as in
// batch norm, which is a different function than in training. Otherwise the mode and the
// statistics are as for BatchNorm.
//
// Shapes: x is (N, C, L), (N, C, H, W) or (N, C, D, H, W), γ and β are (C), or nil
// for none; y has the shape of x. Dtypes: float32 or float64, one for all.
//
// Errors at graph building: ErrGraph, ErrDtype, ErrShape, ErrOption, and ErrBatch
// for one spatial element if stats are nil. If they are not, that is ErrBatch from
// RunAll, in training.
//
// Ulyanov, Vedaldi, Lempitsky, "Instance Normalization: The Missing Ingredient
// for Fast Stylization", 2016, arXiv:1607.08022v3.
func InstanceNorm(x, gamma, beta *G.Node, stats *RunningStats, cfg InstanceNormConfig) (*G.Node, error) {
	const name = "instancenorm"
	in, aff := affineArgs(x, gamma, beta)
	dt, err := checkNodes(name, withMask(in, cfg.Mask))
	if err != nil {
		return nil, err
	}
	c, err := checkInstanceNorm(name, in, stats, cfg)
	if err != nil {
		return nil, err
	}
	if dt == tensor.Float32 {
		return applyInstanceNorm[float32](name, in, aff, c, stats, cfg)
	}
	return applyInstanceNorm[float64](name, in, aff, c, stats, cfg)
}

func checkInstanceNorm(name string, in []arg, stats *RunningStats, cfg InstanceNormConfig) (channelAxis, error) {
	x := in[0].node.Shape()
	if len(x) < 3 || len(x) > 5 {
		return channelAxis{}, fault.New(fault.ErrShape, name, "x is %v, want rank 3 to 5 as (N, C, L), (N, C, H, W) or (N, C, D, H, W)", x)
	}
	if cfg.ChannelAxis != 0 && cfg.ChannelAxis != 1 {
		return channelAxis{}, fault.New(fault.ErrOption, name, "the channel axis is %d, want 1", cfg.ChannelAxis)
	}
	if stats == nil && x[2:].TotalSize() == 1 {
		return channelAxis{}, fault.New(fault.ErrBatch, name, "x is %v, want more than one spatial element", x)
	}
	return checkBatchNorm(name, in, stats, cfg)
}

func applyInstanceNorm[T dense.Float](name string, in []arg, aff affine, c channelAxis, stats *RunningStats, cfg InstanceNormConfig) (*G.Node, error) {
	how := channelGroups{c.channels, c.channels, cfg.Eps}
	if stats == nil {
		op := newGroupNorm[T]("InstanceNorm", how, aff, maskingOf(cfg.Mask, 1), c.rank, cfg.Reuse)
		return apply(name, op, nodes(withMask(in, cfg.Mask))...)
	}
	return applyBatchNorm[T](name, in, aff, c, &how, stats, cfg)
}
