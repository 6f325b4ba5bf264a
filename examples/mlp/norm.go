package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/examples/internal/nn"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// normKinds are the values of -norm.
var normKinds = []string{"batch", "layer", "weight", "none"}

// hiddenLayer returns the linear layer with the given number and its
// normalization. Weight normalization is a linear layer itself; the other two
// follow one, which then needs no bias, for their β does the same.
func hiddenLayer(g *G.ExprGraph, kind string, number, in int, rng *rand.Rand) ([]nn.Stage, error) {
	name := fmt.Sprint(kind, number)
	switch kind {
	case "batch":
		bn, err := norm.NewBatchNorm(g, dt, hidden, norm.WithName(name))
		return withLinear(g, number, in, rng, bn, err)
	case "layer":
		ln, err := norm.NewLayerNorm(g, dt, tensor.Shape{hidden}, norm.WithName(name))
		return withLinear(g, number, in, rng, ln, err)
	case "weight":
		wn, err := norm.NewWeightNormLinear(g, dt, in, hidden,
			norm.WithName(name), norm.WithWeightInit(heUniform(rng, in)))
		if err != nil {
			return nil, err
		}
		return []nn.Stage{nn.StageOf(wn)}, nil
	default:
		return []nn.Stage{nn.StageOf(newLinear(g, number, in, hidden, true, rng))}, nil
	}
}

// withLinear puts a linear layer in front of a normalization layer, given with
// the error of its constructor.
func withLinear[L nn.Layer[L]](g *G.ExprGraph, number, in int, rng *rand.Rand, l L, err error) ([]nn.Stage, error) {
	if err != nil {
		return nil, err
	}
	return []nn.Stage{nn.StageOf(newLinear(g, number, in, hidden, false, rng)), nn.StageOf(l)}, nil
}
