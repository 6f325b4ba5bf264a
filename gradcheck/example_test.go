package gradcheck_test

import (
	"fmt"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/diff"
	"github.com/gorgonorm/norm/gradcheck"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The gradient of swish, x·σ(x), is right.
func Example() {
	x := tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float64{0.5, -1, 2, -0.25, 1.5, -2}))
	swish := func(in gorgonia.Nodes) (*gorgonia.Node, error) {
		s, err := gorgonia.Sigmoid(in[0])
		if err != nil {
			return nil, err
		}
		return gorgonia.HadamardProd(in[0], s)
	}
	fmt.Println(gradcheck.Check(swish, []*tensor.Dense{x}, gradcheck.WithNames("x")))
	// Output: <nil>
}

// In Gorgonia v0.9.18, the LispMachine's gradient of Reshape overwrites what other
// consumers of the same node have added, here that of x itself.
func Example_wrong() {
	x := tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]float64{0.5, -1, 2, -0.25}))
	f := func(in gorgonia.Nodes) (*gorgonia.Node, error) {
		flat, err := gorgonia.Reshape(in[0], tensor.Shape{4})
		if err != nil {
			return nil, err
		}
		total, err := gorgonia.Sum(flat)
		if err != nil {
			return nil, err
		}
		return gorgonia.Mul(total, in[0])
	}
	fmt.Println(gradcheck.Check(f, []*tensor.Dense{x}, gradcheck.WithNames("x")))
	// Output:
	// gradcheck: lisp machine: d cost/d x: 4 of 4 elements off
	//   x[0,0]: gradient -3.1282889, central difference -1.73074642, off by 1.4 (tolerance 3.1e-07)
	//   x[1,1]: gradient -3.1282889, central difference -1.91311896, off by 1.22 (tolerance 3.1e-07)
	//   x[1,0]: gradient -3.1282889, central difference -4.82091636, off by 1.69 (tolerance 4.8e-07)
	//   x[0,1]: gradient -3.1282889, central difference -2.20820393, off by 0.92 (tolerance 3.1e-07)
}

// The gradients of a layer's γ and β are checked too, as leaves that the function puts
// into the graph.
func ExampleCheck() {
	x := tensor.New(tensor.WithShape(4, 2), tensor.WithBacking([]float64{0.5, -1, 2, -0.25, 1.5, -2, 0, 3}))
	layer := func(in gorgonia.Nodes) (*gorgonia.Node, error) {
		bn, err := norm.NewBatchNorm(in[0].Graph(), tensor.Float64, 2)
		if err != nil {
			return nil, err
		}
		return bn.Fwd(in[0])
	}
	fmt.Println(gradcheck.Check(layer, []*tensor.Dense{x}))
	fmt.Println(gradcheck.Check(layer, []*tensor.Dense{x}, gradcheck.WithEvalMode()))
	// Output:
	// <nil>
	// <nil>
}

// A gradient by diff.Grad is an expression like any other. Its own gradient is checked in
// the TapeMachine, and also taken by diff.Grad.
func ExampleWithGrad() {
	x := tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float64{0.5, -1, 2, -0.25, 1.5, -2}))
	slope := func(in gorgonia.Nodes) (*gorgonia.Node, error) {
		cost, err := gorgonia.Sum(gorgonia.Must(gorgonia.Cube(gorgonia.Must(gorgonia.Tanh(in[0])))))
		if err != nil {
			return nil, err
		}
		dx, err := diff.Grad(cost, in[0])
		if err != nil {
			return nil, err
		}
		return dx[0], nil
	}
	fmt.Println(gradcheck.Check(slope, []*tensor.Dense{x},
		gradcheck.WithMachines(gradcheck.Tape), gradcheck.WithGrad(diff.Grad)))
	// Output: <nil>
}

// The labels are an input whose gradient is of no use.
func ExampleWithoutGrad() {
	p := tensor.New(tensor.WithShape(3), tensor.WithBacking([]float64{0.2, 0.5, 0.3}))
	label := tensor.New(tensor.WithShape(3), tensor.WithBacking([]float64{0, 1, 0}))
	crossEntropy := func(in gorgonia.Nodes) (*gorgonia.Node, error) {
		return gorgonia.HadamardProd(in[1], gorgonia.Must(gorgonia.Log(in[0])))
	}
	fmt.Println(gradcheck.Check(crossEntropy, []*tensor.Dense{p, label}, gradcheck.WithoutGrad(1)))
	// Output: <nil>
}
