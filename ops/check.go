package ops

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gorgonorm/norm/internal/fault"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// arg is an input node with the name that errors use for it. Optional inputs
// that are absent have a nil node.
type arg struct {
	name string
	node *G.Node
}

// checkNodes checks what all inputs of an op must have: they exist, belong to
// one graph, and hold float32 or float64 tensors of one dtype and of a known
// shape without empty axes. It returns the dtype.
func checkNodes(op string, in []arg) (tensor.Dtype, error) {
	var dt tensor.Dtype
	first := in[0]
	for i, a := range in {
		if a.node == nil {
			return dt, fault.New(fault.ErrGraph, op, "%s is nil", a.name)
		}
		of, rank, ok := tensorType(a.node)
		if !ok {
			return dt, fault.New(fault.ErrShape, op, "%s is a %v scalar, want a tensor", a.name, a.node.Type())
		}
		if i == 0 {
			dt = of
		}
		shape := a.node.Shape()
		switch {
		case a.node.Graph() == nil || a.node.Graph() != first.node.Graph():
			return dt, fault.New(fault.ErrGraph, op, "%s belongs to another graph than %s", a.name, first.name)
		case of != tensor.Float32 && of != tensor.Float64:
			return dt, fault.New(fault.ErrDtype, op, "%s is %v, want float32 or float64", a.name, of)
		case of != dt:
			return dt, fault.New(fault.ErrDtype, op, "%s is %v, want %v as %s", a.name, of, dt, first.name)
		case len(shape) != rank:
			return dt, fault.New(fault.ErrShape, op, "%s has the shape %v, want one of rank %d (gorgonia.WithShape)", a.name, shape, rank)
		}
		for _, n := range shape {
			if n < 1 {
				return dt, fault.New(fault.ErrShape, op, "%s is %v, want no empty axis", a.name, shape)
			}
		}
	}
	return dt, nil
}

// tensorType returns the dtype and the rank of a node that holds a tensor.
func tensorType(n *G.Node) (dt tensor.Dtype, rank int, ok bool) {
	t, ok := n.Type().(G.TensorType)
	if !ok {
		return dt, 0, false
	}
	dt, ok = t.Of.(tensor.Dtype)
	return dt, t.Dims, ok
}

// checkShape checks that a node has one of the wanted shapes.
func checkShape(op string, a arg, want ...tensor.Shape) error {
	shape := a.node.Shape()
	for _, w := range want {
		if slices.Equal(shape, w) {
			return nil
		}
	}
	words := make([]string, len(want))
	for i, w := range want {
		words[i] = fmt.Sprint(w)
	}
	return fault.New(fault.ErrShape, op, "%s is %v, want %s", a.name, shape, strings.Join(words, " or "))
}

// nodes returns the nodes of args.
func nodes(args []arg) G.Nodes {
	ns := make(G.Nodes, len(args))
	for i, a := range args {
		ns[i] = a.node
	}
	return ns
}

// apply is G.ApplyOp with the op's name before the error.
func apply(op string, o G.Op, children ...*G.Node) (*G.Node, error) {
	n, err := G.ApplyOp(o, children...)
	if err != nil {
		return nil, fmt.Errorf("norm: %s: %w", op, err)
	}
	return n, nil
}
