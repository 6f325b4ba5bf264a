package ops_test

import (
	"fmt"

	"github.com/gorgonorm/norm/ops"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// input returns a node of float64 with a value.
func input(g *gorgonia.ExprGraph, name string, shape tensor.Shape, data ...float64) *gorgonia.Node {
	t := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
	return gorgonia.NodeFromAny(g, t, gorgonia.WithName(name))
}

// run runs the graph and prints the values of nodes.
func run(g *gorgonia.ExprGraph, nodes ...*gorgonia.Node) {
	values := make([]gorgonia.Value, len(nodes))
	for i, n := range nodes {
		gorgonia.Read(n, &values[i])
	}
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		panic(err)
	}
	for _, v := range values {
		fmt.Printf("%.3f\n", v.Data())
	}
}

// Each channel has mean 0 and variance 1 over the batch. The running statistics have
// moved half way from 0 and 1 to the mean and the unbiased variance of the batch.
func ExampleBatchNorm() {
	g := gorgonia.NewGraph()
	x := input(g, "x", tensor.Shape{2, 2}, 1, 10, 3, 50)
	stats := must(ops.NewRunningStats(2))
	y := must(ops.BatchNorm(x, nil, nil, stats, ops.BatchNormConfig{Eps: 1e-9, Momentum: 0.5}))
	run(g, y)
	mean, variance, _ := stats.Values()
	fmt.Println(mean, variance)
	// Output:
	// [-1.000 -1.000 1.000 1.000]
	// [1 15] [1.5 400.5]
}

// Each row has mean 0 and variance 1, then the scale γ and the shift β.
func ExampleLayerNorm() {
	g := gorgonia.NewGraph()
	x := input(g, "x", tensor.Shape{2, 2}, 1, 3, -100, 100)
	gamma, beta := input(g, "gamma", tensor.Shape{2}, 1, 2), input(g, "beta", tensor.Shape{2}, 0, 5)
	y := must(ops.LayerNorm(x, gamma, beta, tensor.Shape{2}, ops.LayerNormConfig{Eps: 1e-9}))
	run(g, y)
	// Output: [-1.000 7.000 -1.000 7.000]
}

// The channels of each pixel are normalized without moving them to the last axis first.
func ExampleLayerNormAxes() {
	g := gorgonia.NewGraph()
	x := input(g, "x", tensor.Shape{1, 2, 1, 3}, // a sample of two channels with three pixels
		1, 2, 3,
		5, 2.5, -3)
	y := must(ops.LayerNormAxes(x, nil, nil, []int{1}, ops.LayerNormConfig{Eps: 1e-9}))
	run(g, y)
	// Output: [-1.000 -1.000 1.000 1.000 1.000 -1.000]
}

// The row (3, 4) has the mean square 12.5.
func ExampleRMSNorm() {
	g := gorgonia.NewGraph()
	x := input(g, "x", tensor.Shape{1, 2}, 3, 4)
	y := must(ops.RMSNorm(x, nil, nil, tensor.Shape{2}, ops.RMSNormConfig{Eps: 1e-9}))
	run(g, y)
	// Output: [0.849 1.131]
}

// The sum is also returned, for the next residual.
func ExampleAddLayerNorm() {
	g := gorgonia.NewGraph()
	x, r := input(g, "x", tensor.Shape{1, 2}, 1, 2), input(g, "r", tensor.Shape{1, 2}, 10, 29)
	y, sum, err := ops.AddLayerNorm(x, r, nil, nil, tensor.Shape{2}, ops.LayerNormConfig{Eps: 1e-9})
	if err != nil {
		panic(err)
	}
	run(g, y, sum)
	// Output:
	// [-1.000 1.000]
	// [11.000 31.000]
}

func ExampleAddRMSNorm() {
	g := gorgonia.NewGraph()
	x, r := input(g, "x", tensor.Shape{1, 2}, 1, 2), input(g, "r", tensor.Shape{1, 2}, 2, 2)
	y, sum, err := ops.AddRMSNorm(x, r, nil, nil, tensor.Shape{2}, ops.RMSNormConfig{Eps: 1e-9})
	if err != nil {
		panic(err)
	}
	run(g, y, sum)
	// Output:
	// [0.849 1.131]
	// [3.000 4.000]
}

// Four channels are normalized in two groups.
func ExampleGroupNorm() {
	g := gorgonia.NewGraph()
	x := input(g, "x", tensor.Shape{1, 4}, 1, 3, 100, 0)
	y := must(ops.GroupNorm(x, nil, nil, ops.GroupNormConfig{Groups: 2, Eps: 1e-9}))
	run(g, y)
	// Output: [-1.000 1.000 1.000 -1.000]
}

// Each channel of each sample is normalized by itself, and loses its level and its
// contrast.
func ExampleInstanceNorm() {
	g := gorgonia.NewGraph()
	x := input(g, "x", tensor.Shape{2, 1, 2}, 1, 3, 500, 100)
	y := must(ops.InstanceNorm(x, nil, nil, nil, ops.InstanceNormConfig{Eps: 1e-9}))
	run(g, y)
	// Output: [-1.000 1.000 1.000 -1.000]
}

