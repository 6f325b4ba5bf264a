package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/gorgonorm/norm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// mlp is a multi-layer perceptron in a graph: linear layers, each but the last
// followed by a norm and a rectifier.
type mlp struct {
	c         benchCase
	g         *G.ExprGraph
	x, target *tensor.Dense
	labels    []int
	weights   []*tensor.Dense // w and b of each layer
	params    G.Nodes
}

// newModel is the training step of a model, on one batch again and again.
func newModel(c benchCase, s system) (*program, error) {
	m := &mlp{c: c, g: G.NewGraph()}
	cost, err := m.build(s.reuse)
	if err != nil {
		return nil, err
	}
	if _, err := G.Grad(cost, m.params...); err != nil {
		return nil, err
	}
	var loss G.Value
	G.Read(cost, &loss)
	// Before a step changes the parameters.
	want := m.wantLoss()
	vm := G.NewTapeMachine(m.g, G.BindDualValues(m.params...))
	solver := G.NewAdamSolver(G.WithLearnRate(1e-3))
	grads := G.NodesToValueGrads(m.params)
	run := func() error {
		if err := runOnce(vm); err != nil {
			return err
		}
		return solver.Step(grads)
	}
	return &program{
		run:   run,
		check: func() error { return m.check(run, &loss, want) },
		close: func() { vm.Close() },
	}, nil
}

// check compares the first loss with that of a plain computation, and wants a
// lower one after some steps.
func (m *mlp) check(run func() error, loss *G.Value, want float64) error {
	first := vectorOf(*loss).all()[0]
	if err := compare("the loss", []float64{first}, []float64{want}, tolerance(m.c.dtype)); err != nil {
		return err
	}
	for range 10 {
		if err := run(); err != nil {
			return err
		}
	}
	if last := vectorOf(*loss).all()[0]; !(last < first) {
		return fmt.Errorf("the loss went from %g to %g in ten steps", first, last)
	}
	return nil
}

// build builds the graph as far as the cost.
func (m *mlp) build(reuse bool) (*G.Node, error) {
	r := source{rand.New(rand.NewPCG(3, 4)), m.c.dtype}
	sizes := m.c.shape[1:]
	m.x = r.normal(m.c.shape[0], sizes[0])
	h := input(m.g, "x", m.x)
	for i, in := range sizes[:len(sizes)-1] {
		out := sizes[i+1]
		bound := 1 / math.Sqrt(float64(in)) // PyTorch's
		w, b := r.uniform(-bound, bound, in, out), r.uniform(-bound, bound, 1, out)
		wn, bn := input(m.g, numbered("w", i), w), input(m.g, numbered("b", i), b)
		m.weights = append(m.weights, w, b)
		m.params = append(m.params, wn, bn)
		var err error
		if h, err = affine(h, wn, bn); err != nil {
			return nil, err
		}
		if i+2 == len(sizes) {
			break
		}
		if h, err = m.normalize(h, out, reuse); err != nil {
			return nil, err
		}
		if h, err = G.Rectify(h); err != nil {
			return nil, err
		}
	}
	return m.crossEntropy(h, r)
}

// normalize applies the norm that the name asks for.
func (m *mlp) normalize(h *G.Node, features int, reuse bool) (*G.Node, error) {
	var opt norm.AnyOption // nil: no option
	if reuse {
		opt = norm.WithReuse()
	}
	switch {
	case strings.HasSuffix(m.c.name, "_nonorm"):
		return h, nil
	case strings.HasSuffix(m.c.name, "_layernorm"):
		l, err := norm.NewLayerNorm(m.g, m.c.dtype, tensor.Shape{features}, opt)
		if err != nil {
			return nil, err
		}
		m.params = append(m.params, l.Learnables()...)
		return l.Fwd(h)
	default:
		l, err := norm.NewBatchNorm(m.g, m.c.dtype, features, opt)
		if err != nil {
			return nil, err
		}
		m.params = append(m.params, l.Learnables()...)
		return l.Fwd(h)
	}
}

// crossEntropy is the cost for random labels.
func (m *mlp) crossEntropy(logits *G.Node, r source) (*G.Node, error) {
	batch, classes := m.c.shape[0], m.c.shape[len(m.c.shape)-1]
	m.target = r.tensor(func() float64 { return 0 }, []int{batch, classes})
	for i := range batch {
		m.labels = append(m.labels, r.IntN(classes))
		if err := m.target.SetAt(one(m.c.dtype), i, m.labels[i]); err != nil {
			return nil, err
		}
	}
	p, err := G.SoftMax(logits)
	if err != nil {
		return nil, err
	}
	logp, err := G.Log(p)
	if err != nil {
		return nil, err
	}
	picked, err := G.HadamardProd(logp, input(m.g, "target", m.target))
	if err != nil {
		return nil, err
	}
	sum, err := G.Sum(picked)
	if err != nil {
		return nil, err
	}
	return G.Mul(sum, constant(m.c.dtype, -1/float64(batch)))
}

func one(dt tensor.Dtype) any {
	if dt == tensor.Float32 {
		return float32(1)
	}
	return 1.0
}

func constant(dt tensor.Dtype, v float64) *G.Node {
	if dt == tensor.Float32 {
		return G.NewConstant(float32(v))
	}
	return G.NewConstant(v)
}
