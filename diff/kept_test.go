package diff_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/gorgonorm/norm/diff"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The memory of a parameter is not overwritten through another node by ops in place, such
// as a sum.
func TestSharedMemoryIsKept(t *testing.T) {
	for name, share := range map[string]func(x *G.Node) (*G.Node, error){
		"reshape":       func(x *G.Node) (*G.Node, error) { return G.Reshape(x, tensor.Shape{4, 3}) },
		"dropout":       func(x *G.Node) (*G.Node, error) { return G.Dropout(x, 0) },
		"concatenation": func(x *G.Node) (*G.Node, error) { return G.Concat(0, x) },
	} {
		t.Run(name, func(t *testing.T) {
			v := wave(0.3, 3, 4)
			m := build(func(x, w *G.Node) *G.Node {
				y := must(share(x))
				return must(G.Add(sum(must(G.Tanh(must(G.Add(y, must(G.Reshape(w, y.Shape()))))))), sum(cubeOf(x))))
			}, v, wave(1.1, 12))
			grads := must(diff.Grad(m.cost, m.w, m.x, m.w))
			require.Same(t, grads[0], grads[2])
			d := run(t, m.g, grads...)
			require.Equal(t, v.Data(), m.x.Value().Data())
			for i, x := range v.Data().([]float64) {
				require.InDelta(t, d[0][i]+3*x*x, d[1][i], 1e-12)
			}
		})
	}
}

// A LispMachine takes the gradient of gradients that are kept.
func TestKeptGradientsInALispMachine(t *testing.T) {
	for name, take := range map[string]func(p, x *G.Node) []float64{
		"tape": func(p, x *G.Node) []float64 { return run(t, p.Graph(), must(diff.Grad(p, x))[0])[0] },
		"lisp": func(p, x *G.Node) []float64 {
			vm := G.NewLispMachine(p.Graph().ExactSubgraphRoots(p))
			defer vm.Close()
			require.NoError(t, vm.RunAll())
			return must(x.Grad()).Data().([]float64)
		},
	} {
		m := build(func(x, w *G.Node) *G.Node { return sum(cubeOf(must(G.BroadcastAdd(x, w, nil, []byte{0})))) }, wave(0.3, 4, 3), wave(1.1, 1, 3))
		dw := must(diff.Grad(m.cost, m.w))[0] // 3·Σ(x + w)²
		d := take(sum(dw), m.x)
		for i, x := range m.x.Value().Data().([]float64) {
			require.InDelta(t, 6*(x+m.w.Value().Data().([]float64)[i%3]), d[i], 1e-12, name)
		}
	}
}

// The gradient of Σ w·x³ with respect to w is kept by each of two calls. A LispMachine
// adds up what comes from both, so the gradient of their sum is 6x².
func TestGradientKeptTwiceInALispMachine(t *testing.T) {
	for dt, tolerance := range map[tensor.Dtype]float64{tensor.Float64: 1e-12, tensor.Float32: 1e-5} {
		for _, scalar := range []bool{true, false} {
			g := G.NewGraph()
			x := G.NewMatrix(g, dt, G.WithName("x"), G.WithValue(graphtest.Wave(dt, 0.3, 3, 4)))
			w := G.NewMatrix(g, dt, G.WithName("W"), G.WithShape(4, 3), G.WithInit(G.Ones()))
			if scalar {
				w = must(G.Mean(w))
			}
			cost := sum(must(G.HadamardProd(w, cubeOf(must(G.Reshape(x, tensor.Shape{4, 3}))))))
			p := must(G.Add(must(diff.Grad(cost, w))[0], must(diff.Grad(cost, x, w))[1]))
			if !scalar {
				p = sum(p)
			}
			vm := G.NewLispMachine(g.ExactSubgraphRoots(p))
			defer vm.Close()
			require.NoError(t, vm.RunAll())
			got := graphtest.Floats(must(x.Grad()).(*tensor.Dense))
			for i, x := range graphtest.Floats(x.Value().(*tensor.Dense)) {
				require.InDelta(t, 6*x*x, got[i], tolerance*6)
			}
		}
	}
}

