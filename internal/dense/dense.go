// Package dense reads and makes dense tensors of any layout. It uses their shape and
// strides, since the flags of a tensor do not always tell its layout.
package dense

import (
	"bytes"
	"slices"
	"strings"
	"unsafe"

	"github.com/gorgonorm/norm/internal/fault"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Float is the type of the elements.
type Float interface{ float32 | float64 }

// Dtype returns the dtype of T.
func Dtype[T Float]() tensor.Dtype {
	if _, ok := any(T(0)).(float32); ok {
		return tensor.Float32
	}
	return tensor.Float64
}

// New returns a row-major tensor of the shape over data. It takes a fraction of the time
// of tensor.New, which matters in an op that has little to do.
func New[T Float](shape tensor.Shape, data []T) *tensor.Dense {
	d := *empty[T]()
	d.Raw = memory(data)
	// Shape and strides are the tensor's own: Gorgonia may pool and wipe it.
	rank := len(shape)
	sizes := make([]int, 2*rank)
	copy(sizes, shape)
	strides := sizes[rank:]
	stride := 1
	for i := rank - 1; i >= 0; i-- {
		strides[i] = stride
		stride *= shape[i]
	}
	d.Init(sizes[:rank:rank], strides)
	return &d
}

// clearedBelow is the number of bytes below which make is as fast. Allocating and filling
// 16 KiB takes 5.5 µs either way, but 1 MiB takes 160 µs with make and 70 µs without
// clearing, and 16 MiB 2.4 and 1.0 ms (Zen 3).
const clearedBelow = 32 << 10

// Uninitialized returns n elements whose values are not defined, for a caller that writes
// them all. Clearing a large array, as make does, takes longer than most kernels take to
// fill it.
func Uninitialized[T Float](n int) []T {
	size := n * int(unsafe.Sizeof(T(0)))
	if size < clearedBelow {
		return make([]T, n)
	}
	// Only Builder.Grow allocates without clearing. The memory is like any other without
	// pointers: it is collected when no slice of it is left. StringData forbids writing
	// to the bytes of a string because others may share them, but nobody else has this
	// string, and the Builder is dropped.
	var b strings.Builder
	b.Grow(size)
	b.WriteByte(0) // an empty string need not have an address
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.StringData(b.String()))), n)
}

var (
	empty32 = tensor.New(tensor.WithShape(1), tensor.Of(tensor.Float32))
	empty64 = tensor.New(tensor.WithShape(1), tensor.Of(tensor.Float64))
)

// empty returns an empty tensor of T, whose dtype and engine are copied.
func empty[T Float]() *tensor.Dense {
	if unsafe.Sizeof(T(0)) == 4 {
		return empty32
	}
	return empty64
}

// Alias returns a tensor over the memory of another, of float32 or float64. It does not
// read the engine of the other, which may be written at the same time when a machine is
// built.
func Alias(d *tensor.Dense) *tensor.Dense {
	if !RowMajor(d) {
		return d.ShallowClone()
	}
	return Reshaped(d, d.Shape())
}

// Reshaped is Alias in another shape, for a tensor in row-major order.
func Reshaped(d *tensor.Dense, shape tensor.Shape) *tensor.Dense {
	if d.Dtype() == tensor.Float32 {
		return New(shape, Own[float32](d))
	}
	return New(shape, Own[float64](d))
}

// elements returns the whole memory of a tensor of T.
func elements[T Float](d *tensor.Dense) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(d.Raw))), len(d.Raw)/int(unsafe.Sizeof(T(0))))
}

// Check checks that a value is a dense tensor of T, of rank 1 or more and
// without mask. op and name are for the error.
func Check[T Float](op, name string, v G.Value) (*tensor.Dense, error) {
	d, ok := v.(*tensor.Dense)
	switch {
	case v == nil || ok && d == nil:
		return nil, fault.New(fault.ErrValue, op, "%s has no value, want a tensor", name)
	case !ok:
		return nil, fault.New(fault.ErrValue, op, "%s holds %T, want a dense tensor", name, v)
	case d.Dtype() != Dtype[T]():
		return nil, fault.New(fault.ErrValue, op, "%s holds %v, want %v", name, d.Dtype(), Dtype[T]())
	case d.Shape().TotalSize() == 0: // IsMasked is true then
		return nil, fault.New(fault.ErrValue, op, "%s is %v, want no empty axis", name, d.Shape())
	case d.IsMasked():
		return nil, fault.New(fault.ErrValue, op, "%s is masked, want a tensor without mask", name)
	case len(d.Shape()) == 0:
		return nil, fault.New(fault.ErrValue, op, "%s is a scalar, want a tensor", name)
	}
	return d, nil
}

