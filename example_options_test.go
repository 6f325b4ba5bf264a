package norm_test

import (
	"fmt"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/ops"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A complete program: a batch through batch norm, and the gradients of γ and β.
//
// Each channel has the values c, c+3, c+6 and c+9: mean c+4.5, biased variance
// 11.25, unbiased variance 15. The running statistics start at 0 and 1 and move a
// tenth of the way.
func Example() {
	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithName("x"), gorgonia.WithShape(4, 3), gorgonia.WithInit(gorgonia.RangedFrom(0)))
	bn := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3))
	y := norm.Must(bn.Fwd(x))
	cost := norm.Must(gorgonia.Sum(norm.Must(gorgonia.Square(y))))
	norm.Must(gorgonia.Grad(cost, bn.Learnables()...))
	var out gorgonia.Value
	gorgonia.Read(y, &out)
	vm := gorgonia.NewTapeMachine(g, gorgonia.BindDualValues(bn.Learnables()...))
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		panic(err)
	}
	fmt.Printf("%.3f", out)
	for _, p := range bn.Learnables() {
		d := norm.Must(p.Grad())
		fmt.Printf("%s %.3f\n", p.Name(), d.Data()) // 2·Σy² and 2·Σy
	}
	mean, variance := bn.Stats()
	fmt.Printf("%.2f %.2f\n", mean, variance)
	// Output:
	// ⎡-1.342  -1.342  -1.342⎤
	// ⎢-0.447  -0.447  -0.447⎥
	// ⎢ 0.447   0.447   0.447⎥
	// ⎣ 1.342   1.342   1.342⎦
	// batchnorm.gamma [8.000 8.000 8.000]
	// batchnorm.beta [0.000 0.000 0.000]
	// [0.45 0.55 0.65] [2.40 2.40 2.40]
}

// column returns a node of one column with values.
func column(g *gorgonia.ExprGraph, values ...float64) *gorgonia.Node {
	v := tensor.New(tensor.WithShape(len(values), 1), tensor.WithBacking(values))
	return gorgonia.NodeFromAny(g, v, gorgonia.WithName("x"))
}

// runs runs a machine in training mode once for each batch, bound to x.
func runs(g *gorgonia.ExprGraph, x *gorgonia.Node, batches ...[]float64) error {
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	for _, b := range batches {
		if err := gorgonia.Let(x, tensor.New(tensor.WithShape(x.Shape()...), tensor.WithBacking(b))); err != nil {
			return err
		}
		if err := vm.RunAll(); err != nil {
			return err
		}
		vm.Reset()
	}
	return nil
}

// A batch with one value per channel has no variance. The machine returns the error, and
// Is sees through the types in which Gorgonia wraps it. The running statistics are
// unchanged.
func ExampleIs() {
	g := gorgonia.NewGraph()
	bn := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 1))
	x := column(g, 7)
	norm.Must(bn.Fwd(x))
	err := runs(g, x, []float64{7})
	fmt.Println(norm.Is(err, norm.ErrBatch))
	fmt.Println(bn.Stats())
	// Output:
	// true
	// [0] [1]
}

// The k-th batch moves the statistics by 1/k. They are the averages of the means, 2, 4
// and 9, and of the unbiased variances, 2, 2 and 8.
func ExampleWithCumulativeAverage() {
	g := gorgonia.NewGraph()
	bn := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 1, norm.WithCumulativeAverage()))
	x := column(g, 0, 0)
	norm.Must(bn.Fwd(x))
	if err := runs(g, x, []float64{1, 3}, []float64{3, 5}, []float64{7, 11}); err != nil {
		panic(err)
	}
	mean, variance := bn.Stats()
	fmt.Printf("%.3f %.3f\n", mean, variance)
	// Output: [5.000] [4.000]
}

