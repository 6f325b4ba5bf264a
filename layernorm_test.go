package norm_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Each row has mean 0 and variance 1, and the result does not change when the row is
// shifted and scaled.
func TestLayerNormProperties(t *testing.T) {
	g := G.NewGraph()
	ln := norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{50}, norm.WithEps(1e-12)))
	v := wave(tensor.Float64, 0, 4, 50)
	x := input(g, v)
	y := norm.Must(ln.Fwd(x))
	first := run(t, y)
	for r := range 4 {
		var sum, sq float64
		for _, e := range first[r*50 : (r+1)*50] {
			sum += e
			sq += e * e
		}
		require.InDelta(t, 0, sum/50, 1e-14)
		require.InDelta(t, 1, sq/50, 1e-10)
	}
	moved := graphtest.Floats(v)
	for i := range moved {
		moved[i] = 7 + 3*moved[i]
	}
	require.NoError(t, G.Let(x, graphtest.Dense(tensor.Float64, moved, 4, 50)))
	require.InDeltaSlice(t, first, run(t, y), 1e-10)
}

// WithUnbiasedStd divides by σ + eps, and WithReuse does not change the results.
func TestLayerNormOptions(t *testing.T) {
	g := G.NewGraph()
	v := wave(tensor.Float64, 2, 5, 8)
	x := input(g, v)
	fwd := func(opts ...norm.LayerNormOption) []float64 {
		ln := norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{8}, opts...))
		return run(t, norm.Must(ln.Fwd(x)))
	}
	require.Equal(t, fwd(), fwd(norm.WithReuse()))
	got := fwd(norm.WithUnbiasedStd(), norm.WithEps(0.1))
	xs := graphtest.Floats(v)
	for r := range 5 {
		row := xs[r*8 : (r+1)*8]
		var mean, sq float64
		for _, e := range row {
			mean += e / 8
		}
		for _, e := range row {
			sq += (e - mean) * (e - mean)
		}
		for i, e := range row {
			require.InDelta(t, (e-mean)/(math.Sqrt(sq/7)+0.1), got[r*8+i], 1e-14)
		}
	}
}

func TestLayerNormWithAxes(t *testing.T) {
	g := G.NewGraph()
	v := wave(tensor.Float64, 1, 2, 3, 4, 2)
	x := input(g, v)
	ln := norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{3, 4}, norm.WithAxes(-2, 1)))
	want := run(t, norm.Must(ln.Fwd(x)))
	require.Equal(t, tensor.Shape{3, 4}, ln.Learnables()[0].Shape())
	g2 := G.NewGraph()
	require.Equal(t, want, run(t, norm.Must(norm.Must(ln.In(g2)).Fwd(input(g2, v)))))

	for _, opts := range [][]norm.LayerNormOption{nil, {norm.WithoutAffine()}} {
		g := G.NewGraph()
		x := input(g, v)
		ln := norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{4}, append(opts, norm.WithAxes(1))...))
		_, err := ln.Fwd(x)
		require.ErrorIs(t, err, norm.ErrShape)
		require.EqualError(t, err, "norm: layernorm: x is (2, 3, 4, 2), want (4) in the axes [1]")
		for _, axes := range [][]int{{}, {1, 2}} {
			_, err = norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{4}, append(opts, norm.WithAxes(axes...))...)
			require.ErrorIs(t, err, norm.ErrShape)
			require.ErrorContains(t, err, fmt.Sprintf("the axes are %v for the normalized shape (4), want an axis for each size", axes))
		}
		ln = norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{4}, append(opts, norm.WithAxes(4))...))
		_, err = ln.Fwd(x)
		require.EqualError(t, err, "norm: layernorm2: an axis is 4, want -4 to 3 for x (2, 3, 4, 2)")
	}
}