// Elements returns the elements of a value in row-major order: its own memory if they are
// in that order, else a copy.
func Elements[T Float](op, name string, v G.Value) ([]T, error) {
	d, err := Check[T](op, name, v)
	if err != nil {
		return nil, err
	}
	if RowMajor(d) {
		return Own[T](d), nil
	}
	out := Uninitialized[T](d.Shape().TotalSize())
	Gather(out, d)
	return out, nil
}

// Own returns the memory of a tensor of T in row-major order.
func Own[T Float](d *tensor.Dense) []T {
	n := d.Shape().TotalSize()
	return elements[T](d)[:n:n]
}

// Gather copies the elements of a tensor of T, in row-major order, to out.
func Gather[T Float](out []T, d *tensor.Dense) {
	data := elements[T](d)
	Each(d, func(at, count, stride int) {
		for i := range out[:count] {
			out[i] = data[at]
			at += stride
		}
		out = out[count:]
	})
}

// Scatter is the reverse of Gather: it sets the elements of a tensor.
func Scatter[T Float](d *tensor.Dense, in []T) {
	data := elements[T](d)
	Each(d, func(at, count, stride int) {
		for _, v := range in[:count] {
			data[at] = v
			at += stride
		}
		in = in[count:]
	})
}

// Same says whether two slices have the same elements, bit for bit.
func Same[T Float](a, b []T) bool {
	return bytes.Equal(memory(a), memory(b))
}

func memory[T Float](s []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(T(0))))
}

// Overlap says whether the memory of two tensors overlaps. The gaps between the elements
// of a view count.
func Overlap(a, b *tensor.Dense) bool {
	from := func(d *tensor.Dense) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(d.Raw))) }
	return len(a.Raw) > 0 && len(b.Raw) > 0 &&
		from(a) < from(b)+uintptr(len(b.Raw)) && from(b) < from(a)+uintptr(len(a.Raw))
}

// strides returns one stride for each axis. A column-major tensor has none for one
// element, and only one for the shape (n, 1) or (1, n).
func strides(d *tensor.Dense) []int {
	s := d.Strides()
	switch {
	case len(s) == d.Dims():
		return s
	case len(s) > 0:
		return slices.Repeat(s[:1], d.Dims())
	default:
		return slices.Repeat([]int{1}, d.Dims())
	}
}

// RowMajor says whether the elements of a tensor are in row-major order without gaps. The
// stride of an axis of size 1 does not matter.
func RowMajor(d *tensor.Dense) bool {
	shape, s := d.Shape(), strides(d)
	want := 1
	for i := len(shape) - 1; i >= 0; i-- {
		if shape[i] != 1 && s[i] != want {
			return false
		}
		want *= shape[i]
	}
	return true
}

// Each calls f for each line along the last axis, in row-major order, with the
// offset of its first element, their number and the stride between them.
func Each(d *tensor.Dense, f func(at, count, stride int)) { lines(d.Shape(), strides(d), f) }

// lines is Each for a shape and strides.
func lines(shape tensor.Shape, s []int, f func(at, count, stride int)) {
	last := len(shape) - 1
	if last < 0 {
		f(0, 1, 1)
		return
	}
	var few [8]int // on the stack
	index := few[:]
	if last > len(few) {
		index = make([]int, last)
	}
	for at := 0; ; {
		f(at, shape[last], s[last])
		axis := last - 1
		for ; axis >= 0; axis-- { // to the next line, as an odometer counts
			index[axis]++
			at += s[axis]
			if index[axis] < shape[axis] {
				break
			}
			at -= index[axis] * s[axis]
			index[axis] = 0
		}
		if axis < 0 {
			return
		}
	}
}
