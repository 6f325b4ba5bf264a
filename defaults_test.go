package norm_test

import (
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Without options batch norm has PyTorch's momentum of 0.1. From 0 and 1, the batch (0,
// 2, 4), with the mean 2 and the unbiased variance 4, leads to 0.2 and 1.3.
func TestDefaultMomentum(t *testing.T) {
	g := G.NewGraph()
	bn := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 1))
	x := G.NewMatrix(g, tensor.Float64, G.WithName("x"), G.WithShape(3, 1),
		G.WithValue(tensor.New(tensor.WithShape(3, 1), tensor.WithBacking([]float64{0, 2, 4}))))
	_, err := bn.Fwd(x)
	require.NoError(t, err)
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	require.NoError(t, vm.RunAll())
	mean, variance, batches := bn.Running().Values()
	require.InDelta(t, 0.2, mean[0], 1e-15)
	require.InDelta(t, 1.3, variance[0], 1e-15)
	require.EqualValues(t, 1, batches)
}
