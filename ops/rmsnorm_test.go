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

// ScalePlusOne scales as a γ that is larger by one.
func TestScalePlusOne(t *testing.T) {
	six := tensor.Shape{6}
	run := func(gamma *tensor.Dense, norm func(x, gamma, beta *G.Node) (*G.Node, error)) graphtest.Result {
		r, err := graphtest.Tape(func(n G.Nodes) (*G.Node, error) { return norm(n[0], n[1], n[2]) },
			[]*tensor.Dense{wave(0.5, 6, 4, 6), gamma, wave(-0.3, 6)}, wave(-0.7, 6, 4, 6))
		require.NoError(t, err)
		return r
	}
	gamma := wave(0.2, 6)
	larger := gamma.Clone().(*tensor.Dense)
	for i := range 6 {
		larger.Data().([]float64)[i]++
	}
	plain, plusOne := ops.RMSNormConfig{Eps: 1e-3}, ops.RMSNormConfig{Eps: 1e-3, ScalePlusOne: true}
	for name, norm := range map[string]func(cfg ops.RMSNormConfig) func(x, gamma, beta *G.Node) (*G.Node, error){
		"rows": func(cfg ops.RMSNormConfig) func(x, gamma, beta *G.Node) (*G.Node, error) {
			return func(x, gamma, beta *G.Node) (*G.Node, error) { return ops.RMSNorm(x, gamma, beta, six, cfg) }
		},
		"axes": func(cfg ops.RMSNormConfig) func(x, gamma, beta *G.Node) (*G.Node, error) {
			return func(x, gamma, beta *G.Node) (*G.Node, error) {
				return ops.RMSNormAxes(x, gamma, beta, []int{0}, cfg)
			}
		},
	} {
		requireSameResult(t, run(larger, norm(plain)), run(gamma, norm(plusOne)), 1e-14, name)
	}
}

func badRMSNorms() []badCall {
	six := shape(6)
	rms := func(x, gamma *G.Node, s tensor.Shape, cfg ops.RMSNormConfig) error {
		_, err := ops.RMSNorm(x, gamma, nil, s, cfg)
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
	}
}
