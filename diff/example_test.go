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
