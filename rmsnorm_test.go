package norm_test

import (
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// At first 1 + γ is 1, and the layer gives the same as without the option.
func TestRMSNormPlusOne(t *testing.T) {
	fwd := func(opts ...norm.RMSNormOption) []float64 {
		g := G.NewGraph()
		rms := norm.Must(norm.NewRMSNorm(g, tensor.Float32, tensor.Shape{5}, opts...))
		return run(t, norm.Must(rms.Fwd(input(g, wave(tensor.Float32, 1, 3, 5)))))
	}
	require.Equal(t, fwd(), fwd(norm.WithScalePlusOne()))
	require.Equal(t, fwd(), fwd(norm.WithoutScale()))
}

func TestRMSNormRefuses(t *testing.T) {
	g := G.NewGraph()
	_, err := norm.NewRMSNorm(g, tensor.Float64, tensor.Shape{3}, norm.WithScalePlusOne(), norm.WithoutScale())
	require.EqualError(t, err, "norm: rmsnorm: WithScalePlusOne and WithoutScale, want at most one of them")
	rms := norm.Must(norm.NewRMSNorm(g, tensor.Float64, tensor.Shape{3}))
	_, err = rms.Fwd(input(G.NewGraph(), wave(tensor.Float64, 0, 2, 3)))
	require.ErrorIs(t, err, norm.ErrGraph)
}
