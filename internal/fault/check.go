package fault

import (
	"fmt"
	"math"
	"slices"

	"gorgonia.org/tensor"
)

// smallestEps is the smallest normal number. Some smaller numbers have no finite inverse.
const smallestEps = 0x1p-1022

// Eps checks a constant that is added to a variance or a standard deviation.
func Eps(op string, eps float64) error {
	if !(eps > 0) || math.IsInf(eps, 1) {
		return New(ErrOption, op, "eps is %v, want a positive finite number", eps)
	}
	if eps < smallestEps {
		return New(ErrOption, op, "eps is %v, want at least 2⁻¹⁰²²", eps)
	}
	return nil
}

// Momentum checks an update rate.
func Momentum(op string, m float64) error {
	if !(m >= 0 && m <= 1) {
		return New(ErrOption, op, "momentum is %v, want a number in [0, 1]", m)
	}
	return nil
}

// maxSize is the largest number of elements of a parameter. It keeps products of sizes
// from overflowing, and a mistyped size from taking all memory.
const maxSize = min(1<<31-1, math.MaxInt/16) // where an int has 32 bits, 1 GiB of float64

// Sizes checks the shape of a parameter, or the part of one that a layer
// normalizes over.
func Sizes(op, what string, shape tensor.Shape) error {
	n := 1
	for _, s := range shape {
		if s < 1 {
			return New(ErrShape, op, "%s is %v, want positive sizes", what, shape)
		}
		if s > maxSize/n {
			return New(ErrShape, op, "%s is %v, want at most %d elements", what, shape, maxSize)
		}
		n *= s
	}
	return nil
}

// NormalizedShape checks the shape that a row-wise norm runs over.
func NormalizedShape(op string, shape tensor.Shape) error {
	if len(shape) == 0 {
		return New(ErrShape, op, "the normalized shape is empty, want at least one axis")
	}
	return Sizes(op, "the normalized shape", shape)
}

// Channels checks a number of channels.
func Channels(op string, channels int) error {
	if channels < 1 || channels > maxSize {
		return New(ErrShape, op, "%d channels, want 1 to %d", channels, maxSize)
	}
	return nil
}

// GivenChannelAxis checks the axis of the channels before there is an x. Errors are of
// the given kind, and call x by name.
func GivenChannelAxis(kind error, op, name string, axis int) error {
	if axis < -5 || axis > 4 {
		return New(kind, op, "the channel axis is %d, want -5 to 4, as %s has rank 2 to 5", axis, name)
	}
	return nil
}

// ChannelAxis returns the axis of the channels of x, counted from the front. 0 stands for
// 1. Errors call x by name.
func ChannelAxis(op, name string, x tensor.Shape, axis int) (int, error) {
	rank := len(x)
	switch {
	case rank < 2 || rank > 5:
		return 0, New(ErrShape, op, "%s is %v, want rank 2 to 5 as (N, C, ...)", name, x)
	case axis == 0:
		return 1, nil
	case axis < -rank || axis >= rank:
		return 0, New(ErrShape, op, "the channel axis is %d, want %d to %d for %s %v", axis, -rank, rank-1, name, x)
	case axis < 0:
		return axis + rank, nil
	}
	return axis, nil
}

// AppendAxes appends to all, which is empty, the axes that a norm of x runs over, counted
// from the front and in ascending order.
func AppendAxes(all []int, op string, x tensor.Shape, axes []int) ([]int, error) {
	if len(axes) == 0 {
		return nil, New(ErrShape, op, "there are no axes to normalize over, want at least one")
	}
	rank := len(x)
	for _, a := range axes {
		if a < -rank || a >= rank {
			return nil, New(ErrShape, op, "an axis is %d, want %d to %d for x %v", a, -rank, rank-1, x)
		}
		all = append(all, (a+rank)%rank)
	}
	slices.Sort(all)
	for i := 1; i < len(all); i++ {
		if all[i] == all[i-1] {
			return nil, New(ErrShape, op, "the axes are %v, want each once", axes)
		}
	}
	return all, nil
}

// WithChannels returns the shapes with a number of channels in an axis, as text.
func WithChannels(channels, axis int) string {
	if axis == 1 {
		return fmt.Sprintf("(N, %d, ...)", channels)
	}
	return fmt.Sprintf("%d channels in axis %d", channels, axis)
}

// WholeTensor as an axis stands for one norm over all elements.
const WholeTensor = -1 << 31

// Axis checks the axis of a weight norm.
func Axis(op string, shape tensor.Shape, axis int) error {
	if len(shape) < 1 || len(shape) > 5 {
		return New(ErrShape, op, "the weight is %v, want rank 1 to 5", shape)
	}
	if axis != WholeTensor && (axis < 0 || axis >= len(shape)) {
		return New(ErrShape, op, "axis is %d, want 0 to %d for a weight %v, or WholeTensor", axis, len(shape)-1, shape)
	}
	return nil
}

// Groups checks that the channels can be divided into that number of groups.
func Groups(op string, groups, channels int) error {
	if groups < 1 || channels%groups != 0 {
		return New(ErrOption, op, "%d groups of %d channels, want a number that divides that of the channels", groups, channels)
	}
	return nil
}
