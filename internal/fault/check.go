package fault

import (
	"math"

	"gorgonia.org/tensor"
)

// Eps checks a constant that is added to a variance or a deviation.
func Eps(op string, eps float64) error {
	if !(eps > 0) || math.IsInf(eps, 1) {
		return New(ErrOption, op, "eps is %v, want a positive finite number", eps)
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

// maxSize bounds the elements of a parameter. It keeps products of sizes from
// overflowing, and a typing error from asking for all memory.
const maxSize = 1 << 31

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

// WholeTensor as an axis stands for one norm over all elements.
const WholeTensor = -1 << 31

// Axis checks the axis of a weight norm.
func Axis(op string, shape tensor.Shape, axis int) error {
	if len(shape) < 1 || len(shape) > 5 {
		return New(ErrShape, op, "v is %v, want rank 1 to 5", shape)
	}
	if axis != WholeTensor && (axis < 0 || axis >= len(shape)) {
		return New(ErrShape, op, "axis is %d, want 0 to %d for v %v, or WholeTensor", axis, len(shape)-1, shape)
	}
	return nil
}
