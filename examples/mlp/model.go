package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// hidden is the width of the two hidden layers.
const hidden = 200

// dt is the type of all numbers in the network.
var dt = tensor.Float32

// stage is one step of the network: a layer or an activation function.
type stage struct {
	fwd        func(x *G.Node) (*G.Node, error)
	learnables G.Nodes
	// in makes the same stage in another graph, sharing the parameters.
	in func(g *G.ExprGraph) (stage, error)
}

// layer is what the layers of package norm and the linear layer below have in
// common; L is the layer's own type.
type layer[L any] interface {
	Fwd(x *G.Node) (*G.Node, error)
	Learnables() G.Nodes
	In(g *G.ExprGraph) (L, error)
}

func stageOf[L layer[L]](l L) stage {
	return stage{
		fwd:        l.Fwd,
		learnables: l.Learnables(),
		in: func(g *G.ExprGraph) (stage, error) {
			l2, err := l.In(g)
			if err != nil {
				return stage{}, err
			}
			return stageOf(l2), nil
		},
	}
}

// relu is the rectifier.
func relu() stage { return stateless(G.Rectify) }

// network is one of the networks in one graph.
type network struct {
	g      *G.ExprGraph
	stages []stage
}

// newNetwork builds inputs → 200 → 200 → 10 with normalization of the given kind.
func newNetwork(kind string, inputs int, rng *rand.Rand) (*network, error) {
	n := &network{g: G.NewGraph()}
	in := inputs
	for number := 1; number <= 2; number++ {
		stages, err := hiddenLayer(n.g, kind, number, in, rng)
		if err != nil {
			return nil, err
		}
		n.stages = append(n.stages, stages...)
		n.stages = append(n.stages, relu())
		in = hidden
	}
	n.stages = append(n.stages, stageOf(newLinear(n.g, 3, hidden, classes, true, rng)))
	return n, nil
}

// fwd applies the stages one after another and returns the logits.
func (n *network) fwd(x *G.Node) (*G.Node, error) {
	var err error
	for _, s := range n.stages {
		if x, err = s.fwd(x); err != nil {
			return nil, err
		}
	}
	return x, nil
}

func (n *network) learnables() (nodes G.Nodes) {
	for _, s := range n.stages {
		nodes = append(nodes, s.learnables...)
	}
	return nodes
}

// in returns the same network in a new graph. The parameters of both are the
// same tensors, so what one graph learns the other one knows.
func (n *network) in(g *G.ExprGraph) (*network, error) {
	n2 := &network{g: g}
	for _, s := range n.stages {
		s2, err := s.in(g)
		if err != nil {
			return nil, err
		}
		n2.stages = append(n2.stages, s2)
	}
	return n2, nil
}

// linear computes y = x·w + b. Its w is (in, out), other than in the formula
// with wᵀ, because transposing costs Gorgonia a copy in every step.
type linear struct {
	w, b *G.Node // b is nil in a layer without bias
}

func newLinear(g *G.ExprGraph, number, in, out int, bias bool, rng *rand.Rand) *linear {
	name := fmt.Sprint("fc", number)
	l := &linear{w: G.NewMatrix(g, dt, G.WithShape(in, out), G.WithName(name+".w"), G.WithInit(heUniform(rng, in)))}
	if bias {
		l.b = G.NewMatrix(g, dt, G.WithShape(1, out), G.WithName(name+".b"), G.WithInit(G.Zeroes()))
	}
	return l
}

// Fwd applies the layer.
func (l *linear) Fwd(x *G.Node) (*G.Node, error) {
	y, err := G.Mul(x, l.w)
	if err != nil || l.b == nil {
		return y, err
	}
	return G.BroadcastAdd(y, l.b, nil, []byte{0})
}

// Learnables returns w and, if there is one, b.
func (l *linear) Learnables() G.Nodes {
	if l.b == nil {
		return G.Nodes{l.w}
	}
	return G.Nodes{l.w, l.b}
}

// In returns the layer in another graph.
func (l *linear) In(g *G.ExprGraph) (*linear, error) {
	l2 := &linear{w: share(g, l.w)}
	if l.b != nil {
		l2.b = share(g, l.b)
	}
	return l2, nil
}

// share returns a node for the same tensor in another graph.
func share(g *G.ExprGraph, n *G.Node) *G.Node {
	return G.NewTensor(g, dt, n.Dims(), G.WithShape(n.Shape()...), G.WithName(n.Name()), G.WithValue(n.Value()))
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

// crossEntropy returns the mean over the images of −log of the probability that
// the network gives to the right class. logits is (images, classes), y is
// (classes, images) and has a one for each right class.
//
// The logits are transposed since LogSoftMax subtracts the largest of the right
// numbers along the first axis only: along the last axis it starts the search
// for it with the first element of the whole tensor (tensor v0.9.24), so that
// the exponentials can overflow.
func crossEntropy(logits, y *G.Node) (*G.Node, error) {
	lt, err := G.Transpose(logits, 1, 0)
	if err != nil {
		return nil, err
	}
	logp, err := G.LogSoftMax(lt, 0)
	if err != nil {
		return nil, err
	}
	right, err := G.HadamardProd(logp, y)
	if err != nil {
		return nil, err
	}
	sums, err := G.Sum(right, 0)
	if err != nil {
		return nil, err
	}
	mean, err := G.Mean(sums)
	if err != nil {
		return nil, err
	}
	return G.Neg(mean)
}
