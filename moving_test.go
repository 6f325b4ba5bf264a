package norm_test

import (
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// gorgonia.BatchNorm is right in training with parameters of one value per channel. There
// this package gives the same results, gradient and running statistics.
func TestMovingFromGorgonia(t *testing.T) {
	const momentum, eps = 0.3, 1e-3
	for _, shape := range [][]int{{6, 3}, {4, 3, 2, 5}} {
		gamma := []float64{0.5, -2, 3}
		beta := []float64{1, 0, -4}
		perChannel := []int{1, 3, 1, 1}[:len(shape)]
		results := func(g *G.ExprGraph, x, y *G.Node) (out, dx []float64) {
			cost := norm.Must(G.Sum(norm.Must(G.Cube(y))))
			grads := norm.Must(G.Grad(cost, x))
			var values [2]G.Value
			G.Read(y, &values[0])
			G.Read(grads[0], &values[1])
			vm := G.NewTapeMachine(g)
			defer vm.Close()
			require.NoError(t, vm.RunAll())
			return graphtest.Floats(values[0].(*tensor.Dense)), graphtest.Floats(values[1].(*tensor.Dense))
		}

		g := G.NewGraph()
		x := input(g, wave(tensor.Float64, 2, shape...))
		scale := G.NodeFromAny(g, graphtest.Dense(tensor.Float64, gamma, perChannel...), G.WithName("scale"))
		bias := G.NodeFromAny(g, graphtest.Dense(tensor.Float64, beta, perChannel...), G.WithName("bias"))
		y, _, _, op, err := G.BatchNorm(x, scale, bias, momentum, eps)
		require.NoError(t, err)
		want, wantDx := results(g, x, y)
		wantMean, wantVariance := op.Stats()

		g = G.NewGraph()
		x = input(g, wave(tensor.Float64, 2, shape...))
		bn := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3, norm.WithMomentum(momentum), norm.WithEps(eps)))
		copy(bn.Learnables()[0].Value().Data().([]float64), gamma)
		copy(bn.Learnables()[1].Value().Data().([]float64), beta)
		got, dx := results(g, x, norm.Must(bn.Fwd(x)))
		mean, variance := bn.Stats()

		require.InDeltaSlice(t, want, got, 1e-12, "y %v", shape)
		require.InDeltaSlice(t, wantDx, dx, 1e-9, "dx %v", shape)
		require.InDeltaSlice(t, wantMean.Data().([]float64), mean, 1e-12, "mean %v", shape)
		require.InDeltaSlice(t, wantVariance.Data().([]float64), variance, 1e-12, "variance %v", shape)
	}
}
