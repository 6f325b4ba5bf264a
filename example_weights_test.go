package norm_test

import (
	"fmt"
	"math"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/ops"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The largest singular value of diag(3, 1) is 3.
func ExampleSpectralNorm() {
	w := tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]float64{3, 0, 0, 1}))
	g := gorgonia.NewGraph()
	sn := norm.Must(norm.NewSpectralNorm(g, tensor.Float64, tensor.Shape{2, 2}, norm.WithWeight(w)))
	y := norm.Must(sn.Weight())
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		panic(err)
	}
	fmt.Printf("%.3f\n", y.Value().Data())
	// Output: [1.000 0.000 0.000 0.333]
}

// A trained convolution with a normalized weight, and the same one with the plain
// weight in a graph that only predicts.
func ExampleWeightNorm_Materialize() {
	conv := func(x, w *gorgonia.Node) (*gorgonia.Node, error) {
		return gorgonia.Conv2d(x, w, tensor.Shape{2, 2}, []int{0, 0}, []int{1, 1}, []int{1, 1})
	}
	images := func(g *gorgonia.ExprGraph) *gorgonia.Node {
		return gorgonia.NewTensor(g, tensor.Float64, 4, gorgonia.WithName("x"), gorgonia.WithShape(2, 1, 3, 3), gorgonia.WithInit(gorgonia.RangedFrom(0)))
	}
	g := gorgonia.NewGraph()
	filters := tensor.New(tensor.WithShape(1, 1, 2, 2), tensor.WithBacking([]float64{1, -1, 2, 0}))
	wn := norm.Must(norm.NewWeightNorm(g, tensor.Float64, filters.Shape(), norm.WithWeight(filters)))
	y := norm.Must(conv(images(g), norm.Must(wn.Weight())))
	cost := norm.Must(gorgonia.Mean(norm.Must(gorgonia.Square(y))))
	norm.Must(gorgonia.Grad(cost, wn.Learnables()...))
	var trained, predicted gorgonia.Value
	gorgonia.Read(y, &trained)
	vm := gorgonia.NewTapeMachine(g, gorgonia.BindDualValues(wn.Learnables()...))
	defer vm.Close()
	solver := gorgonia.NewVanillaSolver(gorgonia.WithLearnRate(0.001))
	for range 10 {
		if err := vm.RunAll(); err != nil {
			panic(err)
		}
		if err := solver.Step(gorgonia.NodesToValueGrads(wn.Learnables())); err != nil {
			panic(err)
		}
		vm.Reset()
	}

	predict := gorgonia.NewGraph()
	w := norm.Must(wn.Materialize())
	y2 := norm.Must(conv(images(predict), gorgonia.NodeFromAny(predict, w)))
	gorgonia.Read(y2, &predicted)
	vm2 := gorgonia.NewTapeMachine(predict)
	defer vm2.Close()
	if err := vm2.RunAll(); err != nil {
		panic(err)
	}
	if err := vm.RunAll(); err != nil {
		panic(err)
	}
	for i, v := range trained.Data().([]float64) {
		if math.Abs(v-predicted.Data().([]float64)[i]) > 1e-12 {
			fmt.Println("they differ at", i)
		}
	}
	fmt.Println(w.Shape(), y2.Shape())
	// Output: (1, 1, 2, 2) (2, 1, 2, 2)
}

// Weight norm does not control the scale of activations. Its paper (section 3) therefore
// sets the first g and b from a batch, such that each output has mean 0 and variance 1 in
// it.
func ExampleWeightNormLinear_Learnables() {
	l := norm.Must(norm.NewWeightNormLinear(gorgonia.NewGraph(), tensor.Float64, 3, 2))
	batch := tensor.New(tensor.WithShape(64, 3), tensor.WithBacking(gorgonia.Gaussian64(5, 2, 64, 3)))
	outputs := func() *ops.Moments {
		m := norm.Must(ops.NewMoments(2, 1))
		if err := m.Add(norm.Must(l.Eval(nil, batch))); err != nil {
			panic(err)
		}
		return m
	}

	before := outputs() // b is 0
	params := l.Learnables()
	g, b := params[1].Value().Data().([]float64), params[2].Value().Data().([]float64)
	for i := range g {
		std := math.Sqrt(before.Variance()[i])
		g[i] /= std
		b[i] = -before.Mean()[i] / std
	}

	after := outputs()
	for i := range g {
		fmt.Println(math.Abs(after.Mean()[i]) < 1e-12, math.Abs(after.Variance()[i]-1) < 1e-12)
	}
	// Output:
	// true true
	// true true
}
