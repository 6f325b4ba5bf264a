package norm_test

import (
	"fmt"

	"github.com/gorgonorm/norm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A batch norm in a graph that trains, and the same one in a graph that
// evaluates another batch size.
func ExampleBatchNorm() {
	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithName("x"), gorgonia.WithShape(4, 2),
		gorgonia.WithValue(tensor.New(tensor.WithShape(4, 2), tensor.WithBacking([]float64{1, 10, 2, 20, 3, 30, 4, 40}))))
	bn := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 2, norm.WithMomentum(0.5)))
	y := norm.Must(bn.Fwd(x))
	train := gorgonia.NewTapeMachine(g)
	defer train.Close()
	if err := train.RunAll(); err != nil {
		panic(err)
	}
	fmt.Printf("%.3f\n", y.Value().Data())

	mean, variance := bn.Stats()
	fmt.Printf("mean %.2f, variance %.2f\n", mean, variance)

	g2 := gorgonia.NewGraph()
	x2 := gorgonia.NewMatrix(g2, tensor.Float64, gorgonia.WithName("x"), gorgonia.WithShape(1, 2),
		gorgonia.WithValue(tensor.New(tensor.WithShape(1, 2), tensor.WithBacking([]float64{1.25, 12.5}))))
	bn2 := norm.Must(bn.In(g2))
	y2 := norm.Must(bn2.Fwd(x2))
	eval := gorgonia.NewTapeMachine(g2, gorgonia.EvalMode())
	defer eval.Close()
	if err := eval.RunAll(); err != nil {
		panic(err)
	}
	fmt.Printf("%.3f\n", y2.Value().Data())
	// Output:
	// [-1.342 -1.342 -0.447 -0.447 0.447 0.447 1.342 1.342]
	// mean [1.25 12.50], variance [1.33 83.83]
	// [0.000 0.000]
}

func ExampleLayerNorm() {
	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithName("x"), gorgonia.WithShape(2, 4),
		gorgonia.WithValue(tensor.New(tensor.WithShape(2, 4), tensor.WithBacking([]float64{1, 2, 3, 4, -30, -10, 10, 30}))))
	ln := norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{4}))
	y := norm.Must(ln.Fwd(x))
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		panic(err)
	}
	fmt.Printf("%.3f", y.Value())
	for _, p := range ln.Learnables() {
		fmt.Println(p.Name(), p.Value())
	}
	// Output:
	// ⎡-1.342  -0.447   0.447   1.342⎤
	// ⎣-1.342  -0.447   0.447   1.342⎦
	// layernorm.gamma [1  1  1  1]
	// layernorm.beta [0  0  0  0]
}

func ExampleWeightNormLinear() {
	w := tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]float64{3, 4, 0, -2}))
	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithName("x"), gorgonia.WithShape(1, 2),
		gorgonia.WithValue(tensor.New(tensor.WithShape(1, 2), tensor.WithBacking([]float64{10, 1}))))
	fc := norm.Must(norm.NewWeightNormLinear(g, tensor.Float64, 2, 2, norm.WithWeight(w), norm.WithName("fc1")))
	y := norm.Must(fc.Fwd(x))
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		panic(err)
	}
	fmt.Printf("%.1f\n", y.Value().Data())
	for _, p := range fc.Learnables() {
		fmt.Println(p.Name(), p.Value().Data())
	}
	// Output:
	// [34.0 -2.0]
	// fc1.v [3 4 0 -2]
	// fc1.g [5 2]
	// fc1.b [0 0]
}

// The weight of a convolution, normalized for each output channel.
func ExampleWeightNorm() {
	g := gorgonia.NewGraph()
	x := gorgonia.NewTensor(g, tensor.Float32, 4, gorgonia.WithName("x"), gorgonia.WithShape(8, 3, 28, 28))
	wn := norm.Must(norm.NewWeightNorm(g, tensor.Float32, tensor.Shape{16, 3, 5, 5}))
	w := norm.Must(wn.Weight())
	y := norm.Must(gorgonia.Conv2d(x, w, tensor.Shape{5, 5}, []int{0, 0}, []int{1, 1}, []int{1, 1}))
	fmt.Println(y.Shape())
	// Output: (8, 16, 24, 24)
}
