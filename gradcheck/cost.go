package gradcheck

import (
	"fmt"
	"hash"
	"slices"

	"github.com/chewxy/hm"
	"github.com/gorgonorm/norm/internal/opcall"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The cost and its derivative are ops of this package. Built-in ones would do for a
// result in row-major order. But some of them go wrong, without an error, when a custom
// op returns another layout, and the check would then blame that op. Each of the two ops
// is the derivative of the other.

// costOp computes Σ_i w[i]·y[i] for a y of fixed shape.
type costOp struct {
	linear
	shape tensor.Shape
}

// spreadOp computes w[i]·s from a scalar s, in the fixed shape.
type spreadOp struct {
	linear
	shape tensor.Shape
}

// linear is embedded in both ops: each has one input.
type linear struct{ opcall.Pure }

func (linear) Arity() int                { return 1 }
func (linear) DiffWRT(inputs int) []bool { return slices.Repeat([]bool{true}, inputs) }

func tensorType(shape tensor.Shape) hm.Type {
	if len(shape) == 0 {
		return tensor.Float64
	}
	return G.TensorType{Dims: len(shape), Of: tensor.Float64}
}

func (op *costOp) Type() hm.Type                                  { return hm.NewFnType(tensorType(op.shape), tensor.Float64) }
func (op *costOp) String() string                                 { return fmt.Sprintf("gradcheck.cost%v", []int(op.shape)) }
func (op *costOp) WriteHash(h hash.Hash)                          { fmt.Fprint(h, op) }
func (op *costOp) Hashcode() uint32                               { return opcall.Hashcode(op) }
func (op *costOp) InferShape(...G.DimSizer) (tensor.Shape, error) { return tensor.ScalarShape(), nil }

func (op *costOp) SymDiff(_ G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	return apply(&spreadOp{shape: op.shape}, grad)
}

func (op *costOp) Do(inputs ...G.Value) (G.Value, error) {
	if len(inputs) != 1 {
		return nil, fmt.Errorf("%v: %d inputs, want 1", op, len(inputs))
	}
	y, err := floats(inputs[0])
	if err != nil {
		return nil, fmt.Errorf("%v: %w", op, err)
	}
	w := weights(op.shape.TotalSize())
	if len(y) != len(w) {
		return nil, fmt.Errorf("%v: an input of shape %v, want %v", op, inputs[0].Shape(), op.shape)
	}
	var s sum
	for i := range y {
		s.add(w[i] * y[i])
	}
	return G.NewF64(s.value()), nil
}

// DoDiff adds w times the gradient of the output to the gradient of y.
func (op *costOp) DoDiff(_ G.ExecutionContext, inputs G.Nodes, output *G.Node) error {
	upstream, err := output.Grad()
	if err != nil {
		return err
	}
	s, err := floats(upstream)
	if err != nil {
		return err
	}
	grad, err := inputs[0].Grad()
	if err != nil {
		return err
	}
	w := weights(op.shape.TotalSize())
	switch grad := grad.(type) {
	case *G.F64:
		*grad += G.F64(w[0] * s[0])
		return nil
	case *tensor.Dense:
		if grad.Dtype() != tensor.Float64 {
			break
		}
		if grad.Dims() == 0 {
			grad.Set(0, grad.ScalarValue().(float64)+w[0]*s[0])
			return nil
		}
		at, err := offsets(grad)
		if err != nil {
			return err
		}
		if len(at) != len(w) {
			break
		}
		data := grad.Data().([]float64)
		for i, k := range at {
			data[k] += w[i] * s[0]
		}
		return nil
	}
	return fmt.Errorf("%v: the gradient of the result is a %T of shape %v, want %v", op, grad, grad.Shape(), op.shape)
}

func (op *spreadOp) Type() hm.Type                                  { return hm.NewFnType(tensor.Float64, tensorType(op.shape)) }
func (op *spreadOp) String() string                                 { return fmt.Sprintf("gradcheck.spread%v", []int(op.shape)) }
func (op *spreadOp) WriteHash(h hash.Hash)                          { fmt.Fprint(h, op) }
func (op *spreadOp) Hashcode() uint32                               { return opcall.Hashcode(op) }
func (op *spreadOp) InferShape(...G.DimSizer) (tensor.Shape, error) { return op.shape.Clone(), nil }

func (op *spreadOp) SymDiff(_ G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	return apply(&costOp{shape: op.shape}, grad)
}

func (op *spreadOp) Do(inputs ...G.Value) (G.Value, error) {
	if len(inputs) != 1 {
		return nil, fmt.Errorf("%v: %d inputs, want 1", op, len(inputs))
	}
	s, err := floats(inputs[0])
	if err != nil {
		return nil, fmt.Errorf("%v: %w", op, err)
	}
	w := weights(op.shape.TotalSize())
	for i := range w {
		w[i] *= s[0]
	}
	if len(op.shape) == 0 {
		return G.NewF64(w[0]), nil
	}
	return tensor.New(tensor.WithShape(op.shape...), tensor.WithBacking(w)), nil
}

func apply(op G.Op, n *G.Node) (G.Nodes, error) {
	out, err := G.ApplyOp(op, n)
	if err != nil {
		return nil, err
	}
	return G.Nodes{out}, nil
}
