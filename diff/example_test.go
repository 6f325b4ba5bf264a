package diff_test

import (
	"fmt"

	"github.com/gorgonorm/norm/diff"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The penalty (‖∂f/∂x‖ − 1)² of f = w·x², and its gradient by w.
func ExampleGrad() {
	g := gorgonia.NewGraph()
	x := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithName("x"), gorgonia.WithValue(tensor.New(tensor.WithBacking([]float64{1, 2}))))
	w := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithName("w"), gorgonia.WithValue(tensor.New(tensor.WithBacking([]float64{1.5, 1}))))
	f := gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.HadamardProd(w, gorgonia.Must(gorgonia.Square(x))))))

	dx, err := diff.Grad(f, x) // 2·w·x = (3, 4)
	if err != nil {
		panic(err)
	}
	slope := gorgonia.Must(gorgonia.Sqrt(gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.Square(dx[0]))))))
	penalty := gorgonia.Must(gorgonia.Square(gorgonia.Must(gorgonia.Sub(slope, gorgonia.NewConstant(1.0)))))
	dw, err := diff.Grad(penalty, w)
	if err != nil {
		panic(err)
	}
	var p, d gorgonia.Value
	gorgonia.Read(penalty, &p)
	gorgonia.Read(dw[0], &d)
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		panic(err)
	}
	fmt.Printf("penalty %.1f, gradient %.1f\n", p.Data(), d.Data())
	// Output: penalty 16.0, gradient [9.6 25.6]
}

// One step of a solver by the gradient of a gradient: f = w·x³, its slope by x is
// 3·w·x², and the gradient of the slope by w is 3·x² = (12, 3). A step of 0.1 leads
// from w = (1, 1) to (1 − 1.2, 1 − 0.3).
func ExampleBind() {
	g := gorgonia.NewGraph()
	x := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithName("x"), gorgonia.WithValue(tensor.New(tensor.WithBacking([]float64{2, 1}))))
	w := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithName("w"), gorgonia.WithValue(tensor.New(tensor.WithBacking([]float64{1, 1}))))
	f := gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.HadamardProd(w, gorgonia.Must(gorgonia.Cube(x))))))
	dx, err := diff.Grad(f, x)
	if err != nil {
		panic(err)
	}
	dw, err := diff.Grad(gorgonia.Must(gorgonia.Sum(dx[0])), w)
	if err != nil {
		panic(err)
	}
	if err := diff.Bind(gorgonia.Nodes{w}, dw); err != nil {
		panic(err)
	}
	vm := gorgonia.NewTapeMachine(g, gorgonia.BindDualValues(w))
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		panic(err)
	}
	solver := gorgonia.NewVanillaSolver(gorgonia.WithLearnRate(0.1))
	if err := solver.Step(gorgonia.NodesToValueGrads(gorgonia.Nodes{w})); err != nil {
		panic(err)
	}
	fmt.Printf("%.1f\n", w.Value().Data())
	// Output: [-0.2 0.7]
}
