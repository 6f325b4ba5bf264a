package norm_test

import (
	"math"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/gradcheck"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The running statistics after k steps follow a closed form, for several momenta and for
// the average over all batches.
func TestBatchNormRunningStatistics(t *testing.T) {
	for _, m := range []float64{0, 0.1, 1, math.NaN()} {
		opt := norm.WithMomentum(m)
		if math.IsNaN(m) {
			opt = norm.WithCumulativeAverage()
		}
		_, x, bn := batchNorm(t, tensor.Float64, []int{6, 3}, opt)
		y := norm.Must(bn.Fwd(x))
		mean, variance := []float64{0, 0, 0}, []float64{1, 1, 1}
		for k, b := range batches {
			train(t, x, y, b)
			rate := m
			if math.IsNaN(m) {
				rate = 1 / float64(k+1)
			}
			bm, bv := moments(b)
			for c := range mean {
				mean[c] = (1-rate)*mean[c] + rate*bm[c]
				variance[c] = (1-rate)*variance[c] + rate*bv[c]
			}
			gotMean, gotVariance := bn.Stats()
			require.InDeltaSlice(t, mean, gotMean, 1e-15)
			require.InDeltaSlice(t, variance, gotVariance, 1e-15)
		}
	}
}

// Train with one batch size, evaluate with another in a second graph, go on
// training: nothing is copied and nothing is lost.
func TestBatchNormTrainEvalTrain(t *testing.T) {
	_, x, bn := batchNorm(t, tensor.Float64, []int{6, 3}, norm.WithMomentum(0.5))
	y := norm.Must(bn.Fwd(x))
	train(t, x, y, wave(tensor.Float64, 2, 6, 3))
	mean, variance := bn.Stats()

	g2 := G.NewGraph()
	bn2 := norm.Must(bn.In(g2))
	v := wave(tensor.Float64, 5, 1, 3)
	got := run(t, norm.Must(bn2.Fwd(input(g2, v))), G.EvalMode())
	for c, e := range graphtest.Floats(v) {
		require.InDelta(t, (e-mean[c])/math.Sqrt(variance[c]+1e-5), got[c], 1e-14)
	}
	after, _ := bn.Stats()
	require.Equal(t, mean, after)

	train(t, x, y, wave(tensor.Float64, -2, 6, 3))
	after, _ = bn2.Stats()
	require.NotEqual(t, mean, after)
}

func TestBatchNormSetStats(t *testing.T) {
	_, _, bn := batchNorm(t, tensor.Float64, []int{6, 2})
	require.NoError(t, bn.SetStats([]float64{1, 2}, []float64{3, 0}))
	for _, c := range []struct {
		mean, variance []float64
		kind           error
	}{
		{[]float64{1}, []float64{1, 1}, norm.ErrShape},
		{[]float64{1, 1}, nil, norm.ErrShape},
		{[]float64{1, math.NaN()}, []float64{1, 1}, norm.ErrValue},
		{[]float64{1, math.Inf(1)}, []float64{1, 1}, norm.ErrValue},
		{[]float64{1, 1}, []float64{1, -1e-9}, norm.ErrValue},
		{[]float64{1, 1}, []float64{1, math.NaN()}, norm.ErrValue},
		{[]float64{1, 1}, []float64{1, math.Inf(1)}, norm.ErrValue},
	} {
		require.ErrorIs(t, bn.SetStats(c.mean, c.variance), c.kind)
		mean, variance := bn.Stats()
		require.Equal(t, []float64{1, 2}, mean)
		require.Equal(t, []float64{3, 0}, variance)
	}
	mean, _ := bn.Stats()
	mean[0] = 99
	again, _ := bn.Stats()
	require.Equal(t, 1.0, again[0], "Stats gives copies")
	bn.ResetStats()
	mean, variance := bn.Stats()
	require.Equal(t, []float64{0, 0}, mean)
	require.Equal(t, []float64{1, 1}, variance)
}

func TestBatchNormWithoutRunningStats(t *testing.T) {
	_, x, bn := batchNorm(t, tensor.Float64, []int{6, 3}, norm.WithoutRunningStats())
	y := norm.Must(bn.Fwd(x))
	require.Equal(t, run(t, y), run(t, y, G.EvalMode()), "the batch's own in both modes")
	mean, variance := bn.Stats()
	require.Nil(t, mean)
	require.Nil(t, variance)
	require.ErrorIs(t, bn.SetStats([]float64{0, 0, 0}, []float64{1, 1, 1}), norm.ErrOption)
	bn.ResetStats()
	bn.SetTraining(false)
}

func TestBatchNormFrozen(t *testing.T) {
	_, x, bn := batchNorm(t, tensor.Float64, []int{6, 3})
	require.NoError(t, bn.SetStats([]float64{1, 1, 1}, []float64{4, 4, 4}))
	got := run(t, norm.Must(bn.FwdFrozen(x)))
	for i, e := range graphtest.Floats(x.Value().(*tensor.Dense)) {
		require.InDelta(t, (e-1)/math.Sqrt(4+1e-5), got[i], 1e-15)
	}
	mean, _ := bn.Stats()
	require.Equal(t, []float64{1, 1, 1}, mean, "a training machine does not move them")
}

func TestBatchNormSetTraining(t *testing.T) {
	g, x, bn := batchNorm(t, tensor.Float64, []int{6, 3})
	norm.Must(bn.Fwd(x))
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	bn.SetTraining(false)
	norm.Must(bn.Fwd(norm.Must(G.Cube(x))))
	require.NoError(t, vm.RunAll())
	mean, _ := bn.Stats()
	require.Equal(t, []float64{0, 0, 0}, mean, "set on what was applied before")
	vm.Reset()
	bn.SetTraining(true)
	require.NoError(t, vm.RunAll())
	mean, _ = bn.Stats()
	require.NotEqual(t, []float64{0, 0, 0}, mean)
}

// Applying the layer again does not change the mode of earlier applications.
func TestBatchNormFwdLeavesTheMode(t *testing.T) {
	g, x, bn := batchNorm(t, tensor.Float64, []int{6, 3})
	norm.Must(bn.Fwd(x))
	bn.SetTraining(false)
	vm := G.NewTapeMachine(g) // built last, so it trains
	defer vm.Close()
	norm.Must(bn.Fwd(norm.Must(G.Cube(x))))
	require.NoError(t, vm.RunAll())
	mean, _ := bn.Stats()
	require.NotEqual(t, []float64{0, 0, 0}, mean)
}

// A cumulative average goes on from saved statistics if the number of batches is set
// along with them.
func TestBatchNormCumulativeAverageGoesOn(t *testing.T) {
	// The momentum is not used, so an invalid one is no error.
	_, x, bn := batchNorm(t, tensor.Float64, []int{6, 3}, norm.WithMomentum(2), norm.WithCumulativeAverage())
	y := norm.Must(bn.Fwd(x))
	require.NoError(t, bn.Running().Set([]float64{9, 9, 9}, []float64{1, 1, 1}, 3))
	b := wave(tensor.Float64, 1, 6, 3)
	train(t, x, y, b)
	bm, _ := moments(b)
	mean, _, batches := bn.Running().Values()
	require.EqualValues(t, 4, batches)
	for c := range mean {
		require.InDelta(t, (3*9+bm[c])/4, mean[c], 1e-14)
	}
	require.NoError(t, bn.SetStats([]float64{0, 0, 0}, []float64{1, 1, 1}))
	_, _, batches = bn.Running().Values()
	require.EqualValues(t, 4, batches, "SetStats leaves it")
}

func TestBatchNormNaNBatch(t *testing.T) {
	_, x, bn := batchNorm(t, tensor.Float64, []int{6, 3})
	y := norm.Must(bn.Fwd(x))
	bad := wave(tensor.Float64, 0, 6, 3)
	bad.Data().([]float64)[4] = math.NaN() // channel 1
	train(t, x, y, bad)
	mean, variance := bn.Stats()
	require.True(t, math.IsNaN(mean[1]) && math.IsNaN(variance[1]), "as in PyTorch")
	for _, c := range []int{0, 2} {
		require.False(t, math.IsNaN(mean[c]) || math.IsNaN(variance[c]), "channels do not mix")
	}
	train(t, x, y, wave(tensor.Float64, 0, 6, 3))
	mean, _ = bn.Stats()
	require.True(t, math.IsNaN(mean[1]), "for good")
	bn.ResetStats()
	train(t, x, y, wave(tensor.Float64, 0, 6, 3))
	mean, _ = bn.Stats()
	require.False(t, math.IsNaN(mean[1]))
}

func TestBatchNormLayerGradients(t *testing.T) {
	for _, shape := range [][]int{{5, 3}, {4, 3, 2}, {2, 3, 2, 2}, {2, 3, 2, 1, 2}} {
		for _, opts := range [][]gradcheck.Option{nil, {gradcheck.WithEvalMode()}} {
			var bn *norm.BatchNorm
			f := func(in G.Nodes) (y *G.Node, err error) {
				if bn, err = norm.NewBatchNorm(in[0].Graph(), tensor.Float64, 3, norm.WithEps(1e-2)); err != nil {
					return nil, err
				}
				return bn.Fwd(in[0])
			}
			require.NoError(t, gradcheck.Check(f, []*tensor.Dense{wave(tensor.Float64, 1, shape...)}, opts...))
			mean, _ := bn.Stats()
			require.Equal(t, []float64{0, 0, 0}, mean, "a check moves no statistics")
		}
	}
}
