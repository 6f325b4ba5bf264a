package ops

import (
	"slices"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	"gorgonia.org/tensor"
)

// values are the arguments of an op that is evaluated without a graph. First come the
// tensors that it normalizes, the activations, and then its parameters.
type values struct {
	args        [maxInputs]arg // an array, so that nothing is allocated
	count       int
	activations int
	affine
}

// valuesOf returns x as the only argument.
func valuesOf(x *tensor.Dense) (v values) {
	v.add("x", x)
	v.activations = 1
	return v
}

// affineValues returns x and those of γ and β that are not nil.
func affineValues(x, gamma, beta *tensor.Dense) values {
	v := valuesOf(x)
	v.addAffine(gamma, beta)
	return v
}

func (v *values) add(name string, value *tensor.Dense) {
	v.args[v.count] = arg{name, value}
	v.count++
}

func (v *values) addAffine(gamma, beta *tensor.Dense) {
	if v.gamma = gamma != nil; v.gamma {
		v.add("gamma", gamma)
	}
	if v.beta = beta != nil; v.beta {
		v.add("beta", beta)
	}
}

// list returns all arguments.
func (v *values) list() []arg { return v.args[:v.count] }

// value returns argument i.
func (v *values) value(i int) *tensor.Dense { return v.args[i].node.(*tensor.Dense) }

// maxAxes is the largest number of axes for which nothing is allocated.
const maxAxes = 8

// evaluate runs f on the elements of the arguments, which have been checked, and of a
// result of the given shape, which is dst or, if that is nil, a new tensor.
func evaluate[T dense.Float](op string, dst *tensor.Dense, shape tensor.Shape, v *values, f func(y []T, in [maxInputs][]T)) (_ *tensor.Dense, err error) {
	defer guardCall(op, &err)
	r, err := newResult[T](op, "the destination", dst, shape, v)
	if err != nil {
		return nil, err
	}
	in := newOperands[T](v)
	f(r.data, in.data)
	in.release()
	return r.finish(), nil
}

// guardCall is guard for functions that are not ops.
func guardCall(op string, err *error) {
	if r := recover(); r != nil {
		*err = fault.New(fault.ErrInternal, op, "internal fault: %v", r)
	}
}

// operands are the elements of the arguments in row-major order: their own memory if they
// are in that order, else copies.
type operands[T dense.Float] struct {
	data   [maxInputs][]T
	copies [maxInputs]*kernel.Scratch[T] // nil: none
}

func newOperands[T dense.Float](v *values) (o operands[T]) {
	for i := range v.count {
		d := v.value(i)
		if dense.RowMajor(d) {
			o.data[i] = dense.Own[T](d)
			continue
		}
		o.copies[i] = kernel.Borrow[T](d.Shape().TotalSize())
		o.data[i] = o.copies[i].Data
		dense.Gather(o.data[i], d)
	}
	return o
}

func (o *operands[T]) release() {
	for _, s := range o.copies {
		if s != nil {
			s.Release()
		}
	}
}

// result is the destination of a result.
type result[T dense.Float] struct {
	out  *tensor.Dense
	data []T                // the elements of out, or scratch
	copy *kernel.Scratch[T] // not nil: data has to be copied to out
}

// newResult returns a result in dst, or in a new tensor. The result is made in scratch if
// dst is not in row-major order, or shares memory with what is normalized. It is an error
// if dst shares memory with a parameter, which would be overwritten.
func newResult[T dense.Float](op, name string, dst *tensor.Dense, shape tensor.Shape, v *values) (r result[T], err error) {
	if dst == nil {
		r.data = dense.Uninitialized[T](shape.TotalSize())
		r.out = dense.New(shape, r.data)
		return r, nil
	}
	switch {
	case dst.Dtype() != dense.Dtype[T]():
		return r, fault.New(fault.ErrDtype, op, "%s is %v, want %v", name, dst.Dtype(), dense.Dtype[T]())
	case !slices.Equal(dst.Shape(), shape):
		return r, fault.New(fault.ErrShape, op, "%s is %v, want %v", name, dst.Shape(), shape.Clone())
	case dst.IsMasked():
		return r, fault.New(fault.ErrValue, op, "%s is masked, want a tensor without mask", name)
	}
	shared := false
	for i, a := range v.list() {
		if !dense.Overlap(dst, v.value(i)) {
			continue
		}
		if i >= v.activations {
			return r, fault.New(fault.ErrValue, op, "%s shares memory with %s, want other memory", name, a.name)
		}
		shared = true
	}
	r.out = dst
	if !shared && dense.RowMajor(dst) {
		r.data = dense.Own[T](dst)
		return r, nil
	}
	r.copy = kernel.Borrow[T](shape.TotalSize())
	r.data = r.copy.Data
	return r, nil
}

// finish copies the result to its destination if necessary, and returns it.
func (r *result[T]) finish() *tensor.Dense {
	if r.copy != nil {
		dense.Scatter(r.out, r.data)
		r.copy.Release()
	}
	return r.out
}