// Keras' layout: two pixels of one image, with the channels last. Keras' momentum of 0.99
// is 0.01 here, and its eps is 1e-3.
func ExampleWithChannelAxis() {
	g := gorgonia.NewGraph()
	x := gorgonia.NewTensor(g, tensor.Float64, 4, gorgonia.WithName("x"), gorgonia.WithShape(1, 1, 2, 3),
		gorgonia.WithValue(tensor.New(tensor.WithShape(1, 1, 2, 3), tensor.WithBacking([]float64{
			1, 20, 300, // the channels of one pixel
			3, 40, 500,
		}))))
	bn := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3,
		norm.WithChannelAxis(-1), norm.WithMomentum(1-0.99), norm.WithEps(1e-3)))
	y := norm.Must(bn.Fwd(x))
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		panic(err)
	}
	mean, _ := bn.Stats()
	fmt.Printf("%.2f %.2f\n", y.Value().Data(), mean)
	// Output: [-1.00 -1.00 -1.00 1.00 1.00 1.00] [0.02 0.30 4.00]
}

// The deviations of 1, 2 and 3 are −1, 0 and 1. The unbiased standard deviation is √(2/2)
// = 1, and an eps of 1, outside the root, halves the deviations.
func ExampleWithUnbiasedStd() {
	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithName("x"), gorgonia.WithShape(1, 3), gorgonia.WithInit(gorgonia.RangedFrom(1)))
	ln := norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{3}, norm.WithUnbiasedStd(), norm.WithEps(1)))
	y := norm.Must(ln.Fwd(x))
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		panic(err)
	}
	fmt.Printf("%.2f\n", y.Value().Data())
	// Output: [-0.50 0.00 0.50]
}

// The root of the mean square of 1 and 7 is 5. γ starts at 0, so the scale 1 + γ is 1.
func ExampleWithScalePlusOne() {
	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithName("x"), gorgonia.WithShape(1, 2),
		gorgonia.WithValue(tensor.New(tensor.WithShape(1, 2), tensor.WithBacking([]float64{1, 7}))))
	rms := norm.Must(norm.NewRMSNorm(g, tensor.Float64, tensor.Shape{2}, norm.WithScalePlusOne()))
	y := norm.Must(rms.Fwd(x))
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		panic(err)
	}
	fmt.Printf("%.2f\n", y.Value().Data())
	fmt.Println(rms.Learnables()[0].Value())
	// Output:
	// [0.20 1.40]
	// [0  0]
}

// Two workers gather the statistics of what they see of a data set, and the layer takes
// both together: the mean of 1 to 5 is 3, and the unbiased variance is 10/4.
func ExampleBatchNorm_SetMoments() {
	bn := norm.Must(norm.NewBatchNorm(gorgonia.NewGraph(), tensor.Float64, 1))
	seen := func(values ...float64) *ops.Moments {
		m := bn.NewMoments()
		if err := m.Add(tensor.New(tensor.WithShape(len(values), 1), tensor.WithBacking(values))); err != nil {
			panic(err)
		}
		return m
	}
	all := seen(1, 2)
	if err := all.Merge(seen(3, 4, 5)); err != nil {
		panic(err)
	}
	if err := bn.SetMoments(all); err != nil {
		panic(err)
	}
	fmt.Println(bn.Stats())
	// Output: [3] [2.5]
}

// The row (3, 4) of v has the length 5. With g = 10 it keeps its direction and has the
// length 10.
func ExampleWeightNormLinear_Materialize() {
	v := tensor.New(tensor.WithShape(1, 2), tensor.WithBacking([]float64{3, 4}))
	fc := norm.Must(norm.NewWeightNormLinear(gorgonia.NewGraph(), tensor.Float64, 2, 1, norm.WithWeight(v)))
	length := fc.Learnables()[1].Value().Data().([]float64)
	fmt.Println(norm.Must(fc.Materialize()).Data(), length)
	length[0] = 10
	fmt.Println(norm.Must(fc.Materialize()).Data())
	// Output:
	// [3 4] [5]
	// [6 8]
}
