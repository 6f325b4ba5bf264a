package norm_test

import (
	"fmt"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// RMS norm over the channels gives the results of RMS norm with channels last, in another
// graph too.
func TestRMSNormWithAxes(t *testing.T) {
	for name, opts := range map[string][]norm.RMSNormOption{"scale": nil, "plus one": {norm.WithScalePlusOne()}, "plain": {norm.WithoutScale()}} {
		t.Run(name, func(t *testing.T) {
			g := G.NewGraph()
			v := wave(tensor.Float64, 1, 2, 3, 4, 2)
			x := input(g, v)
			rms := norm.Must(norm.NewRMSNorm(g, tensor.Float64, tensor.Shape{3}, append(opts, norm.WithAxes(1))...))
			last := norm.Must(norm.NewRMSNorm(g, tensor.Float64, tensor.Shape{3}, opts...))
			turned := norm.Must(last.Fwd(norm.Must(G.Transpose(x, 0, 2, 3, 1))))
			want := run(t, norm.Must(G.Transpose(turned, 0, 3, 1, 2)))
			got := run(t, norm.Must(rms.Fwd(x)))
			require.InDeltaSlice(t, want, got, 1e-14)
			g2 := G.NewGraph()
			require.Equal(t, got, run(t, norm.Must(norm.Must(rms.In(g2)).Fwd(input(g2, v)))))

			other := norm.Must(norm.NewRMSNorm(g, tensor.Float64, tensor.Shape{4}, append(opts, norm.WithAxes(1))...))
			_, err := other.Fwd(x)
			require.ErrorIs(t, err, norm.ErrShape)
			require.EqualError(t, err, "norm: rmsnorm3: x is (2, 3, 4, 2), want (4) in the axes [1]")
			_, err = norm.NewRMSNorm(g, tensor.Float64, tensor.Shape{4}, append(opts, norm.WithAxes(1, 2))...)
			require.EqualError(t, err, "norm: rmsnorm: the axes are [1 2] for the normalized shape (4), want an axis for each size")
		})
	}
}

// A residual sum is normalized over the trailing axes, counted from either end, and over
// no others, even if they have the same sizes.
func TestFwdResidualOverAxes(t *testing.T) {
	v := wave(tensor.Float64, 1, 2, 3, 3)
	type layer interface {
		FwdResidual(x, r *G.Node) (y, sum *G.Node, err error)
	}
	for kind, make := range map[string]func(g *G.ExprGraph, axis int) layer{
		"layernorm": func(g *G.ExprGraph, axis int) layer {
			return norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{3}, norm.WithAxes(axis)))
		},
		"rmsnorm": func(g *G.ExprGraph, axis int) layer {
			return norm.Must(norm.NewRMSNorm(g, tensor.Float64, tensor.Shape{3}, norm.WithAxes(axis)))
		},
	} {
		var results [][]float64
		for _, axis := range []int{-1, 2} {
			g := G.NewGraph()
			x := input(g, v)
			y, _, err := make(g, axis).FwdResidual(x, x)
			require.NoError(t, err)
			results = append(results, run(t, y))
		}
		require.Equal(t, results[0], results[1])
		g := G.NewGraph()
		x := input(g, v)
		before := len(g.AllNodes())
		_, _, err := make(g, 1).FwdResidual(x, x)
		require.ErrorIs(t, err, norm.ErrOption)
		require.EqualError(t, err, fmt.Sprintf("norm: %s: the axes are [1] of x (2, 3, 3), want the trailing ones for a residual sum", kind))
		require.Len(t, g.AllNodes(), before+map[string]int{"layernorm": 2, "rmsnorm": 1}[kind], "but for the parameters")
	}
}
