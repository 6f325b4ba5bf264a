package ops

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/internal/walking"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// gradient is the derivative of a forward op as one fused op. It takes some of
// the forward op's inputs and the gradient of its output, and returns the
// gradients of its inputs one after the other in one vector:
//
//	packed = op(inputs[from[0]], inputs[from[1]], ..., dy)
//	packed = [d inputs[wrt[0]] | d inputs[wrt[1]] | ...]
//
// It is pure, so it is right for any subset of the gradients, in cloned graphs, and if
// the forward op is applied twice. One pass over the data computes all gradients.
type gradient struct {
	op        derivableOp
	from, wrt []int
	reuse     bool // of the parts
}

// gradientOf returns the derivative of an op with respect to all inputs that have one.
// inputs are those of the derivative: some of the op's, which it finds by name, and dy.
func gradientOf(of *base, op derivableOp, inputs []inputSpec, reuse bool) gradient {
	g := gradient{op: op, reuse: reuse}
	for _, in := range inputs[:len(inputs)-1] {
		g.from = append(g.from, slices.IndexFunc(of.inputs, func(i inputSpec) bool { return i.name == in.name }))
	}
	for i, in := range of.inputs {
		if in.kind == variable {
			g.wrt = append(g.wrt, i)
		}
	}
	return g
}

// symDiff returns the nodes of the gradients, nil for an input that has none.
func symDiff[T dense.Float](name string, g gradient, in G.Nodes, dy *G.Node) (G.Nodes, error) {
	if second, ok := g.op.(*secondOp[T]); ok {
		if err := checkWalk(cmp.Or(second.layerName(), name), in); err != nil {
			return nil, err
		}
	}
	args := make(G.Nodes, 0, len(g.from)+1)
	for _, i := range g.from {
		args = append(args, in[i])
	}
	packed, err := apply(name, g.op, append(args, dy)...)
	if err != nil {
		return nil, err
	}
	grads := make(G.Nodes, len(in))
	at := 0
	for _, i := range g.wrt {
		shape := in[i].Shape()
		if grads[i], err = apply(name, newPart[T](name, at, shape, g.reuse), packed); err != nil {
			return nil, err
		}
		at += shape.TotalSize()
	}
	return grads, nil
}

// checkWalk returns an error if gorgonia.Grad is called on one of its own gradients: a
// second gorgonia.Grad visits nodes again and silently drops terms.
func checkWalk(name string, in G.Nodes) error {
	for _, n := range in {
		if n.Deriv() != nil && !walking.In(n.Graph()) {
			return fault.NewSecondGrad(name, n.Name())
		}
	}
	return nil
}

// doDiff adds the gradients to those that the inputs hold, as a LispMachine expects.
func doDiff[T dense.Float](g gradient, in G.Nodes, out *G.Node) error {
	args := make([]G.Value, 0, len(g.from)+1)
	for _, i := range g.from {
		args = append(args, in[i].Value())
	}
	name := g.op.String()
	dy, err := gradOf(name, out)
	if err != nil {
		return err
	}
	v, err := g.op.Do(append(args, dy)...)
	if err != nil {
		return err
	}
	packed, err := dense.Elements[T](name, "the gradient", v)
	if err != nil {
		return err
	}
	for _, i := range g.wrt {
		n := in[i].Shape().TotalSize()
		if err := addTo(name, in[i], packed[:n]); err != nil {
			return err
		}
		packed = packed[n:]
	}
	return nil
}

// gradOf returns the gradient that a node holds. op is for the error.
func gradOf(op string, n *G.Node) (G.Value, error) {
	v, err := n.Grad()
	if err != nil {
		return nil, fmt.Errorf("norm: %s: %w", op, err)
	}
	return v, nil
}

// addTo adds row-major data to the gradient that a node holds. That gradient may have any
// layout, since the gradient of an input has the layout of the input.
func addTo[T dense.Float](op string, n *G.Node, data []T) error {
	v, err := gradOf(op, n)
	if err != nil {
		return err
	}
	d, _ := v.(*tensor.Dense)
	if d == nil || d.Dtype() != dense.Dtype[T]() || d.Shape().TotalSize() != len(data) {
		return fault.New(fault.ErrValue, op, "the gradient is %T of shape %v, want %d elements of %v", v, v.Shape(), len(data), dense.Dtype[T]())
	}
	dst := d.Data().([]T)
	dense.Each(d, func(at, count, stride int) {
		for _, v := range data[:count] {
			dst[at] += v
			at += stride
		}
		data = data[count:]
	})
	return nil
}
