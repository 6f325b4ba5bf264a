// Command linear shows batch norm and layer norm in front of a linear layer, and a
// weight-norm linear layer in place of one. Functions batchNorm, layerNorm and weightNorm
// are complete models, small enough to be copied:
//
//	go run ./examples/linear
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/internal/command"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

// run is the program without the process around it.
func run(args []string, stderr io.Writer) int {
	if err := command.Parse(flag.NewFlagSet("linear", flag.ContinueOnError), args, stderr); err != nil {
		return command.Mistake("linear", err, stderr)
	}
	for _, example := range []struct {
		name string
		run  func() (loss float32, err error)
	}{
		{"batch norm", batchNorm},
		{"layer norm", layerNorm},
		{"weight norm", weightNorm},
	} {
		loss, err := example.run()
		if err != nil {
			return command.Fail("linear: "+example.name, err, stderr)
		}
		fmt.Printf("%-12s final loss %.2g\n", example.name, loss)
	}
	return command.OK
}

// batchNorm learns prices from features whose sizes differ by thousands. Then it
// predicts a single price in a graph of its own, with the running statistics.
func batchNorm() (loss float32, err error) {
	features, prices := flats(64)
	g := G.NewGraph()
	x := G.NodeFromAny(g, features, G.WithName("x"))
	y := G.NodeFromAny(g, prices, G.WithName("y"))
	w := G.NewMatrix(g, G.Float32, G.WithName("w"), G.WithShape(3, 1), G.WithInit(G.Ones()))

	bn, err := norm.NewBatchNorm(g, G.Float32, 3)
	if err != nil {
		return 0, err
	}
	normalized, err := bn.Fwd(x)
	if err != nil {
		return 0, err
	}
	pred, err := G.Mul(normalized, w)
	if err != nil {
		return 0, err
	}
	if loss, err = fit(pred, y, append(bn.Learnables(), w)); err != nil {
		return 0, err
	}

	// The second graph has another batch size. It shares the parameters and the
	// statistics with the first one, so there is nothing to copy.
	g2 := G.NewGraph()
	bn2, err := bn.In(g2)
	if err != nil {
		return 0, err
	}
	flat := tensor.New(tensor.WithShape(1, 3), tensor.WithBacking([]float32{100, 4, 2000}))
	x2 := G.NodeFromAny(g2, flat, G.WithName("x"))
	w2 := G.NodeFromAny(g2, w.Value(), G.WithName("w"))
	if normalized, err = bn2.Fwd(x2); err != nil {
		return 0, err
	}
	pred2, err := G.Mul(normalized, w2)
	if err != nil {
		return 0, err
	}
	var predicted G.Value
	G.Read(pred2, &predicted)

	vm := G.NewTapeMachine(g2, G.EvalMode())
	defer func() { err = errors.Join(err, vm.Close()) }()
	if err := vm.RunAll(); err != nil {
		return 0, err
	}
	fmt.Printf("%-12s a flat worth %.2f, predicted %.2f\n", "batch norm", price(100, 4, 2000), predicted.Data().([]float32)[0])
	return loss, nil
}

// layerNorm tells rising from falling rows, however large their numbers are.
func layerNorm() (loss float32, err error) {
	rows, directions := slopes(64)
	g := G.NewGraph()
	x := G.NodeFromAny(g, rows, G.WithName("x"))
	y := G.NodeFromAny(g, directions, G.WithName("y"))
	w := G.NewMatrix(g, G.Float32, G.WithName("w"), G.WithShape(4, 1), G.WithInit(G.Zeroes()))

	ln, err := norm.NewLayerNorm(g, G.Float32, tensor.Shape{4})
	if err != nil {
		return 0, err
	}
	normalized, err := ln.Fwd(x)
	if err != nil {
		return 0, err
	}
	pred, err := G.Mul(normalized, w)
	if err != nil {
		return 0, err
	}
	return fit(pred, y, append(ln.Learnables(), w))
}

// weightNorm fits a plane. There is no w here: the layer is the linear layer.
func weightNorm() (loss float32, err error) {
	points, heights := plane(64)
	g := G.NewGraph()
	x := G.NodeFromAny(g, points, G.WithName("x"))
	y := G.NodeFromAny(g, heights, G.WithName("y"))

	wn, err := norm.NewWeightNormLinear(g, G.Float32, 2, 1)
	if err != nil {
		return 0, err
	}
	pred, err := wn.Fwd(x)
	if err != nil {
		return 0, err
	}
	return fit(pred, y, wn.Learnables())
}

// fit makes the mean squared error small and returns what is left of it.
func fit(pred, y *G.Node, params G.Nodes) (loss float32, err error) {
	miss, err := G.Sub(pred, y)
	if err != nil {
		return 0, err
	}
	squares, err := G.Square(miss)
	if err != nil {
		return 0, err
	}
	cost, err := G.Mean(squares)
	if err != nil {
		return 0, err
	}
	var left G.Value
	G.Read(cost, &left)
	if _, err := G.Grad(cost, params...); err != nil {
		return 0, err
	}
	vm := G.NewTapeMachine(cost.Graph(), G.BindDualValues(params...))
	defer func() { err = errors.Join(err, vm.Close()) }()
	solver := G.NewAdamSolver(G.WithLearnRate(0.02))
	for range 1000 {
		if err := vm.RunAll(); err != nil {
			return 0, err
		}
		if err := solver.Step(G.NodesToValueGrads(params)); err != nil {
			return 0, err
		}
		vm.Reset()
	}
	return left.Data().(float32), nil
}
