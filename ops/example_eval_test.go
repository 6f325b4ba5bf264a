package ops_test

import (
	"fmt"

	"github.com/gorgonorm/norm/ops"
	"gorgonia.org/tensor"
)

// values returns a tensor of float64.
func values(shape tensor.Shape, data ...float64) *tensor.Dense {
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
}

// show prints the values of a result.
func show(y *tensor.Dense, err error) {
	if err != nil {
		panic(err)
	}
	fmt.Printf("%.3f\n", y.Data())
}

// The channels of the two pixels, (3, 4) and (0, 2), have the mean squares 12.5 and 2.
func ExampleEvalRMSNormAxes() {
	x := values(tensor.Shape{1, 2, 1, 2}, 3, 0, 4, 2)
	show(ops.EvalRMSNormAxes(nil, x, nil, nil, []int{1}, ops.RMSNormConfig{Eps: 1e-9}))
	// Output: [0.849 0.000 1.131 1.414]
}

// The result may be written over x.
func ExampleEvalLayerNorm() {
	x := values(tensor.Shape{2, 2}, 1, 3, -100, 100)
	gamma, beta := values(tensor.Shape{2}, 1, 2), values(tensor.Shape{2}, 0, 5)
	if _, err := ops.EvalLayerNorm(x, x, gamma, beta, tensor.Shape{2}, ops.LayerNormConfig{Eps: 1e-9}); err != nil {
		panic(err)
	}
	fmt.Printf("%.3f\n", x.Data())
	// Output: [-1.000 7.000 -1.000 7.000]
}

// The channels of each pixel are normalized.
func ExampleEvalLayerNormAxes() {
	x := values(tensor.Shape{1, 2, 1, 2}, 1, 5, 3, -5)
	show(ops.EvalLayerNormAxes(nil, x, nil, nil, []int{1}, ops.LayerNormConfig{Eps: 1e-9}))
	// Output: [-1.000 1.000 1.000 -1.000]
}

// The row (3, 4) has the mean square 12.5.
func ExampleEvalRMSNorm() {
	show(ops.EvalRMSNorm(nil, values(tensor.Shape{1, 2}, 3, 4), nil, nil, tensor.Shape{2}, ops.RMSNormConfig{Eps: 1e-9}))
	// Output: [0.849 1.131]
}

// The sum is written over x, for the next residual.
func ExampleEvalAddLayerNorm() {
	x, r := values(tensor.Shape{1, 2}, 1, 2), values(tensor.Shape{1, 2}, 10, 29)
	y, x, err := ops.EvalAddLayerNorm(nil, x, x, r, nil, nil, tensor.Shape{2}, ops.LayerNormConfig{Eps: 1e-9})
	show(y, err)
	show(x, nil)
	// Output:
	// [-1.000 1.000]
	// [11.000 31.000]
}

func ExampleEvalAddRMSNorm() {
	x, r := values(tensor.Shape{1, 2}, 1, 2), values(tensor.Shape{1, 2}, 2, 2)
	y, sum, err := ops.EvalAddRMSNorm(nil, nil, x, r, nil, nil, tensor.Shape{2}, ops.RMSNormConfig{Eps: 1e-9})
	show(y, err)
	show(sum, nil)
	// Output:
	// [0.849 1.131]
	// [3.000 4.000]
}

// A row is normalized by statistics from training: (8 − 10)/√4 and (7 − 1)/√9.
func ExampleEvalBatchNorm() {
	stats := must(ops.NewRunningStats(2))
	if err := stats.Set([]float64{10, 1}, []float64{4, 9}, ops.KeepBatches); err != nil {
		panic(err)
	}
	show(ops.EvalBatchNorm(nil, values(tensor.Shape{1, 2}, 8, 7), nil, nil, stats, ops.BatchNormConfig{Eps: 1e-9}))
	// Output: [-1.000 2.000]
}

// Four channels are normalized in two groups.
func ExampleEvalGroupNorm() {
	show(ops.EvalGroupNorm(nil, values(tensor.Shape{1, 4}, 1, 3, 100, 0), nil, nil, ops.GroupNormConfig{Groups: 2, Eps: 1e-9}))
	// Output: [-1.000 1.000 1.000 -1.000]
}

// Two samples of one channel are normalized without running statistics.
func ExampleEvalInstanceNorm() {
	show(ops.EvalInstanceNorm(nil, values(tensor.Shape{2, 1, 2}, 1, 3, 500, 100), nil, nil, nil, ops.InstanceNormConfig{Eps: 1e-9}))
	// Output: [-1.000 1.000 1.000 -1.000]
}

// The directions are (3, 4)/5 and (0, −1), and the lengths 10 and 1.
func ExampleEvalWeightNorm() {
	v, g := values(tensor.Shape{2, 2}, 3, 4, 0, -7), values(tensor.Shape{2}, 10, 1)
	show(ops.EvalWeightNorm(nil, v, g, ops.WeightNormConfig{}))
	// Output: [6.000 8.000 0.000 -1.000]
}

// The same weight is used in a linear layer, for x = (1, 1): 6 + 8 and 0 − 1 + ½.
func ExampleEvalWeightNormLinear() {
	v, g, b := values(tensor.Shape{2, 2}, 3, 4, 0, -7), values(tensor.Shape{2}, 10, 1), values(tensor.Shape{2}, 0, 0.5)
	show(ops.EvalWeightNormLinear(nil, values(tensor.Shape{1, 2}, 1, 1), v, g, b, ops.WeightNormConfig{}))
	// Output: [14.000 -0.500]
}

// The largest singular value of diag(5, 2) is 5.
func ExampleEvalSpectralNorm() {
	weight := values(tensor.Shape{2, 2}, 5, 0, 0, 2)
	show(ops.EvalSpectralNorm(nil, weight, must(ops.NewSingularVectors(weight, 0))))
	// Output: [1.000 0.000 0.000 0.400]
}

// The rows of the result have length 1.
func ExampleEvalNormalize() {
	show(ops.EvalNormalize(nil, values(tensor.Shape{2, 2}, 3, 4, 0, -2), ops.DefaultNormalize()))
	// Output: [0.600 0.800 0.000 -1.000]
}

// The window of 5 channels and k = 2 are AlexNet's, but alpha is large here. At a place
// with one channel of value 1 the divisor is (2 + 5/5·1)^0.75 = 2.280.
func ExampleEvalLocalResponseNorm() {
	cfg := ops.DefaultLocalResponseNorm(5)
	cfg.K, cfg.Alpha = 2, 5
	show(ops.EvalLocalResponseNorm(nil, values(tensor.Shape{1, 1, 1}, 1), cfg))
	// Output: [0.439]
}
