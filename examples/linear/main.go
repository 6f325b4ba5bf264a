// Command linear shows batch norm and layer norm in front of a linear layer, and
// weight norm in place of one. Every function is a complete model, small enough to be
// copied:
//
//	go run ./examples/linear
package main

import (
	"fmt"
	"log"

	"github.com/gorgonorm/norm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func main() {
	log.SetFlags(0)
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
			log.Fatalf("%s: %v", example.name, err)
		}
		fmt.Printf("%-12s final loss %.4f\n", example.name, loss)
	}
}

// batchNorm learns prices from features whose sizes differ by thousands. Then it
// predicts a single price in a graph of its own, with the running statistics.
func batchNorm() (float32, error) {
	features, prices := flats(64)
	g := G.NewGraph()
	x := G.NodeFromAny(g, features, G.WithName("x"))
	y := G.NodeFromAny(g, prices, G.WithName("y"))
	w := G.NewMatrix(g, G.Float32, G.WithName("w"), G.WithShape(3, 1), G.WithInit(G.Ones()))

	bn, err := norm.NewBatchNorm(g, G.Float32, 3)
	if err != nil {
		return 0, err
	}
	pred := G.Must(G.Mul(G.Must(bn.Fwd(x)), w))
	loss, err := fit(pred, y, append(bn.Learnables(), w))
	if err != nil {
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
	pred2 := G.Must(G.Mul(G.Must(bn2.Fwd(x2)), w2))

	vm := G.NewTapeMachine(g2, G.EvalMode())
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		return 0, err
	}
	fmt.Printf("%-12s a flat worth %.2f, predicted %.2f\n", "batch norm", price(100, 4, 2000), pred2.Value().Data())
	return loss, nil
}

// layerNorm tells rising from falling rows, however large their numbers are.
func layerNorm() (float32, error) {
	rows, directions := slopes(64)
	g := G.NewGraph()
	x := G.NodeFromAny(g, rows, G.WithName("x"))
	y := G.NodeFromAny(g, directions, G.WithName("y"))
	w := G.NewMatrix(g, G.Float32, G.WithName("w"), G.WithShape(4, 1), G.WithInit(G.Zeroes()))

	ln, err := norm.NewLayerNorm(g, G.Float32, tensor.Shape{4})
	if err != nil {
		return 0, err
	}
	pred := G.Must(G.Mul(G.Must(ln.Fwd(x)), w))
	return fit(pred, y, append(ln.Learnables(), w))
}

// weightNorm fits a plane. There is no w here: the layer is the linear layer.
func weightNorm() (float32, error) {
	points, heights := plane(64)
	g := G.NewGraph()
	x := G.NodeFromAny(g, points, G.WithName("x"))
	y := G.NodeFromAny(g, heights, G.WithName("y"))

	wn, err := norm.NewWeightNormLinear(g, G.Float32, 2, 1)
	if err != nil {
		return 0, err
	}
	pred := G.Must(wn.Fwd(x))
	return fit(pred, y, wn.Learnables())
}

// fit makes the mean squared error small and returns what is left of it.
func fit(pred, y *G.Node, params G.Nodes) (float32, error) {
	cost := G.Must(G.Mean(G.Must(G.Square(G.Must(G.Sub(pred, y))))))
	if _, err := G.Grad(cost, params...); err != nil {
		return 0, err
	}
	vm := G.NewTapeMachine(cost.Graph(), G.BindDualValues(params...))
	defer vm.Close()
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
	return cost.Value().Data().(float32), nil
}
