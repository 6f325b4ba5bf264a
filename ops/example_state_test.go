package ops_test

import (
	"fmt"

	"github.com/gorgonorm/norm/ops"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Evaluation uses statistics that were computed elsewhere: (x − 10)/√4.
func ExampleRunningStats() {
	stats := must(ops.NewRunningStats(1))
	fmt.Println(stats.Values())
	if err := stats.Set([]float64{10}, []float64{4}, 1000); err != nil {
		panic(err)
	}
	g := gorgonia.NewGraph()
	x := input(g, "x", tensor.Shape{2, 1}, 8, 16)
	y := must(ops.BatchNorm(x, nil, nil, stats, ops.BatchNormConfig{Eps: 1e-9, Momentum: 0.1}))
	vm := gorgonia.NewTapeMachine(g, gorgonia.EvalMode())
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		panic(err)
	}
	fmt.Printf("%.3f\n", y.Value().Data())
	fmt.Println(stats.Values())
	// Output:
	// [0] [1] 0
	// [-1.000 3.000]
	// [10] [4] 1000
}

// Frozen statistics normalize x in training too, and do not change.
func ExampleBatchNormConfig() {
	stats := must(ops.NewRunningStats(1))
	g := gorgonia.NewGraph()
	x := input(g, "x", tensor.Shape{2, 1}, 8, 16)
	y := must(ops.BatchNorm(x, nil, nil, stats, ops.BatchNormConfig{Eps: 1e-9, Momentum: 0.1, Frozen: true}))
	run(g, y)
	fmt.Println(stats.Values())
	// Output:
	// [8.000 16.000]
	// [0] [1] 0
}

// The weight diag(5, 2) stretches most along the first axis. u and v point along it, and
// the weight is divided by 5. The sign of the vectors does not matter.
func ExampleSingularVectors() {
	weight := tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]float64{5, 0, 0, 2}))
	vectors := must(ops.NewSingularVectors(weight, 0))
	u, v := vectors.Values()
	fmt.Printf("%.2f\n", u[0]*v[0])
	fmt.Printf("%.2f\n", must(vectors.Materialize(weight)).Data())
	// Output:
	// 1.00
	// [1.00 0.00 0.00 0.40]
}

// The lengths of the rows, and then that of the whole weight.
func ExampleWeightLengths() {
	v := tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]float64{3, 4, 0, 12}))
	fmt.Println(must(ops.WeightLengths(v, 0)).Data())
	fmt.Println(must(ops.WeightLengths(v, ops.WholeTensor)).Data())
	// Output:
	// [5 12]
	// [13]
}

// Two sequences of length 2 and 1 are in a batch of shape (2, 1, 2). The values 1, 3 and
// 5 have mean 3 and variance 8/3. The padding does not count, and y is 0 there.
func ExampleBatchNormConfig_mask() {
	g := gorgonia.NewGraph()
	x := input(g, "x", tensor.Shape{2, 1, 2}, 1, 3, 5, 1e6)
	lengths := input(g, "lengths", tensor.Shape{2}, 2, 1)
	y := must(ops.BatchNorm(x, nil, nil, nil, ops.BatchNormConfig{Eps: 1e-9, Mask: lengths}))
	run(g, y)
	// Output: [-1.225 0.000 1.225 0.000]
}
