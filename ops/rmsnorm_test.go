package ops_test

import (
	"fmt"
	"testing"

	"github.com/gorgonorm/norm/internal/golden"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestRMSNormMatchesGolden(t *testing.T) {
	eachCase(t, "RMSNorm", func(t *testing.T, c *golden.Case, m graphtest.Machine) {
		vs, names := present(c, "x", "gamma", "beta")
		eps, _ := c.Float("eps")
		r, err := m(func(n G.Nodes) (*G.Node, error) {
			return ops.RMSNorm(n[0], pick(n, names, "gamma"), pick(n, names, "beta"), c.Ints("normalized_shape"),
				ops.RMSNormConfig{Eps: eps})
		}, vs, in(c, "dy"))
		require.NoError(t, err)
		checkResult(t, c, "y", r, names, "")
	})
}

func TestRMSNormGradients(t *testing.T) {
	for _, n := range sizes {
		for name, a := range affines {
			for _, plusOne := range []bool{false, true} {
				if plusOne && !a.gamma {
					continue // an error
				}
				t.Run(fmt.Sprintf("3x%d/%s/plusOne=%v", n, name, plusOne), func(t *testing.T) {
					in := append([]*tensor.Dense{wave(0.5, 3, n)}, affineValues(a.gamma, a.beta, n)...)
					gradients(t, func(ns G.Nodes) (*G.Node, error) {
						gamma, beta := affineNodes(ns, a.gamma, a.beta)
						return ops.RMSNorm(ns[0], gamma, beta, tensor.Shape{n}, ops.RMSNormConfig{Eps: 1e-2, ScalePlusOne: plusOne})
					}, in)
				})
			}
		}
	}
}

// residuals are the ways to use the two results of a residual norm.
var residuals = map[string]func(y, sum *G.Node) (*G.Node, error){
	"y":    func(y, _ *G.Node) (*G.Node, error) { return y, nil },
	"sum":  func(_, sum *G.Node) (*G.Node, error) { return G.Mul(G.NewConstant(2.0), sum) },
	"both": func(y, sum *G.Node) (*G.Node, error) { return G.HadamardProd(y, sum) },
}

func TestResidualGradients(t *testing.T) {
	for use, result := range residuals {
		for name, a := range affines {
			t.Run(use+"/"+name, func(t *testing.T) {
				if use == "sum" && (a.gamma || a.beta) {
					return // they have no gradient
				}
				in := append([]*tensor.Dense{wave(0.5, 2, 3, 5)}, affineValues(a.gamma, a.beta, 5)...)
				in = append(in, wave(0.9, 2, 3, 5))
				for _, rms := range []bool{false, true} {
					gradients(t, func(ns G.Nodes) (*G.Node, error) {
						x, r := ns[0], ns[len(ns)-1]
						gamma, beta := affineNodes(ns[:len(ns)-1], a.gamma, a.beta)
						y, sum, err := ops.AddLayerNorm(x, r, gamma, beta, tensor.Shape{5}, ops.LayerNormConfig{Eps: 1e-2})
						if rms {
							y, sum, err = ops.AddRMSNorm(x, r, gamma, beta, tensor.Shape{5}, ops.RMSNormConfig{Eps: 1e-2})
						}
						if err != nil {
							return nil, err
						}
						return result(y, sum)
					}, in)
				}
			})
		}
	}
}

func TestResidualIsNormOfSum(t *testing.T) {
	g := G.NewGraph()
	x, r := graphtest.Leaf(g, "x", wave(0.5, 4, 6)), graphtest.Leaf(g, "r", wave(0.9, 4, 6))
	y, sum, err := ops.AddLayerNorm(x, r, nil, nil, tensor.Shape{6}, ops.LayerNormConfig{Eps: 1e-5})
	require.NoError(t, err)
	wantSum := G.Must(G.Add(x, r))
	want, err := ops.LayerNorm(wantSum, nil, nil, tensor.Shape{6}, ops.LayerNormConfig{Eps: 1e-5})
	require.NoError(t, err)
	m := G.NewTapeMachine(g)
	defer m.Close()
	require.NoError(t, m.RunAll())
	require.Equal(t, want.Value().Data(), y.Value().Data())
	require.Equal(t, wantSum.Value().Data(), sum.Value().Data())
}

func badRMSNorms() []badCall {
	six := shape(6)
	rms := func(x, gamma *G.Node, s tensor.Shape, cfg ops.RMSNormConfig) error {
		_, err := ops.RMSNorm(x, gamma, nil, s, cfg)
		return err
	}
	add := func(x, r *G.Node) error {
		_, _, err := ops.AddLayerNorm(x, r, nil, nil, six, ops.LayerNormConfig{Eps: 1e-5})
		return err
	}
	ok := ops.RMSNormConfig{Eps: 1e-5}
	return []badCall{
		{"rmsnorm: x nil", ops.ErrGraph, func(b *bench) error { return rms(nil, nil, six, ok) }},
		{"rmsnorm: x int", ops.ErrDtype, func(b *bench) error { return rms(b.of(tensor.Int, 4, 6), nil, six, ok) }},
		{"rmsnorm: normalized shape not the tail", ops.ErrShape, func(b *bench) error { return rms(b.f(4, 6), nil, shape(4), ok) }},
		{"rmsnorm: gamma too long", ops.ErrShape, func(b *bench) error { return rms(b.f(4, 6), b.f(7), six, ok) }},
		{"rmsnorm: eps 0", ops.ErrOption, func(b *bench) error { return rms(b.f(4, 6), nil, six, ops.RMSNormConfig{}) }},
		{"rmsnorm: plus one without gamma", ops.ErrOption, func(b *bench) error {
			return rms(b.f(4, 6), nil, six, ops.RMSNormConfig{Eps: 1e-5, ScalePlusOne: true})
		}},
		{"addlayernorm: r nil", ops.ErrGraph, func(b *bench) error { return add(b.f(4, 6), nil) }},
		{"addlayernorm: r of another shape", ops.ErrShape, func(b *bench) error { return add(b.f(4, 6), b.f(6, 4)) }},
		{"addlayernorm: r of another graph", ops.ErrGraph, func(b *bench) error { return add(b.f(4, 6), b.elsewhere(4, 6)) }},
		{"addlayernorm: r float32", ops.ErrDtype, func(b *bench) error { return add(b.f(4, 6), b.of(tensor.Float32, 4, 6)) }},
	}
}
