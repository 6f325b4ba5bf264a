// Command first normalizes a batch and prints it and its statistics.
package main

import (
	"fmt"

	"github.com/gorgonorm/norm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func main() {
	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithName("x"), gorgonia.WithShape(4, 3), gorgonia.WithInit(gorgonia.RangedFrom(0)))
	bn := norm.Must(norm.NewBatchNorm(g, tensor.Float32, 3))
	y := norm.Must(bn.Fwd(x)) // a node, as from any function of Gorgonia
	cost := norm.Must(gorgonia.Sum(norm.Must(gorgonia.Cube(y))))
	norm.Must(gorgonia.Grad(cost, bn.Learnables()...)) // its γ and β
	var out gorgonia.Value
	gorgonia.Read(y, &out) // y.Value() itself may be written over by what follows it
	vm := gorgonia.NewTapeMachine(g, gorgonia.BindDualValues(bn.Learnables()...))
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		panic(err)
	}
	fmt.Println(out)
	fmt.Println(bn.Stats()) // running mean and variance after one batch
}
