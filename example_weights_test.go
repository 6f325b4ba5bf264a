package norm_test

import (
	"fmt"
	"math"

	"github.com/gorgonorm/norm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The largest singular value of diag(3, 1) is 3.
func ExampleSpectralNorm() {
	w := tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]float64{3, 0, 0, 1}))
	g := G.NewGraph()
	sn := norm.Must(norm.NewSpectralNorm(g, tensor.Float64, tensor.Shape{2, 2}, norm.WithWeight(w)))
	y := norm.Must(sn.Weight())
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%.3f\n", y.Value().Data())
	// Output: [1.000 0.000 0.000 0.333]
}

// A trained convolution with a normalized weight, and the same one with the plain
// weight in a graph that only predicts.
func ExampleWeightNorm_Materialize() {
	conv := func(x, w *G.Node) (*G.Node, error) {
		return G.Conv2d(x, w, tensor.Shape{2, 2}, []int{0, 0}, []int{1, 1}, []int{1, 1})
	}
	images := func(g *G.ExprGraph) *G.Node {
		return G.NewTensor(g, tensor.Float64, 4, G.WithName("x"), G.WithShape(2, 1, 3, 3), G.WithInit(G.RangedFrom(0)))
	}
	g := G.NewGraph()
	filters := tensor.New(tensor.WithShape(1, 1, 2, 2), tensor.WithBacking([]float64{1, -1, 2, 0}))
	wn := norm.Must(norm.NewWeightNorm(g, tensor.Float64, filters.Shape(), norm.WithWeight(filters)))
	y := norm.Must(conv(images(g), norm.Must(wn.Weight())))
	cost := norm.Must(G.Mean(norm.Must(G.Square(y))))
	norm.Must(G.Grad(cost, wn.Learnables()...))
	var trained, predicted G.Value
	G.Read(y, &trained)
	vm := G.NewTapeMachine(g, G.BindDualValues(wn.Learnables()...))
	defer vm.Close()
	solver := G.NewVanillaSolver(G.WithLearnRate(0.001))
	for range 10 {
		if err := vm.RunAll(); err != nil {
			fmt.Println(err)
		}
		if err := solver.Step(G.NodesToValueGrads(wn.Learnables())); err != nil {
			fmt.Println(err)
		}
		vm.Reset()
	}

	predict := G.NewGraph()
	w := norm.Must(wn.Materialize())
	y2 := norm.Must(conv(images(predict), G.NodeFromAny(predict, w)))
	G.Read(y2, &predicted)
	vm2 := G.NewTapeMachine(predict)
	defer vm2.Close()
	if err := vm2.RunAll(); err != nil {
		fmt.Println(err)
	}
	if err := vm.RunAll(); err != nil {
		fmt.Println(err)
	}
	for i, v := range trained.Data().([]float64) {
		if math.Abs(v-predicted.Data().([]float64)[i]) > 1e-12 {
			fmt.Println("they differ at", i)
		}
	}
	fmt.Println(w.Shape(), y2.Shape())
	// Output: (1, 1, 2, 2) (2, 1, 2, 2)
}
