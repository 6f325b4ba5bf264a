package dense

import (
	"slices"

	"gorgonia.org/tensor"
)

// Walk calls f with each element of a tensor of T of any layout, in the row-major order
// of the tensor or of its transpose.
func Walk[T Float](d *tensor.Dense, transposed bool, f func(*T)) {
	data, shape, s := elements[T](d), d.Shape(), strides(d)
	if transposed {
		shape, s = shape.Clone(), slices.Clone(s)
		slices.Reverse(shape)
		slices.Reverse(s)
	}
	lines(shape, s, func(at, count, stride int) {
		for range count {
			f(&data[at])
			at += stride
		}
	})
}
