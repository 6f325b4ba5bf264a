package norm_test

import (
	"fmt"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// 1 and 7 have the mean square 25, so they are divided by 5.
func ExampleRMSNorm() {
	g := G.NewGraph()
	x := G.NewMatrix(g, tensor.Float64, G.WithShape(1, 2), G.WithName("x"),
		G.WithValue(tensor.New(tensor.WithShape(1, 2), tensor.WithBacking([]float64{1, 7}))))
	rms := norm.Must(norm.NewRMSNorm(g, tensor.Float64, tensor.Shape{2}))
	y := norm.Must(rms.Fwd(x))
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%.2f\n", y.Value().Data())
	// Output: [0.20 1.40]
}

// At first 1 + γ is 1: the layer is the same as without the option.
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
