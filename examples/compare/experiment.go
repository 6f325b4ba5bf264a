package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/examples/internal/mnist"
	"github.com/gorgonorm/norm/examples/internal/nn"
	G "gorgonia.org/gorgonia"
)

// kinds are the normalizations, in the order of legends and tables.
var kinds = []string{"none", "batch", "layer", "weight"}

// experiment is a network, how it is trained, and for how long.
type experiment struct {
	name   string
	title  string // of its panels
	hidden []int  // units of the hidden layers
	batch  int
	steps  int
	scale  *mnist.Scale

	activation func(x *G.Node) (*G.Node, error)
	init       func(rng *rand.Rand, fanIn int) G.InitWFn
	solver     func(rate float64) G.Solver

	grid   []float64          // of learning rates
	rates  map[string]float64 // those that are used; see -search
	spread bool               // record the inputs of the last hidden units
	target float64            // an accuracy that takes some time to reach
}

// The experiments of the papers, in sizes for two cores and some minutes.
var experiments = []experiment{
	// Ioffe and Szegedy, 2015, section 4.1 and figure 1: three layers of 100 sigmoid
	// units, batches of 60 and binary images, for 50,000 steps there.
	{
		name: "sigmoid", title: "sigmoid units, batch 60", hidden: []int{100, 100, 100}, batch: 60, steps: 5000,
		scale: &mnist.Binary, activation: G.Sigmoid, spread: true, target: 0.95,
		init:   func(rng *rand.Rand, _ int) G.InitWFn { return nn.Normal(rng, 0.1) },
		solver: sgd,
		grid:   []float64{0.1, 0.3, 1, 3},
		rates:  map[string]float64{"none": 1, "batch": 1, "layer": 1, "weight": 1},
	},
	// Ba, Kiros and Hinton, 2016, section 6.6 and figure 6: two layers of 1000 units,
	// batches of 128 and of 4 and Adam, for 60 epochs there.
	{
		name: "batch128", title: "rectifiers, batch 128", hidden: []int{100, 100}, batch: 128, steps: 1500, target: 0.97,
		scale: &mnist.Grey, activation: G.Rectify, init: nn.HeUniform, solver: adam,
		grid:  []float64{0.0003, 0.001, 0.003, 0.01},
		rates: map[string]float64{"none": 0.001, "batch": 0.001, "layer": 0.001, "weight": 0.001},
	},
	{
		name: "batch4", title: "rectifiers, batch 4", hidden: []int{100, 100}, batch: 4, steps: 12000, target: 0.95,
		scale: &mnist.Grey, activation: G.Rectify, init: nn.HeUniform, solver: adam,
		grid:  []float64{0.0001, 0.0003, 0.001, 0.003},
		rates: map[string]float64{"none": 0.001, "batch": 0.001, "layer": 0.001, "weight": 0.001},
	},
}

func sgd(rate float64) G.Solver  { return G.NewVanillaSolver(G.WithLearnRate(rate)) }
func adam(rate float64) G.Solver { return G.NewAdamSolver(G.WithLearnRate(rate)) }

// network is a network and what is watched of it.
type network struct {
	*nn.Network
	inputs     G.Value           // of the last hidden units, in the last training batch
	batchNorms []*norm.BatchNorm // in the order of the layers
}

// network builds the network with normalization of the given kind in front of each
// activation function of a hidden layer.
func (e *experiment) network(kind string, inputs int, rng *rand.Rand) (*network, error) {
	n := &network{Network: nn.New()}
	in := inputs
	for i, out := range e.hidden {
		stages, err := nn.Hidden(n.Graph, kind, i+1, in, out, e.init(rng, in))
		if err != nil {
			return nil, err
		}
		for _, s := range stages {
			if bn, ok := s.Layer.(*norm.BatchNorm); ok {
				n.batchNorms = append(n.batchNorms, bn)
			}
		}
		n.Add(stages...)
		if e.spread && i == len(e.hidden)-1 {
			n.Add(nn.Observe(&n.inputs))
		}
		n.Add(nn.Stateless(e.activation))
		in = out
	}
	last := fmt.Sprint("fc", len(e.hidden)+1)
	n.Add(nn.StageOf(nn.NewLinear(n.Graph, last, in, mnist.Classes, true, e.init(rng, in))))
	return n, nil
}
