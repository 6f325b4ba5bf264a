package norm_test

import (
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestInstanceNormParameters(t *testing.T) {
	count := func(opts ...norm.InstanceNormOption) int {
		return len(norm.Must(norm.NewInstanceNorm(G.NewGraph(), tensor.Float64, 3, opts...)).Learnables())
	}
	require.Equal(t, 0, count())
	require.Equal(t, 2, count(norm.WithAffine()))
	require.Equal(t, 1, count(norm.WithAffine(), norm.WithoutBias()))
	require.Equal(t, 1, count(norm.WithAffine(), norm.WithoutScale()))
	require.Equal(t, 1, count(norm.WithoutBias(), norm.WithAffine()), "in any order")
	require.Equal(t, 1, count(norm.WithoutScale(), norm.WithAffine()))

	l := norm.Must(norm.NewInstanceNorm(G.NewGraph(), tensor.Float64, 3))
	require.Nil(t, l.Running())
	mean, variance := l.Stats()
	require.Nil(t, mean)
	require.Nil(t, variance)
	require.ErrorIs(t, l.SetStats(nil, nil), norm.ErrOption)
}

// The layer trains in one graph and evaluates, by the running statistics, in
// another with another batch size.
func TestInstanceNormTrainAndEvaluate(t *testing.T) {
	g, g2 := G.NewGraph(), G.NewGraph()
	in := norm.Must(norm.NewInstanceNorm(g, tensor.Float64, 3, norm.WithRunningStats(), norm.WithAffine(), norm.WithMomentum(0.5)))
	run(t, norm.Must(in.Fwd(input(g, wave(tensor.Float64, 2, 4, 3, 5)))))
	mean, variance := in.Stats()
	require.NotEqual(t, []float64{0, 0, 0}, mean)

	in2 := norm.Must(in.In(g2))
	require.Same(t, in.Running(), in2.Running())
	v := wave(tensor.Float64, 5, 1, 3, 7)
	x := input(g2, v)
	got := run(t, norm.Must(in2.Fwd(x)), G.EvalMode())

	bn := norm.Must(norm.NewBatchNorm(g2, tensor.Float64, 3))
	require.NoError(t, bn.SetStats(mean, variance))
	require.Equal(t, run(t, norm.Must(bn.Fwd(x)), G.EvalMode()), got, "batch norm's evaluation")
	after, _ := in.Stats()
	require.Equal(t, mean, after)
}
