package norm_test

import (
	"fmt"

	"github.com/gorgonorm/norm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A row is normalized without a graph, into memory that can be reused.
func ExampleBatchNorm_Eval() {
	bn := norm.Must(norm.NewBatchNorm(gorgonia.NewGraph(), tensor.Float64, 3, norm.WithEps(1e-12)))
	if err := bn.SetStats([]float64{1, 2, 3}, []float64{1, 4, 16}); err != nil {
		panic(err)
	}
	row := tensor.New(tensor.WithShape(1, 3), tensor.WithBacking([]float64{2, 2, -1}))
	dst := tensor.New(tensor.WithShape(1, 3), tensor.Of(tensor.Float64))
	if _, err := bn.Eval(dst, row); err != nil {
		panic(err)
	}
	fmt.Printf("%.2f\n", dst.Data())
	// Output: [1.00 0.00 -1.00]
}

// A block of a transformer evaluates in place.
func ExampleLayerNorm_EvalResidual() {
	ln := norm.Must(norm.NewLayerNorm(gorgonia.NewGraph(), tensor.Float64, tensor.Shape{4}))
	x := tensor.New(tensor.WithShape(1, 4), tensor.WithBacking([]float64{1, 2, 3, 4}))
	r := tensor.New(tensor.WithShape(1, 4), tensor.WithBacking([]float64{1, 0, 1, 0}))
	y, x, err := ln.EvalResidual(nil, x, x, r)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%.2f\n%.2f\n", x.Data(), y.Data())
	// Output:
	// [2.00 2.00 4.00 4.00]
	// [-1.00 -1.00 1.00 1.00]
}

// A table of a model shows its parameters, its running statistics, and the mode of its
// graph.
func ExampleSummary() {
	g := gorgonia.NewGraph()
	fc := norm.Must(norm.NewWeightNormLinear(g, tensor.Float32, 784, 200, norm.WithName("fc1")))
	bn := norm.Must(norm.NewBatchNorm(g, tensor.Float32, 200, norm.WithName("bn1")))
	ln := norm.Must(norm.NewLayerNorm(g, tensor.Float32, tensor.Shape{200}, norm.WithName("ln1"), norm.WithoutBias()))
	x := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithName("x"), gorgonia.WithShape(32, 784))
	norm.Must(ln.Fwd(norm.Must(bn.Fwd(norm.Must(fc.Fwd(x))))))

	fmt.Print(norm.Summary(fc, bn, ln))
	// Output:
	// NAME   KIND              DTYPE    PARAMETERS                      NUMBER  RUNNING MEAN  RUNNING VARIANCE  BATCHES  MODE
	// fc1    weightnormlinear  float32  v (200, 784), g (200), b (200)  157200  -             -                 -        -
	// bn1    batchnorm         float32  gamma (200), beta (200)         400     0 to 0        1 to 1            0        training
	// ln1    layernorm         float32  gamma (200)                     200     -             -                 -        -
	// total                                                             157800
}
