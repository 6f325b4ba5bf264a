package main

import (
	"math/rand/v2"

	"github.com/gorgonorm/norm/examples/internal/mnist"
	"github.com/gorgonorm/norm/examples/internal/nn"
	G "gorgonia.org/gorgonia"
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
		stages, err := nn.Hidden(n.Graph, kind, number, in, hidden, nn.HeUniform(rng, in))
		if err != nil {
			return nil, err
		}
		n.Add(stages...)
		n.Add(relu())
		in = hidden
	}
	n.Add(nn.StageOf(nn.NewLinear(n.Graph, "fc3", hidden, mnist.Classes, true, nn.HeUniform(rng, hidden))))
	return n, nil
}

// relu is the rectifier.
func relu() nn.Stage { return nn.Stateless(G.Rectify) }