// An op that is not part of the cost must not overwrite what a gradient needs either.
// Here it is a sum in the memory of h = tanh x, reshaped twice. Σ(w·h)² has the gradient
// 2w²·h·(1 − h²) with respect to x.
func TestSharedMemoryBesideTheCostIsKept(t *testing.T) {
	for name, c := range map[string]struct {
		earlier bool                         // a gradient with respect to w has been taken before the op was added
		used    func(dw, dx *G.Node) G.Nodes // with dx last
	}{
		"both gradients":            {false, func(dw, dx *G.Node) G.Nodes { return G.Nodes{dw, dx} }},
		"one has been taken before": {true, func(dw, dx *G.Node) G.Nodes { return G.Nodes{dw, dx} }},
		"only the second is used":   {false, func(_, dx *G.Node) G.Nodes { return G.Nodes{dx} }},
	} {
		t.Run(name, func(t *testing.T) {
			var h *G.Node
			m := build(func(x, w *G.Node) *G.Node {
				h = must(G.Tanh(x))
				return sum(must(G.Square(must(G.HadamardProd(w, h)))))
			}, wave(0.3, 3, 4), wave(1.1, 3, 4))
			y := must(G.Reshape(must(G.Reshape(h, tensor.Shape{4, 3})), tensor.Shape{12}))
			if c.earlier {
				must(diff.Grad(m.cost, m.w))
			}
			roots := G.Nodes{must(G.Add(y, graphtest.Leaf(m.g, "z", wave(0.7, 12))))}
			grads := must(diff.Grad(m.cost, m.w, m.x))
			var dx G.Value
			for _, d := range c.used(grads[0], grads[1]) {
				roots = append(roots, G.Read(d, &dx))
			}
			vm := G.NewTapeMachine(m.g.ExactSubgraphRoots(roots...))
			defer vm.Close()
			require.NoError(t, vm.RunAll())
			w := m.w.Value().Data().([]float64)
			for i, x := range m.x.Value().Data().([]float64) {
				h := math.Tanh(x)
				require.InDelta(t, 2*w[i]*w[i]*h*(1-h*h), dx.Data().([]float64)[i], 1e-12)
			}
		})
	}
}

// Gradients that have the same memory become separate copies, so an op in place on one of
// them does not overwrite the other.
func TestGradientsOfAReshapeAreApart(t *testing.T) {
	for i := range 2 {
		var y *G.Node
		m := build(func(x, _ *G.Node) *G.Node {
			y = must(G.Reshape(x, tensor.Shape{12}))
			return sum(cubeOf(y))
		}, wave(0.3, 3, 4), wave(1.1, 1))
		grads := must(diff.Grad(m.cost, m.x, y))
		one := must(G.Add(grads[i], graphtest.Leaf(m.g, "z", wave(0.7, grads[i].Shape()...))))
		got := run(t, m.g, one, must(G.Square(grads[1-i])))[1]
		for k, x := range m.x.Value().Data().([]float64) {
			require.InDelta(t, 9*x*x*x*x, got[k], 1e-12)
		}
	}
}

// A gradient is copied only if something that it needs shares memory. The reshape of an
// unrelated node does not count, nor that of a constant, into which no op writes.
func TestOtherGradientsAreNotCopied(t *testing.T) {
	m := build(func(x, w *G.Node) *G.Node {
		must(G.Reshape(w, tensor.Shape{4}))
		two := must(G.Reshape(x.Graph().Constant(G.NewF64(2)), tensor.Shape{1, 1}))
		return sum(must(G.HadamardProd(x, two)))
	}, wave(0.3, 1, 1), wave(1.1, 2, 2))
	dx := must(diff.Grad(m.cost, m.x))[0]
	for _, n := range m.g.AllNodes() {
		require.NotEqual(t, "keep", fmt.Sprint(n.Op()))
	}
	require.Equal(t, [][]float64{{2}}, run(t, m.g, dx))
}
