package norm_test

import (
	"fmt"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Layer norm over the channels of images, as in ConvNeXt.
func ExampleWithAxes() {
	g := gorgonia.NewGraph()
	x := gorgonia.NewTensor(g, tensor.Float64, 4, gorgonia.WithName("x"), gorgonia.WithShape(1, 2, 1, 3),
		gorgonia.WithValue(tensor.New(tensor.WithShape(1, 2, 1, 3), tensor.WithBacking([]float64{1, 20, 5, 3, 10, 5}))))
	ln := norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{2}, norm.WithAxes(1)))
	y := norm.Must(ln.Fwd(x))
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%.2f\n", y.Value().Data())
	for _, p := range ln.Learnables() {
		fmt.Println(p.Name(), p.Shape())
	}
	// Output:
	// [-1.00 1.00 0.00 1.00 -1.00 0.00]
	// layernorm.gamma (2)
	// layernorm.beta (2)
}

func TestLayerNormWithAxes(t *testing.T) {
	g := gorgonia.NewGraph()
	v := wave(tensor.Float64, 1, 2, 3, 4, 2)
	x := input(g, v)
	ln := norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{3, 4}, norm.WithAxes(-2, 1)))
	want := run(t, norm.Must(ln.Fwd(x)))
	require.Equal(t, tensor.Shape{3, 4}, ln.Learnables()[0].Shape())
	g2 := gorgonia.NewGraph()
	require.Equal(t, want, run(t, norm.Must(norm.Must(ln.In(g2)).Fwd(input(g2, v)))))

	for _, opts := range [][]norm.LayerNormOption{nil, {norm.WithoutAffine()}} {
		g := gorgonia.NewGraph()
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