// The rows of v give the directions and g the lengths.
func ExampleWeightNorm() {
	g := gorgonia.NewGraph()
	v := input(g, "v", tensor.Shape{2, 2}, 3, 4, 0, -7)
	length := input(g, "g", tensor.Shape{2}, 10, 1)
	w := must(ops.WeightNorm(v, length, ops.WeightNormConfig{}))
	run(g, w)
	// Output: [6.000 8.000 0.000 -1.000]
}

// The same weight is used in a linear layer, which never forms it.
func ExampleWeightNormLinear() {
	g := gorgonia.NewGraph()
	x := input(g, "x", tensor.Shape{1, 2}, 1, 1)
	v := input(g, "v", tensor.Shape{2, 2}, 3, 4, 0, -7)
	length, b := input(g, "g", tensor.Shape{2}, 10, 1), input(g, "b", tensor.Shape{2}, 0, 0.5)
	y := must(ops.WeightNormLinear(x, v, length, b, ops.WeightNormConfig{}))
	run(g, y)
	// Output: [14.000 -0.500]
}

// The largest singular value of the weight is 5, and becomes 1.
func ExampleSpectralNorm() {
	weight := tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]float64{5, 0, 0, 2}))
	vectors := must(ops.NewSingularVectors(weight, 0))
	g := gorgonia.NewGraph()
	w := must(ops.SpectralNorm(gorgonia.NodeFromAny(g, weight, gorgonia.WithName("w")), vectors, ops.DefaultSpectralNorm()))
	run(g, w)
	// Output: [1.000 0.000 0.000 0.400]
}

// The rows of the result have length 1, as for a cosine similarity.
func ExampleNormalize() {
	g := gorgonia.NewGraph()
	x := input(g, "x", tensor.Shape{2, 2}, 3, 4, 0, -2)
	y := must(ops.Normalize(x, ops.DefaultNormalize()))
	run(g, y)
	// Output: [0.600 0.800 0.000 -1.000]
}

// With k = 0, alpha = 3 and beta = ½ each element is divided by the root of the
// sum of the squares of itself and its two neighbours.
func ExampleLocalResponseNorm() {
	g := gorgonia.NewGraph()
	x := input(g, "x", tensor.Shape{1, 4, 1}, 3, 4, 0, 12)
	y := must(ops.LocalResponseNorm(x, ops.LocalResponseNormConfig{Size: 3, Alpha: 3, Beta: 0.5}))
	run(g, y)
	// Output: [0.600 0.800 0.000 1.000]
}

// Two workers see parts of the data. Merged, they have seen all of it.
func ExampleMoments() {
	part := func(values ...float64) *ops.Moments {
		m := must(ops.NewMoments(1, 1))
		if err := m.Add(tensor.New(tensor.WithShape(len(values), 1), tensor.WithBacking(values))); err != nil {
			panic(err)
		}
		return m
	}
	all := part(1, 2)
	if err := all.Merge(part(3, 4, 5)); err != nil {
		panic(err)
	}
	fmt.Println(all.Count(), all.Mean(), all.Variance())
	// Output: 5 [3] [2]
}

// The running statistics are those of two batches, as if they were one.
func ExampleReestimate() {
	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithName("x"), gorgonia.WithShape(2, 1))
	stats := must(ops.NewRunningStats(1))
	must(ops.BatchNorm(x, nil, nil, stats, ops.BatchNormConfig{Eps: 1e-5, Momentum: 0.1}))
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	err := ops.Reestimate(func() error {
		for _, batch := range [][]float64{{1, 3}, {5, 7}} {
			if err := gorgonia.Let(x, tensor.New(tensor.WithShape(2, 1), tensor.WithBacking(batch))); err != nil {
				return err
			}
			if err := vm.RunAll(); err != nil {
				return err
			}
			vm.Reset()
		}
		return nil
	}, stats)
	if err != nil {
		panic(err)
	}
	mean, variance, _ := stats.Values()
	fmt.Printf("%.3f %.3f\n", mean, variance)
	// Output: [4.000] [6.667]
}

// A wrong shape is an error when the graph is built.
func ExampleIs() {
	g := gorgonia.NewGraph()
	x := input(g, "x", tensor.Shape{2, 2}, 1, 2, 3, 4)
	_, err := ops.LayerNorm(x, nil, nil, tensor.Shape{3}, ops.LayerNormConfig{Eps: 1e-5})
	fmt.Println(ops.Is(err, ops.ErrShape))
	fmt.Println(err)
	// Output:
	// true
	// norm: layernorm: x is (2, 2), want (..., 3)
}

// The channels of the two pixels, (3, 4) and (0, 2), have the mean squares 12.5 and 2.
func ExampleRMSNormAxes() {
	g := gorgonia.NewGraph()
	x := input(g, "x", tensor.Shape{1, 2, 1, 2}, 3, 0, 4, 2)
	y := must(ops.RMSNormAxes(x, nil, nil, []int{1}, ops.RMSNormConfig{Eps: 1e-9}))
	run(g, y)
	// Output: [0.849 0.000 1.131 1.414]
}
