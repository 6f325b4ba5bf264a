package ops

import (
	"fmt"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// GroupNormConfig says how group norm groups the channels.
type GroupNormConfig struct {
	// Groups is the number of groups; it divides the number of channels.
	Groups int

	// Eps > 0 is added to the variance.
	Eps float64

	// Mask says what of x is padding, as in BatchNormConfig, or is nil.
	Mask *G.Node

	// Reuse keeps the memory of results from run to run; see the package
	// documentation.
	Reuse bool
}

// GroupNorm normalizes groups of neighbouring channels of x, each sample by
// itself, and applies an optional scale and shift to each channel:
//
//	y = (x − mean)/√(variance + eps)·γ + β
//
// with the mean and the biased variance of each group over its channels and the
// spatial axes. It is the same in training and evaluation and for any batch size.
// With one group it is layer norm over all axes but the first, except for γ and β. With
// as many groups as channels it is instance norm.
//
// A group of one element is constant, so y is β there and the gradient of x is
// 0. In a batch of one sample that is an error, as in PyTorch.
//
// Shapes: x is (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W), γ and β are
// (C), or nil for none; y has the shape of x. Dtypes: float32 or float64, one
// for all.
//
// Errors at graph building: ErrGraph, ErrDtype, ErrShape, ErrOption, ErrBatch.
//
// Wu, He, "Group Normalization", 2018, arXiv:1803.08494v3, equation 7.
func GroupNorm(x, gamma, beta *G.Node, cfg GroupNormConfig) (*G.Node, error) {
	const name = "groupnorm"
	in, aff := affineArgs(x, gamma, beta)
	all := withMask(in, cfg.Mask)
	dt, err := checkNodes(name, all)
	if err != nil {
		return nil, err
	}
	if err := checkGroupNorm(name, in, cfg); err != nil {
		return nil, err
	}
	how, mask := channelGroups{x.Shape()[1], cfg.Groups, cfg.Eps}, maskingOf(cfg.Mask, 1)
	if dt == tensor.Float32 {
		return apply(name, newGroupNorm[float32]("GroupNorm", how, aff, mask, x.Dims(), cfg.Reuse), nodes(all)...)
	}
	return apply(name, newGroupNorm[float64]("GroupNorm", how, aff, mask, x.Dims(), cfg.Reuse), nodes(all)...)
}

func checkGroupNorm(name string, in []arg, cfg GroupNormConfig) error {
	x := in[0].node.Shape()
	if _, err := fault.ChannelAxis(name, "x", x, 1); err != nil {
		return err
	}
	if err := fault.Groups(name, cfg.Groups, x[1]); err != nil {
		return err
	}
	if x.TotalSize() == cfg.Groups {
		return fault.New(fault.ErrBatch, name, "x is %v with %d groups, want more than one value per group, or more than one sample", x, cfg.Groups)
	}
	for _, p := range in[1:] {
		if err := checkShape(name, p, tensor.Shape{x[1]}); err != nil {
			return err
		}
	}
	if err := checkMask(name, cfg.Mask, x, 1); err != nil {
		return err
	}
	return fault.Eps(name, cfg.Eps)
}

// newGroupNorm makes the op of group norm, and of instance norm.
func newGroupNorm[T dense.Float](name string, how channelGroups, aff affine, mask masking, rank int, reuse bool) *normOp[T] {
	return norm[T]{affine: aff, how: groupNorm[T]{how}, name: name, rank: rank, paramRank: 1, n: how.channels, mask: mask, reuse: reuse}.op()
}

// channelGroups says how the channels of x, in axis 1, are grouped.
type channelGroups struct {
	channels, groups int
	eps              float64
}

// String names the attributes.
func (c channelGroups) String() string {
	return fmt.Sprintf("channels=%d, groups=%d, eps=%v", c.channels, c.groups, c.eps)
}

func (c channelGroups) fits(op string, x tensor.Shape) error {
	if x[1] != c.channels {
		return fault.New(fault.ErrValue, op, "x is %v, want %s", x, fault.WithChannels(c.channels, 1))
	}
	return nil
}

// of returns the sizes of x as groups.
func (c channelGroups) of(x tensor.Shape) kernel.GroupShape {
	return kernel.GroupShape{N: x[0], Channels: c.channels, Groups: c.groups, Inner: x[2:].TotalSize(), Eps: c.eps}
}

// groupNorm is the normalizer of group norm: γ and β have an element for each
// channel.
type groupNorm[T dense.Float] struct{ channelGroups }

func (g groupNorm[T]) forward(y, x, mask, gamma, beta []T, shape tensor.Shape) {
	kernel.GroupNormFwd(y, x, mask, gamma, beta, g.of(shape))
}

func (g groupNorm[T]) backward(dx, dgamma, dbeta, x, mask, gamma, dy []T, shape tensor.Shape) {
	kernel.GroupNormBwd(dx, dgamma, dbeta, x, mask, gamma, dy, g.of(shape))
}

func (g groupNorm[T]) second(out kernel.SecondGrads[T], in kernel.SecondArgs[T], mask []T, shape tensor.Shape) {
	kernel.GroupNormSecond(out, in, mask, g.of(shape))
}
