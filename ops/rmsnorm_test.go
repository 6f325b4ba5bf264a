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
