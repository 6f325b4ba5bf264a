package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/examples/internal/mnist"
	"github.com/gorgonorm/norm/examples/internal/nn"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The convolutional network: 5×5 filters, few of them, since Gorgonia takes most of
// the time for the convolutions, and halves of the image's sides in between.
const (
	filterSize = 5
	pooling    = 2
)

var filters = []int{8, 16}

// newConvNetwork builds twice convolution → normalization → rectifier → maximum
// over 2×2, and a linear layer. Images are squares whose sides are multiples of 4.
func newConvNetwork(kind string, inputs int, rng *rand.Rand) (*nn.Network, error) {
	side := int(math.Sqrt(float64(inputs)))
	if side*side != inputs || side%4 != 0 {
		return nil, fmt.Errorf("-net conv: images of %d pixels, want squares with sides that are multiples of 4", inputs)
	}
	n := nn.New()
	in := 1
	n.Add(reshape(in, side, side))
	for i, out := range filters {
		stages, err := convLayer(n.Graph, kind, i+1, in, out, side, rng)
		if err != nil {
			return nil, err
		}
		n.Add(stages...)
		n.Add(relu(), maxPool())
		in, side = out, side/pooling
	}
	features := in * side * side
	n.Add(reshape(features),
		nn.StageOf(nn.NewLinear(n.Graph, fmt.Sprint("fc", len(filters)+1), features, mnist.Classes, true, nn.HeUniform(rng, features))))
	return n, nil
}

// convLayer returns the convolution with the given number and its normalization.
// Weight normalization is that of the filters themselves. The convolutions have no
// bias: the β of a normalization does the same, and without one a bias makes no
// difference here.
func convLayer(g *G.ExprGraph, kind string, number, in, out, side int, rng *rand.Rand) ([]nn.Stage, error) {
	name := fmt.Sprint(kind, number)
	shape := tensor.Shape{out, in, filterSize, filterSize}
	init := nn.HeUniform(rng, in*filterSize*filterSize)
	if kind == "weight" {
		wn, err := norm.NewWeightNorm(g, dt, shape, norm.WithName(name), norm.WithWeightInit(init))
		if err != nil {
			return nil, err
		}
		return []nn.Stage{convolve(wn)}, nil
	}
	stages := []nn.Stage{convolve(&plainWeight{G.NewTensor(g, dt, 4, G.WithShape(shape...),
		G.WithName(fmt.Sprintf("conv%d.w", number)), G.WithInit(init))})}
	switch kind {
	case "batch":
		bn, err := norm.NewBatchNorm(g, dt, out, norm.WithName(name))
		if err != nil {
			return nil, err
		}
		stages = append(stages, nn.StageOf(bn))
	case "layer":
		ln, err := norm.NewLayerNorm(g, dt, tensor.Shape{out, side, side}, norm.WithName(name))
		if err != nil {
			return nil, err
		}
		stages = append(stages, nn.StageOf(ln))
	}
	return stages, nil
}

// weight is what plain filters and those of package norm have in common; W is the
// type itself.
type weight[W any] interface {
	Weight() (*G.Node, error)
	Learnables() G.Nodes
	In(g *G.ExprGraph) (W, error)
}

// convolve is a convolution that leaves the sides of the image as they are.
func convolve[W weight[W]](w W) nn.Stage {
	return nn.Stage{
		Fwd: func(x *G.Node) (*G.Node, error) {
			f, err := w.Weight()
			if err != nil {
				return nil, err
			}
			return G.Conv2d(x, f, tensor.Shape{filterSize, filterSize}, []int{filterSize / 2, filterSize / 2}, []int{1, 1}, []int{1, 1})
		},
		Learnables: w.Learnables(),
		In: func(g *G.ExprGraph) (nn.Stage, error) {
			w2, err := w.In(g)
			if err != nil {
				return nn.Stage{}, err
			}
			return convolve(w2), nil
		},
	}
}

// plainWeight is a weight as it is.
type plainWeight struct{ w *G.Node }

// Weight returns it.
func (p *plainWeight) Weight() (*G.Node, error) { return p.w, nil }

// Learnables returns it too.
func (p *plainWeight) Learnables() G.Nodes { return G.Nodes{p.w} }

// In returns the weight in another graph.
func (p *plainWeight) In(g *G.ExprGraph) (*plainWeight, error) {
	return &plainWeight{nn.Share(g, p.w)}, nil
}

// maxPool takes the maximum over 2×2 pixels.
func maxPool() nn.Stage {
	return nn.Stateless(func(x *G.Node) (*G.Node, error) {
		return G.MaxPool2D(x, tensor.Shape{pooling, pooling}, []int{0, 0}, []int{pooling, pooling})
	})
}

// reshape sees each image in another shape.
func reshape(image ...int) nn.Stage {
	return nn.Stateless(func(x *G.Node) (*G.Node, error) {
		return G.Reshape(x, append(tensor.Shape{x.Shape()[0]}, image...))
	})
}
