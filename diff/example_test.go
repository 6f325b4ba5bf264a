package diff_test

import (
	"fmt"

	"github.com/gorgonorm/norm/diff"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The penalty (‖∂f/∂x‖ − 1)² of f = w·x², and its gradient by w.
func ExampleGrad() {
	g := G.NewGraph()
	x := G.NewVector(g, tensor.Float64, G.WithName("x"), G.WithValue(tensor.New(tensor.WithBacking([]float64{1, 2}))))
	w := G.NewVector(g, tensor.Float64, G.WithName("w"), G.WithValue(tensor.New(tensor.WithBacking([]float64{1.5, 1}))))
	f := G.Must(G.Sum(G.Must(G.HadamardProd(w, G.Must(G.Square(x))))))

	dx, err := diff.Grad(f, x) // 2·w·x = (3, 4)
	if err != nil {
		panic(err)
	}
	slope := G.Must(G.Sqrt(G.Must(G.Sum(G.Must(G.Square(dx[0]))))))
	penalty := G.Must(G.Square(G.Must(G.Sub(slope, G.NewConstant(1.0)))))
	dw, err := diff.Grad(penalty, w)
	if err != nil {
		panic(err)
	}
	var p, d G.Value
	G.Read(penalty, &p)
	G.Read(dw[0], &d)
	vm := G.NewTapeMachine(g)
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
	g := G.NewGraph()
	x := G.NewVector(g, tensor.Float64, G.WithName("x"), G.WithValue(tensor.New(tensor.WithBacking([]float64{2, 1}))))
	w := G.NewVector(g, tensor.Float64, G.WithName("w"), G.WithValue(tensor.New(tensor.WithBacking([]float64{1, 1}))))
	f := G.Must(G.Sum(G.Must(G.HadamardProd(w, G.Must(G.Cube(x))))))
	dx, err := diff.Grad(f, x)
	if err != nil {
		panic(err)
	}
	dw, err := diff.Grad(G.Must(G.Sum(dx[0])), w)
	if err != nil {
		panic(err)
	}
	if err := diff.Bind(G.Nodes{w}, dw); err != nil {
		panic(err)
	}
	vm := G.NewTapeMachine(g, G.BindDualValues(w))
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		panic(err)
	}
	solver := G.NewVanillaSolver(G.WithLearnRate(0.1))
	if err := solver.Step(G.NodesToValueGrads(G.Nodes{w})); err != nil {
		panic(err)
	}
	fmt.Printf("%.1f\n", w.Value().Data())
	// Output: [-0.2 0.7]
}
