package ops

import (
	"fmt"
	"hash"
	"hash/fnv"
	"io"

	"github.com/chewxy/hm"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// base answers for every op of this package what is the same for all.
type base struct {
	// label names the op and every attribute that changes its result, in full
	// precision: Gorgonia merges nodes of equal hash, and this is hashed.
	label string
	arity int
}

// Arity returns the number of inputs.
func (b *base) Arity() int { return b.arity }

// ReturnsPtr is true: the result is a tensor of its own.
func (b *base) ReturnsPtr() bool { return true }

// CallsExtern is false.
func (b *base) CallsExtern() bool { return false }

// OverwritesInput is -1: inputs may be shared with others, or be the user's.
func (b *base) OverwritesInput() int { return -1 }

// WriteHash writes the label.
func (b *base) WriteHash(h hash.Hash) { io.WriteString(h, b.label) }

// Hashcode returns the hash of the label.
func (b *base) Hashcode() uint32 {
	h := fnv.New32a()
	b.WriteHash(h)
	return h.Sum32()
}

// String returns the label.
func (b *base) String() string { return b.label }

// firstOrder is embedded by ops that have no derivative yet. They say that
// they do have one, since Gorgonia takes the derivative of what is not
// differentiable for 0, and then return an error.
type firstOrder struct{ base }

// DiffWRT is true for every input.
func (f *firstOrder) DiffWRT(inputs int) []bool { return all(inputs) }

// SymDiff returns ErrSecondOrder.
func (f *firstOrder) SymDiff(G.Nodes, *G.Node, *G.Node) (G.Nodes, error) {
	return nil, Errorf(ErrSecondOrder, f.label, noSecondOrder)
}

// DoDiff returns ErrSecondOrder.
func (f *firstOrder) DoDiff(G.ExecutionContext, G.Nodes, *G.Node) error {
	return Errorf(ErrSecondOrder, f.label, noSecondOrder)
}

// all returns n trues.
func all(n int) []bool {
	t := make([]bool, n)
	for i := range t {
		t[i] = true
	}
	return t
}

// dtypeOf returns the dtype of T.
func dtypeOf[T kernel.Float]() tensor.Dtype {
	if _, ok := any(T(0)).(float32); ok {
		return tensor.Float32
	}
	return tensor.Float64
}

// fnType returns the type of an op from tensors of the given ranks to one, all
// of T. It is made anew on each call since Gorgonia recycles it.
func fnType[T kernel.Float](ranks ...int) hm.Type {
	ts := make([]hm.Type, len(ranks))
	for i, r := range ranks {
		ts[i] = tensorOf[T](r)
	}
	return hm.NewFnType(ts...)
}

func tensorOf[T kernel.Float](rank int) hm.Type {
	return G.TensorType{Dims: rank, Of: dtypeOf[T]()}
}

// shapeOf returns the shape of input i. Gorgonia may hand over sizes that are
// no shape.
func shapeOf(op string, in []G.DimSizer, i int) (tensor.Shape, error) {
	if i >= len(in) {
		return nil, Errorf(ErrShape, op, "%d inputs, want more than %d", len(in), i)
	}
	s, ok := in[i].(tensor.Shape)
	if !ok {
		return nil, Errorf(ErrShape, op, "input %d has a size of type %T, want a shape", i, in[i])
	}
	return s.Clone(), nil
}

// elements returns the elements of a value in row-major order: its own memory
// where that is how they lie, a copy where not. Strides tell the layout; the
// flags of a tensor do not always. name is for errors.
func elements[T kernel.Float](op, name string, v G.Value) ([]T, error) {
	d, ok := v.(*tensor.Dense)
	switch {
	case v == nil || ok && d == nil:
		return nil, Errorf(ErrValue, op, "%s has no value", name)
	case !ok:
		return nil, Errorf(ErrValue, op, "%s holds %T, want a dense tensor", name, v)
	case d.Dtype() != dtypeOf[T]():
		return nil, Errorf(ErrValue, op, "%s holds %v, want %v", name, d.Dtype(), dtypeOf[T]())
	case d.IsMasked():
		return nil, Errorf(ErrValue, op, "%s is masked, want a tensor without mask", name)
	case len(d.Shape()) == 0:
		return nil, Errorf(ErrValue, op, "%s is a scalar, want a tensor", name)
	}
	data, strides := d.Data().([]T), stridesOf(d)
	if n := d.Shape().TotalSize(); rowMajor(d.Shape(), strides) {
		return data[:n:n], nil
	}
	out := make([]T, 0, d.Shape().TotalSize())
	eachElement(d.Shape(), strides, func(at int) { out = append(out, data[at]) })
	return out, nil
}

// inputNames are for errors. No op has more inputs.
var inputNames = [...]string{"input 0", "input 1", "input 2", "input 3"}

// inputs returns the elements of each value, whose sizes must be those given;
// 0 stands for any.
func inputs[T kernel.Float](op string, vs []G.Value, sizes ...int) ([][]T, error) {
	if len(vs) != len(sizes) {
		return nil, Errorf(ErrValue, op, "%d inputs, want %d", len(vs), len(sizes))
	}
	in := make([][]T, len(vs))
	for i, v := range vs {
		e, err := elements[T](op, inputNames[i], v)
		if err != nil {
			return nil, err
		}
		if sizes[i] != 0 && len(e) != sizes[i] {
			return nil, Errorf(ErrValue, op, "input %d has %d elements, want %d", i, len(e), sizes[i])
		}
		in[i] = e
	}
	return in, nil
}

// stridesOf returns a stride for each axis. Column-major tensors of one element
// have no strides, and those of shape (n, 1) or (1, n) have one.
func stridesOf(d *tensor.Dense) []int {
	shape, strides := d.Shape(), d.Strides()
	if len(strides) == len(shape) {
		return strides
	}
	step := 1
	if len(strides) > 0 {
		step = strides[0]
	}
	return repeat(step, len(shape))
}

// rowMajor says whether strides are those of a row-major tensor of the shape.
// The stride of an axis of size 1 is never used.
func rowMajor(shape tensor.Shape, strides []int) bool {
	if len(shape) != len(strides) {
		return false
	}
	want := 1
	for i := len(shape) - 1; i >= 0; i-- {
		if shape[i] != 1 && strides[i] != want {
			return false
		}
		want *= shape[i]
	}
	return true
}

// eachElement calls f with the offset of every element, in row-major order.
func eachElement(shape tensor.Shape, strides []int, f func(at int)) {
	if len(shape) == 0 {
		f(0)
		return
	}
	for i := range shape[0] {
		eachElement(shape[1:], strides[1:], func(at int) { f(i*strides[0] + at) })
	}
}

// newTensor returns a row-major tensor of the shape over data.
func newTensor[T kernel.Float](shape tensor.Shape, data []T) *tensor.Dense {
	return tensor.New(tensor.WithShape(shape.Clone()...), tensor.WithBacking(data))
}

// guard turns a panic inside an op into an error. A machine runs ops in a
// goroutine of its own, where a panic would end the user's process.
func guard(op fmt.Stringer, err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("norm: %v: internal fault: %v", op, r)
	}
}
