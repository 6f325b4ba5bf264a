package norm_test

import (
	"fmt"
	"math"

	"github.com/gorgonorm/norm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func ExampleGroupNorm() {
	g := gorgonia.NewGraph()
	x := gorgonia.NewTensor(g, tensor.Float64, 3, gorgonia.WithName("x"), gorgonia.WithShape(1, 4, 2),
		gorgonia.WithValue(tensor.New(tensor.WithShape(1, 4, 2), tensor.WithBacking([]float64{1, 2, 3, 4, -30, -10, 10, 30}))))
	gn := norm.Must(norm.NewGroupNorm(g, tensor.Float64, 2, 4)) // 2 groups of 2 channels
	y := norm.Must(gn.Fwd(x))
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		panic(err)
	}
	fmt.Printf("%.3f\n", y.Value().Data())
	for _, p := range gn.Learnables() {
		fmt.Println(p.Name(), p.Value())
	}
	// Output:
	// [-1.342 -0.447 0.447 1.342 -1.342 -0.447 0.447 1.342]
	// groupnorm.gamma [1  1  1  1]
	// groupnorm.beta [0  0  0  0]
}

func ExampleInstanceNorm() {
	g := gorgonia.NewGraph()
	x := gorgonia.NewTensor(g, tensor.Float64, 3, gorgonia.WithName("x"), gorgonia.WithShape(2, 1, 4),
		gorgonia.WithValue(tensor.New(tensor.WithShape(2, 1, 4), tensor.WithBacking([]float64{1, 2, 3, 4, -30, -10, 10, 30}))))
	in := norm.Must(norm.NewInstanceNorm(g, tensor.Float64, 1, norm.WithRunningStats(), norm.WithMomentum(1)))
	y := norm.Must(in.Fwd(x))
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		panic(err)
	}
	fmt.Printf("%.3f\n", y.Value().Data())
	mean, variance := in.Stats()
	fmt.Printf("mean %.2f, variance %.2f\n", mean, variance)
	// Output:
	// [-1.342 -0.447 0.447 1.342 -1.342 -0.447 0.447 1.342]
	// mean [1.25], variance [334.17]
}

// Layer norm over the channels of images, as in ConvNeXt.
func ExampleWithAxes() {
	g := gorgonia.NewGraph()
	x := gorgonia.NewTensor(g, tensor.Float64, 4, gorgonia.WithName("x"), gorgonia.WithShape(1, 2, 1, 3),
		gorgonia.WithValue(tensor.New(tensor.WithShape(1, 2, 1, 3), tensor.WithBacking([]float64{1, 20, 5, 3, 10, 5}))))
	ln := norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{2}, norm.WithAxes(1)))
	y := norm.Must(ln.Fwd(x))
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		panic(err)
	}
	fmt.Printf("%.2f\n", y.Value().Data())
	for _, p := range ln.Learnables() {
		fmt.Println(p.Name(), p.Shape())
	}
	// Output:
	// [-1.00 1.00 0.00 1.00 -1.00 0.00]
	// layernorm.gamma (2)
	// layernorm.beta (2)
}

// A transformer's residual connection: the sum x + r is normalized, and also returned for
// the next block.
func ExampleLayerNorm_FwdResidual() {
	g := gorgonia.NewGraph()
	value := func(name string, v ...float64) *gorgonia.Node {
		return gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(1, len(v)), gorgonia.WithName(name),
			gorgonia.WithValue(tensor.New(tensor.WithShape(1, len(v)), tensor.WithBacking(v))))
	}
	ln := norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{2}))
	y, sum, err := ln.FwdResidual(value("x", 1, 2), value("attention", 3, 6))
	if err != nil {
		panic(err)
	}
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		panic(err)
	}
	fmt.Printf("%.3f %v\n", y.Value().Data(), sum.Value().Data())
	// Output: [-1.000 1.000] [4 8]
}

// 1 and 7 have the mean square 25, so they are divided by 5.
func ExampleRMSNorm() {
	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(1, 2), gorgonia.WithName("x"),
		gorgonia.WithValue(tensor.New(tensor.WithShape(1, 2), tensor.WithBacking([]float64{1, 7}))))
	rms := norm.Must(norm.NewRMSNorm(g, tensor.Float64, tensor.Shape{2}))
	y := norm.Must(rms.Fwd(x))
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		panic(err)
	}
	fmt.Printf("%.2f\n", y.Value().Data())
	// Output: [0.20 1.40]
}

// Sequences of different lengths in one batch: the padding does not count.
func ExampleBatchNorm_FwdMasked() {
	g := gorgonia.NewGraph()
	node := func(name string, v *tensor.Dense) *gorgonia.Node {
		return gorgonia.NewTensor(g, v.Dtype(), v.Dims(), gorgonia.WithName(name), gorgonia.WithShape(v.Shape()...), gorgonia.WithValue(v))
	}
	pad := math.NaN() // the padding may hold anything
	x := node("x", tensor.New(tensor.WithShape(2, 1, 4), tensor.WithBacking([]float64{1, 3, 1, 3, 3, 1, pad, pad})))
	lengths := node("lengths", tensor.New(tensor.WithShape(2), tensor.WithBacking([]float64{4, 2})))
	bn := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 1, norm.WithMomentum(1)))
	y := norm.Must(bn.FwdMasked(x, lengths))
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		panic(err)
	}
	fmt.Printf("%.2f\n", y.Value().Data())
	fmt.Println(bn.Stats())
	// Output:
	// [-1.00 1.00 -1.00 1.00 1.00 -1.00 0.00 0.00]
	// [2] [1.2]
}
