package norm_test

import (
	"fmt"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func ExampleNewRMSNorm() {
	g := G.NewGraph()
	x := G.NewMatrix(g, tensor.Float64, G.WithShape(1, 4), G.WithName("x"),
		G.WithValue(tensor.New(tensor.WithShape(1, 4), tensor.WithBacking([]float64{1, -1, 1, -1}))))
	rms := norm.Must(norm.NewRMSNorm(g, tensor.Float64, tensor.Shape{4}))
	y := norm.Must(rms.Fwd(x))
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		panic(err)
	}
	fmt.Printf("%.4f\n", y.Value().Data())
	// Output: [1.0000 -1.0000 1.0000 -1.0000]
}

// A transformer's residual connection: the sum is normalized, and goes on.
func ExampleLayerNorm_FwdResidual() {
	g := G.NewGraph()
	value := func(name string, v ...float64) *G.Node {
		return G.NewMatrix(g, tensor.Float64, G.WithShape(1, len(v)), G.WithName(name),
			G.WithValue(tensor.New(tensor.WithShape(1, len(v)), tensor.WithBacking(v))))
	}
	ln := norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{2}))
	y, sum, err := ln.FwdResidual(value("x", 1, 2), value("attention", 3, 6))
	if err != nil {
		panic(err)
	}
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		panic(err)
	}
	fmt.Printf("%.3f %v\n", y.Value().Data(), sum.Value().Data())
	// Output: [-1.000 1.000] [4 8]
}

// At first 1 + γ is 1: the layer is the same as without the option.
func TestRMSNormPlusOne(t *testing.T) {
	run := func(opts ...norm.RMSNormOption) any {
		g := G.NewGraph()
		x := G.NewMatrix(g, tensor.Float32, G.WithShape(3, 5), G.WithName("x"), G.WithInit(G.RangedFrom(1)))
		rms := norm.Must(norm.NewRMSNorm(g, tensor.Float32, tensor.Shape{5}, opts...))
		y := norm.Must(rms.Fwd(x))
		vm := G.NewTapeMachine(g)
		defer vm.Close()
		require.NoError(t, vm.RunAll())
		return y.Value().Data()
	}
	require.Equal(t, run(), run(norm.WithScalePlusOne()))
	require.Equal(t, run(), run(norm.WithoutScale()))
}

func TestRMSNormLayer(t *testing.T) {
	g := G.NewGraph()
	rms := norm.Must(norm.NewRMSNorm(g, tensor.Float64, tensor.Shape{3}, norm.WithName("rms")))
	require.Len(t, rms.Learnables(), 1)
	require.Equal(t, "rms.gamma", rms.Learnables()[0].Name())
	g2 := G.NewGraph()
	other := norm.Must(rms.In(g2))
	require.Equal(t, rms.Learnables()[0].Value(), other.Learnables()[0].Value())
	_, err := norm.NewRMSNorm(g, tensor.Float64, tensor.Shape{3}, norm.WithScalePlusOne(), norm.WithoutScale())
	require.EqualError(t, err, "norm: rmsnorm: WithScalePlusOne and WithoutScale, want at most one of them")
	_, err = rms.Fwd(G.NewMatrix(g2, tensor.Float64, G.WithShape(2, 3), G.WithName("x")))
	require.ErrorIs(t, err, norm.ErrGraph)
}
