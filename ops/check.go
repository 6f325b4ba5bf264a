package ops

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gorgonorm/norm/internal/fault"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// arg is an input with the name that errors use for it. It is a node or, if an op is
// evaluated without a graph, a value.
type arg struct {
	name string
	node operand
}

// operand is a *G.Node or a *tensor.Dense.
type operand interface{ Shape() tensor.Shape }

// checkArgs checks what all ops need of their inputs, nodes or values, and returns their
// dtype.
func checkArgs(op string, in []arg) (tensor.Dtype, error) {
	if _, ok := in[0].node.(*tensor.Dense); ok {
		return checkValues(op, in)
	}
	return checkNodes(op, in)
}

// checkNodes checks nodes: they exist, belong to one graph, and hold float32 or
// float64 tensors of one dtype and of a known shape without empty axes.
func checkNodes(op string, in []arg) (tensor.Dtype, error) {
	var dt tensor.Dtype
	var g *G.ExprGraph
	for i, a := range in {
		n, _ := a.node.(*G.Node)
		if n == nil {
			return dt, fault.New(fault.ErrGraph, op, "%s is nil, want a node", a.name)
		}
		of, rank, ok := tensorType(n)
		if !ok {
			return dt, fault.New(fault.ErrShape, op, "%s is a scalar of %v, want a tensor", a.name, n.Type())
		}
		if i == 0 {
			dt, g = of, n.Graph()
		}
		shape := n.Shape()
		switch {
		case n.Graph() == nil && i == 0:
			return dt, fault.New(fault.ErrGraph, op, "%s is a constant, which belongs to no graph, want a node of one", a.name)
		case n.Graph() != g && n.Graph() != nil: // Gorgonia adds constants to the graph
			return dt, fault.New(fault.ErrGraph, op, "%s belongs to another graph than %s, want the same", a.name, in[0].name)
		case of != dt:
			return dt, fault.New(fault.ErrDtype, op, "%s is %v, want %v as %s", a.name, of, dt, in[0].name)
		case of != tensor.Float32 && of != tensor.Float64:
			return dt, fault.New(fault.ErrDtype, op, "%s is %v, want float32 or float64", a.name, of)
		case len(shape) != rank:
			return dt, fault.New(fault.ErrShape, op, "%s has the shape %v, want one of rank %d (gorgonia.WithShape)", a.name, shape, rank)
		}
		if hasEmptyAxis(shape) {
			return dt, fault.New(fault.ErrShape, op, "%s is %v, want no empty axis", a.name, shape)
		}
	}
	return dt, nil
}

// checkValues checks values: they exist, and are float32 or float64 tensors of one
// dtype, without mask and without empty axes.
func checkValues(op string, in []arg) (dt tensor.Dtype, err error) {
	for i, a := range in {
		v, _ := a.node.(*tensor.Dense)
		if v == nil {
			return dt, fault.New(fault.ErrValue, op, "%s is nil, want a tensor", a.name)
		}
		of, shape := v.Dtype(), v.Shape()
		if i == 0 {
			dt = of
		}
		switch {
		case of != dt:
			return dt, fault.New(fault.ErrDtype, op, "%s is %v, want %v as %s", a.name, of, dt, in[0].name)
		case of != tensor.Float32 && of != tensor.Float64:
			return dt, fault.New(fault.ErrDtype, op, "%s is %v, want float32 or float64", a.name, of)
		case len(shape) == 0:
			return dt, fault.New(fault.ErrShape, op, "%s is a scalar of %v, want a tensor", a.name, of)
		case hasEmptyAxis(shape):
			return dt, fault.New(fault.ErrShape, op, "%s is %v, want no empty axis", a.name, shape)
		case v.IsMasked():
			return dt, fault.New(fault.ErrValue, op, "%s is masked, want a tensor without mask", a.name)
		}
	}
	return dt, nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func hasEmptyAxis(shape tensor.Shape) bool {
	return slices.ContainsFunc(shape, func(n int) bool { return n < 1 })
}

// tensorType returns the dtype and the rank of a node that holds a tensor.
func tensorType(n *G.Node) (dt tensor.Dtype, rank int, ok bool) {
	t, _ := n.Type().(G.TensorType)
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
		words[i] = fmt.Sprint(w.Clone()) // a copy, so that the caller's shape can stay on the stack
	}
	return fault.New(fault.ErrShape, op, "%s is %v, want %s", a.name, shape, strings.Join(words, " or "))
}

// nodes returns the nodes of args.
func nodes(args []arg) G.Nodes {
	ns := make(G.Nodes, len(args))
	for i, a := range args {
		ns[i] = a.node.(*G.Node)
	}
	return ns
}
