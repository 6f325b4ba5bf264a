// Package graphtest runs an expression and its gradients in Gorgonia's machines,
// for tests.
package graphtest

import (
	"fmt"
	"math"
	"slices"

	"github.com/gorgonorm/norm/internal/dense"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Func builds an expression from input nodes.
type Func func(in G.Nodes) (*G.Node, error)

// Result holds the value of an expression and the gradient of each input.
type Result struct {
	Y     *tensor.Dense
	Grads []*tensor.Dense
}

// Machine evaluates f at the given inputs, and its gradients, given dy, the gradient of
// its value.
type Machine func(f Func, in []*tensor.Dense, dy *tensor.Dense, opts ...G.VMOpt) (Result, error)

// Machines are Gorgonia's two, by name.
var Machines = map[string]Machine{"tape": Tape, "lisp": Lisp}

// Tape runs a tape machine on symbolic gradients.
func Tape(f Func, in []*tensor.Dense, dy *tensor.Dense, opts ...G.VMOpt) (r Result, err error) {
	nodes, y, cost, err := build(f, in, dy)
	if err != nil {
		return r, err
	}
	grads, err := G.Grad(cost, nodes...)
	if err != nil {
		return r, err
	}
	values := make([]G.Value, 1+len(grads))
	for i, n := range append(G.Nodes{y}, grads...) {
		G.Read(n, &values[i])
	}
	vm := G.NewTapeMachine(y.Graph(), opts...)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		return r, err
	}
	return result(values)
}

// Lisp runs a lisp machine.
func Lisp(f Func, in []*tensor.Dense, dy *tensor.Dense, opts ...G.VMOpt) (r Result, err error) {
	nodes, y, _, err := build(f, in, dy)
	if err != nil {
		return r, err
	}
	vm := G.NewLispMachine(y.Graph(), opts...)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		return r, err
	}
	values := []G.Value{y.Value()}
	for _, n := range nodes {
		d, err := n.Grad()
		if err != nil {
			return r, err
		}
		values = append(values, d)
	}
	return result(values)
}

// build makes the nodes of Σ f(in)·dy, and its inputs.
func build(f Func, in []*tensor.Dense, dy *tensor.Dense) (nodes G.Nodes, y, cost *G.Node, err error) {
	g := G.NewGraph()
	for i, v := range in {
		nodes = append(nodes, Leaf(g, fmt.Sprintf("in%d", i), v))
	}
	if y, err = f(nodes); err != nil {
		return nil, nil, nil, err
	}
	weighted, err := G.HadamardProd(y, Leaf(g, "dy", dy))
	if err != nil {
		return nil, nil, nil, err
	}
	cost, err = G.Sum(weighted)
	return nodes, y, cost, err
}

// Leaf makes an input node that holds a value.
func Leaf(g *G.ExprGraph, name string, v *tensor.Dense) *G.Node {
	return G.NewTensor(g, v.Dtype(), v.Dims(), G.WithShape(v.Shape()...), G.WithName(name), G.WithValue(v))
}

func result(values []G.Value) (r Result, err error) {
	for i, v := range values {
		d, ok := v.(*tensor.Dense)
		if !ok {
			return r, fmt.Errorf("graphtest: value %d is %T", i, v)
		}
		if i == 0 {
			r.Y = d
		} else {
			r.Grads = append(r.Grads, d)
		}
	}
	return r, nil
}

// Floats returns the elements of a tensor of any layout in row-major order, as
// float64.
func Floats(d *tensor.Dense) []float64 {
	out := make([]float64, 0, d.Shape().TotalSize())
	if d.Dtype() == tensor.Float32 {
		dense.Walk(d, false, func(x *float32) { out = append(out, float64(*x)) })
	} else {
		dense.Walk(d, false, func(x *float64) { out = append(out, *x) })
	}
	return out
}

// Wave returns a tensor of irregular values, of spread 1 around the given mean. It has no
// pattern that would hide an error of a norm.
func Wave(dt tensor.Dtype, mean float64, shape ...int) *tensor.Dense {
	v := make([]float64, tensor.Shape(shape).TotalSize())
	for i := range v {
		v[i] = mean + math.Sin(float64(i)*1.7+mean) + 0.5*math.Cos(float64(i*i%101))
	}
	return Dense(dt, v, shape...)
}

// Dense returns a tensor of a dtype with the given elements.
func Dense(dt tensor.Dtype, values []float64, shape ...int) *tensor.Dense {
	if dt == tensor.Float64 {
		return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(slices.Clone(values)))
	}
	f := make([]float32, len(values))
	for i, v := range values {
		f[i] = float32(v)
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(f))
}
