package ops

import (
	"fmt"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Reshape returns the elements of x, in row-major order, in another shape. One of its
// sizes may be −1, which stands for the size that is left.
//
// The result of gorgonia.Reshape shares the memory of its input, which a TapeMachine does
// not know: an op that works in place, such as gorgonia.Square of the result, overwrites
// a value that the gradient of another op still needs. In a LispMachine gorgonia.Reshape
// replaces the gradient of an input that has other uses, instead of adding to it. This op
// copies, and has neither fault.
//
// Shapes: x and the result have at least one axis; gorgonia.Sum gives a scalar. Dtypes:
// float32 or float64.
//
// Errors at graph building: ErrGraph, ErrDtype, ErrShape.
func Reshape(x *G.Node, shape tensor.Shape) (*G.Node, error) {
	const name = "reshape"
	dt, err := checkArgs(name, []arg{{"x", x}})
	if err != nil {
		return nil, err
	}
	to, err := inferred(name, x.Shape(), shape)
	if err != nil {
		return nil, err
	}
	if dt == tensor.Float32 {
		return apply(name, newReshape[float32](x.Shape(), to, "", false), x)
	}
	return apply(name, newReshape[float64](x.Shape(), to, "", false), x)
}

// inferred returns the shape with its −1 replaced by a size.
func inferred(op string, from, shape tensor.Shape) (tensor.Shape, error) {
	if len(shape) == 0 {
		return nil, fault.New(fault.ErrShape, op, "the new shape is that of a scalar, want at least one axis; gorgonia.Sum makes a scalar of one element")
	}
	to, open := shape.Clone(), -1
	left := from.TotalSize() // the elements divided by the sizes so far, or 0 if one does not divide them
	for i, n := range to {
		switch {
		case n == -1 && open < 0:
			open = i
		case n > 0 && left%n == 0:
			left /= n
		default:
			left = 0
		}
	}
	if open >= 0 && left > 0 {
		to[open], left = left, 1
	}
	if left != 1 {
		return nil, fault.New(fault.ErrShape, op, "the new shape is %v, want one of %d elements, as x has in %v", shape, from.TotalSize(), from)
	}
	return to, nil
}

// reshapeOp is a copy of its input in a shape.
type reshapeOp[T dense.Float] struct {
	base
	from, to tensor.Shape
	mem      memory[T]
}

// newReshape makes the op. Ops of different purposes are different ops, each with its own
// result.
func newReshape[T dense.Float](from, to tensor.Shape, purpose string, reuse bool) *reshapeOp[T] {
	label := fmt.Sprintf("norm.Reshape(from=%v, to=%v%s, reuse=%v)", from, to, purpose, reuse)
	b := newBase[T](label, len(to), inputSpec{name: "x", rank: len(from), size: from.TotalSize()})
	return &reshapeOp[T]{b, from.Clone(), to.Clone(), memory[T]{reuse: reuse}}
}

// InferShape returns the new shape.
func (o *reshapeOp[T]) InferShape(...G.DimSizer) (tensor.Shape, error) { return o.to.Clone(), nil }

// Do returns the copy.
func (o *reshapeOp[T]) Do(vs ...G.Value) (_ G.Value, err error) {
	defer guard(o, &err)
	in, err := inputs[T](&o.base, vs)
	if err != nil {
		return nil, err
	}
	out, data := o.mem.tensor(o.to...)
	kernel.Copy(data, in[0])
	return out, nil
}

// SymDiff returns the gradient in the shape of the input.
func (o *reshapeOp[T]) SymDiff(_ G.Nodes, _, u *G.Node) (G.Nodes, error) {
	d, err := apply("reshape", newReshape[T](o.to, o.from, "", o.mem.reuse), u)
	return G.Nodes{d}, err
}

// DoDiff adds to the gradient of the input. It is that of a sum of one tensor.
func (o *reshapeOp[T]) DoDiff(ctx G.ExecutionContext, in G.Nodes, out *G.Node) (err error) {
	defer guard(o, &err)
	return sumOf[T]{kind: "reshape"}.DoDiff(ctx, in, out)
}

var (
	_ G.SDOp = (*reshapeOp[float32])(nil)
	_ G.ADOp = (*reshapeOp[float32])(nil)
)
