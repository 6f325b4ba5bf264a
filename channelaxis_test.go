package norm_test

import (
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Channels last gives the results of channels first, transposed, in training and
// evaluation, and for the same layer in another graph.
func TestBatchNormChannelsLast(t *testing.T) {
	g := G.NewGraph()
	first := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3))
	last := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3, norm.WithChannelAxis(-1)))
	v := wave(tensor.Float64, 1, 2, 4, 5, 3)
	x := input(g, v)
	turn := func(n *G.Node, axes ...int) *G.Node { return norm.Must(G.Transpose(n, axes...)) }
	fromFirst := turn(norm.Must(first.Fwd(turn(x, 0, 3, 1, 2))), 0, 2, 3, 1)
	fromLast := norm.Must(last.Fwd(x))
	var want, got G.Value
	G.Read(fromFirst, &want)
	G.Read(fromLast, &got)
	for _, opts := range [][]G.VMOpt{nil, {G.EvalMode()}} {
		vm := G.NewTapeMachine(g, opts...)
		require.NoError(t, vm.RunAll())
		require.NoError(t, vm.Close())
		require.Equal(t, tensor.Shape{2, 4, 5, 3}, got.Shape())
		require.InDeltaSlice(t, graphtest.Floats(want.(*tensor.Dense)), graphtest.Floats(got.(*tensor.Dense)), 1e-14)
	}
	wantMean, wantVariance := first.Stats()
	mean, variance := last.Stats()
	require.InDeltaSlice(t, wantMean, mean, 1e-14)
	require.InDeltaSlice(t, wantVariance, variance, 1e-14)

	g2 := G.NewGraph()
	other := norm.Must(last.In(g2))
	y := norm.Must(other.FwdFrozen(input(g2, v)))
	require.InDeltaSlice(t, graphtest.Floats(got.(*tensor.Dense)), run(t, y), 1e-14)
}

func TestWithChannelAxisRefuses(t *testing.T) {
	g := G.NewGraph()
	_, err := norm.NewBatchNorm(g, tensor.Float64, 3, norm.WithChannelAxis(0))
	require.ErrorIs(t, err, norm.ErrOption)
	require.EqualError(t, err, "norm: batchnorm: the channel axis is 0, want another; the first axis of a batch of rank 4 is -4")
	require.Empty(t, g.AllNodes())

	plain := []norm.BatchNormOption{norm.WithoutAffine(), norm.WithoutRunningStats()}
	last := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3, append(plain, norm.WithChannelAxis(-1))...))
	_, err = last.Fwd(input(g, wave(tensor.Float64, 0, 2, 3, 4)))
	require.EqualError(t, err, "norm: batchnorm: x is (2, 3, 4), want 3 channels in axis 2")
	bn, in := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3, plain...)), norm.Must(norm.NewInstanceNorm(g, tensor.Float64, 3))
	_, err = bn.Fwd(input(g, wave(tensor.Float64, 0, 2, 4, 3)))
	require.ErrorContains(t, err, "(or WithChannelAxis(-1))")
	_, err = in.Fwd(input(g, wave(tensor.Float64, 0, 2, 4, 3)))
	require.EqualError(t, err, "norm: instancenorm: x is (2, 4, 3), want (N, 3, ...)", "it has no such option")
	third := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3, append(plain, norm.WithChannelAxis(3))...))
	_, err = third.Fwd(input(g, wave(tensor.Float64, 0, 2, 3)))
	require.EqualError(t, err, "norm: batchnorm3: the channel axis is 3, want -2 to 1 for x (2, 3)")
	front := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3, append(plain, norm.WithChannelAxis(-3))...))
	require.Equal(t, tensor.Shape{3, 2, 5}, norm.Must(front.Fwd(input(g, wave(tensor.Float64, 0, 3, 2, 5)))).Shape())
	for axis, shape := range map[int]tensor.Shape{-5: {3, 2, 1, 2, 1}, 4: {2, 1, 2, 1, 3}} { // the outermost
		l := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3, append(plain, norm.WithChannelAxis(axis))...))
		require.Equal(t, shape, norm.Must(l.Fwd(input(g, wave(tensor.Float64, 0, shape...)))).Shape())
	}
}
