package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gorgonorm/norm/examples/internal/mnist"
	"github.com/gorgonorm/norm/examples/internal/nn"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// hidden is the width of the two hidden layers.
const hidden = 200

// dt is the type of all numbers in the network.
var dt = nn.Dtype

// newNetwork builds inputs → 200 → 200 → 10 with normalization of the given kind.
func newNetwork(kind string, inputs int, rng *rand.Rand) (*nn.Network, error) {
	n := nn.New()
	in := inputs
	for number := 1; number <= 2; number++ {
		stages, err := hiddenLayer(n.Graph, kind, number, in, rng)
		if err != nil {
			return nil, err
		}
		n.Add(stages...)
		n.Add(relu())
		in = hidden
	}
	n.Add(nn.StageOf(newLinear(n.Graph, 3, hidden, mnist.Classes, true, rng)))
	return n, nil
}

// relu is the rectifier.
func relu() nn.Stage { return nn.Stateless(G.Rectify) }

// newLinear returns the linear layer with the given number.
func newLinear(g *G.ExprGraph, number, in, out int, bias bool, rng *rand.Rand) *nn.Linear {
	return nn.NewLinear(g, fmt.Sprint("fc", number), in, out, bias, heUniform(rng, in))
}

// heUniform draws from ±√(6/fanIn), which keeps the variance from layer to
// layer when rectifiers lie between them. Gorgonia's own initializers draw from
// a generator seeded with the time, so that no two runs would be alike.
//
// He, Zhang, Ren, Sun, "Delving Deep into Rectifiers", 2015, arXiv:1502.01852.
func heUniform(rng *rand.Rand, fanIn int) G.InitWFn {
	limit := math.Sqrt(6 / float64(fanIn))
	return func(_ tensor.Dtype, s ...int) interface{} {
		w := make([]float32, tensor.Shape(s).TotalSize())
		for i := range w {
			w[i] = float32((2*rng.Float64() - 1) * limit)
		}
		return w
	}
}
