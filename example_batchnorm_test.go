package norm_test

import (
	"fmt"

	"github.com/gorgonorm/norm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A linear layer y = x·wᵀ + b and the batch norm after it become one linear
// layer: with a running mean of 2 and a running variance of 4, (y − 2)/2.
func ExampleBatchNorm_Fold() {
	bn := norm.Must(norm.NewBatchNorm(gorgonia.NewGraph(), tensor.Float64, 1, norm.WithEps(1e-9)))
	if err := bn.SetStats([]float64{2}, []float64{4}); err != nil {
		panic(err)
	}
	w := tensor.New(tensor.WithShape(1, 2), tensor.WithBacking([]float64{10, 20}))
	b := tensor.New(tensor.WithShape(1), tensor.WithBacking([]float64{6}))
	w, b, err := bn.Fold(w, b, 0)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%.3f %.3f\n", w.Data(), b.Data())
	// Output: [5.000 10.000] [2.000]
}

// For fine-tuning: the running statistics normalize x in training too, and do not change.
func ExampleBatchNorm_FwdFrozen() {
	g := gorgonia.NewGraph()
	x := gorgonia.NodeFromAny(g, tensor.New(tensor.WithShape(2, 1), tensor.WithBacking([]float64{3, 5})), gorgonia.WithName("x"))
	bn := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 1, norm.WithEps(1e-9)))
	if err := bn.SetStats([]float64{1}, []float64{4}); err != nil {
		panic(err)
	}
	y := norm.Must(bn.FwdFrozen(x))
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		panic(err)
	}
	mean, variance := bn.Stats()
	fmt.Printf("%.3f %v %v\n", y.Value().Data(), mean, variance)
	// Output: [1.000 2.000] [1] [4]
}

// The statistics are those of the six values of three batches, as if they were one batch.
func ExampleReestimate() {
	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithName("x"), gorgonia.WithShape(2, 1))
	bn := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 1))
	norm.Must(bn.Fwd(x))
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	err := norm.Reestimate(func() error {
		for _, batch := range [][]float64{{1, 2}, {3, 4}, {5, 6}} {
			if err := gorgonia.Let(x, tensor.New(tensor.WithShape(2, 1), tensor.WithBacking(batch))); err != nil {
				return err
			}
			if err := vm.RunAll(); err != nil {
				return err
			}
			vm.Reset()
		}
		return nil
	}, bn)
	if err != nil {
		panic(err)
	}
	fmt.Println(bn.Stats())
	// Output: [3.5] [3.5]
}
