// Package nn builds, trains and evaluates the networks of the examples: stages that
// follow one another, a linear layer, the cross-entropy, and the two graphs that
// Gorgonia needs, one for training and one for evaluation.
package nn

import (
	"errors"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Dtype is the type of all numbers in the networks.
var Dtype = tensor.Float32

// Stage is one step of a network: a layer or an activation function.
type Stage struct {
	Fwd        func(x *G.Node) (*G.Node, error)
	Learnables G.Nodes
	Layer      any // the layer itself, where it is one
	// In makes the same stage in another graph, sharing the parameters.
	In func(g *G.ExprGraph) (Stage, error)
}

// Layer is what the layers of package norm and the linear layer below have in
// common; L is the layer's own type.
type Layer[L any] interface {
	Fwd(x *G.Node) (*G.Node, error)
	Learnables() G.Nodes
	In(g *G.ExprGraph) (L, error)
}

// StageOf makes a stage of a layer.
func StageOf[L Layer[L]](l L) Stage {
	return Stage{
		Fwd:        l.Fwd,
		Learnables: l.Learnables(),
		Layer:      l,
		In: func(g *G.ExprGraph) (Stage, error) {
			l2, err := l.In(g)
			if err != nil {
				return Stage{}, err
			}
			return StageOf(l2), nil
		},
	}
}

// Stateless makes a stage without parameters.
func Stateless(fwd func(x *G.Node) (*G.Node, error)) Stage {
	return Stage{Fwd: fwd, In: func(*G.ExprGraph) (Stage, error) { return Stateless(fwd), nil }}
}

// Observe leaves x as it is. Each run of the machine puts a copy of x into v, in
// this graph only.
func Observe(v *G.Value) Stage {
	identity := func(x *G.Node) (*G.Node, error) { return x, nil }
	return Stage{
		Fwd: func(x *G.Node) (*G.Node, error) {
			G.Read(x, v)
			return x, nil
		},
		In: func(*G.ExprGraph) (Stage, error) { return Stateless(identity), nil },
	}
}

// Network is a network in one graph.
type Network struct {
	Graph  *G.ExprGraph
	Stages []Stage
}

// New returns a network without stages in a graph of its own.
func New() *Network { return &Network{Graph: G.NewGraph()} }

// Add puts stages at the end.
func (n *Network) Add(stages ...Stage) { n.Stages = append(n.Stages, stages...) }

// Fwd applies the stages one after another and returns the logits.
func (n *Network) Fwd(x *G.Node) (*G.Node, error) {
	var err error
	for _, s := range n.Stages {
		if x, err = s.Fwd(x); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// Learnables returns the parameters of all stages.
func (n *Network) Learnables() (nodes G.Nodes) {
	for _, s := range n.Stages {
		nodes = append(nodes, s.Learnables...)
	}
	return nodes
}

// In returns the same network in a new graph. The parameters of both are the
// same tensors, so what one graph learns the other one knows.
func (n *Network) In(g *G.ExprGraph) (*Network, error) {
	n2 := &Network{Graph: g}
	for _, s := range n.Stages {
		s2, err := s.In(g)
		if err != nil {
			return nil, err
		}
		n2.Add(s2)
	}
	return n2, nil
}

// Linear computes y = x·w + b. Its w is (in, out), and not (out, in) as in x·wᵀ + b,
// because transposing costs Gorgonia a copy in every step.
type Linear struct {
	w, b *G.Node // b is nil in a layer without bias
}

// NewLinear makes a layer whose parameters are name.w, from init, and name.b, from 0.
func NewLinear(g *G.ExprGraph, name string, in, out int, bias bool, init G.InitWFn) *Linear {
	l := &Linear{w: G.NewMatrix(g, Dtype, G.WithShape(in, out), G.WithName(name+".w"), G.WithInit(init))}
	if bias {
		l.b = G.NewMatrix(g, Dtype, G.WithShape(1, out), G.WithName(name+".b"), G.WithInit(G.Zeroes()))
	}
	return l
}

// Fwd applies the layer.
func (l *Linear) Fwd(x *G.Node) (*G.Node, error) {
	y, err := G.Mul(x, l.w)
	if err != nil || l.b == nil {
		return y, err
	}
	return G.BroadcastAdd(y, l.b, nil, []byte{0})
}

// Learnables returns w and, if there is one, b.
func (l *Linear) Learnables() G.Nodes {
	if l.b == nil {
		return G.Nodes{l.w}
	}
	return G.Nodes{l.w, l.b}
}

// In returns the layer in another graph.
func (l *Linear) In(g *G.ExprGraph) (*Linear, error) {
	l2 := &Linear{w: Share(g, l.w)}
	if l.b != nil {
		l2.b = Share(g, l.b)
	}
	return l2, nil
}

// Share returns a node for the same tensor in another graph.
func Share(g *G.ExprGraph, n *G.Node) *G.Node {
	return G.NewTensor(g, Dtype, n.Dims(), G.WithShape(n.Shape()...), G.WithName(n.Name()), G.WithValue(n.Value()))
}

// CrossEntropy returns the mean over the images of −log of the probability that
// the network gives to the right class. logits is (images, classes), y is
// (classes, images) and has a one for each right class.
//
// The logits are transposed since LogSoftMax finds the right maximum to subtract along
// the first axis only. Along the last axis it starts the search for it with the first
// element of the whole tensor (tensor v0.9.24), so that the exponentials can overflow.
func CrossEntropy(logits, y *G.Node) (*G.Node, error) {
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

// CloseVM closes a machine and adds what went wrong to err.
func CloseVM(vm interface{ Close() error }, err *error) { *err = errors.Join(*err, vm.Close()) }
