package norm_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// twoNorms is a model of two batch norms in a row.
func twoNorms(t *testing.T, opts ...norm.BatchNormOption) (x, y *G.Node, first, second *norm.BatchNorm) {
	t.Helper()
	g, x, first := batchNorm(t, tensor.Float64, []int{6, 3}, opts...)
	second = norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3, opts...))
	y = norm.Must(second.Fwd(norm.Must(G.Cube(norm.Must(first.Fwd(x))))))
	return x, y, first, second
}

// The statistics are those of all batches as one batch. The second layer sees each batch
// as the first has normalized it, by the statistics of that batch.
func TestReestimate(t *testing.T) {
	x, y, first, second := twoNorms(t)
	train(t, x, y, wave(tensor.Float64, 9, 6, 3))
	require.NoError(t, norm.Reestimate(func() error {
		before, _ := first.Stats()
		for _, b := range batches {
			train(t, x, y, b)
		}
		after, _ := first.Stats()
		require.Equal(t, before, after, "they stay until the end")
		return nil
	}, first, second, first))

	whole := func(batches []*tensor.Dense) (mean, variance []float64) {
		return moments(norm.Must(tensor.Concat(0, batches[0], batches[1], batches[2])).(*tensor.Dense))
	}
	mean, variance := whole(batches)
	gotMean, gotVariance, n := first.Running().Values()
	require.InDeltaSlice(t, mean, gotMean, 1e-14)
	require.InDeltaSlice(t, variance, gotVariance, 1e-14)
	require.EqualValues(t, 3, n)

	var hidden []*tensor.Dense
	for _, b := range batches {
		g := G.NewGraph()
		bn := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3))
		hidden = append(hidden, graphtest.Dense(tensor.Float64, run(t, norm.Must(G.Cube(norm.Must(bn.Fwd(input(g, b)))))), 6, 3))
	}
	mean, variance = whole(hidden)
	gotMean, gotVariance = second.Stats()
	require.InDeltaSlice(t, mean, gotMean, 1e-14)
	require.InDeltaSlice(t, variance, gotVariance, 1e-14)

	train(t, x, y, batches[0])
	again, _ := second.Stats()
	require.NotEqual(t, gotMean, again, "training moves them again")
}

// Statistics can be recomputed without Reestimate, by layers with a cumulative average.
func TestReestimateByCumulativeAverage(t *testing.T) {
	x, y, first, _ := twoNorms(t, norm.WithCumulativeAverage())
	train(t, x, y, wave(tensor.Float64, 9, 6, 3))
	first.ResetStats()
	want := make([]float64, 3)
	for _, b := range batches {
		train(t, x, y, b)
		mean, _ := moments(b)
		for c := range want {
			want[c] += mean[c] / 3
		}
	}
	mean, _ := first.Stats()
	require.InDeltaSlice(t, want, mean, 1e-14)
}

func TestReestimateRefuses(t *testing.T) {
	x, y, first, second := twoNorms(t)
	untracked := norm.Must(norm.NewBatchNorm(x.Graph(), tensor.Float64, 3, norm.WithoutRunningStats()))
	unused := norm.Must(norm.NewBatchNorm(x.Graph(), tensor.Float64, 3))
	failed := errors.New("no more batches")
	good := func() error {
		train(t, x, y, batches[0])
		return nil
	}
	for name, c := range map[string]struct {
		run    func() error
		layers []*norm.BatchNorm
		kind   error
	}{
		"run fails": {func() error {
			train(t, x, y, batches[0])
			return failed
		}, []*norm.BatchNorm{first, second}, failed},
		"no run":         {nil, []*norm.BatchNorm{first}, norm.ErrOption},
		"nil layer":      {good, []*norm.BatchNorm{first, nil}, norm.ErrGraph},
		"no statistics":  {good, []*norm.BatchNorm{first, untracked}, norm.ErrOption},
		"not in the run": {good, []*norm.BatchNorm{first, second, unused}, norm.ErrBatch},
		"evaluation": {func() error {
			run(t, y, G.EvalMode())
			return nil
		}, []*norm.BatchNorm{first, second}, norm.ErrBatch},
		"within another": {func() error {
			return norm.Reestimate(good, second)
		}, []*norm.BatchNorm{first, second}, norm.ErrOption},
		"NaN": {func() error {
			bad := wave(tensor.Float64, 0, 6, 3)
			bad.Data().([]float64)[4] = math.NaN()
			train(t, x, y, bad)
			return nil
		}, []*norm.BatchNorm{first, second}, norm.ErrValue},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, first.SetStats([]float64{1, 2, 3}, []float64{4, 5, 6}))
			err := norm.Reestimate(c.run, c.layers...)
			require.ErrorIs(t, err, c.kind)
			if name == "not in the run" {
				require.EqualError(t, err, "norm: reestimate: "+unused.Name()+": no batch was seen, want runs in training mode")
			}
			mean, variance := first.Stats()
			require.Equal(t, []float64{1, 2, 3, 4, 5, 6}, slices.Concat(mean, variance))
			train(t, x, y, batches[0])
			after, _ := first.Stats()
			require.NotEqual(t, mean, after, "training moves them again")
		})
	}
}

// Workers gather moments from parts of a batch. Merged, these are the moments of the
// batch.
func TestBatchNormMoments(t *testing.T) {
	for _, axis := range []int{1, -1} {
		shape := []int{8, 5, 3}
		if axis == 1 {
			shape = []int{8, 3, 5}
		}
		bn := norm.Must(norm.NewBatchNorm(G.NewGraph(), tensor.Float32, 3, norm.WithChannelAxis(axis)))
		batch := wave(tensor.Float32, 1000, shape...)
		whole, merged := bn.NewMoments(), bn.NewMoments()
		require.NoError(t, whole.Add(batch))
		for _, part := range [][2]int{{0, 2}, {2, 6}, {6, 8}} { // a slice of one sample would lose its axis
			worker := bn.NewMoments()
			require.NoError(t, worker.Add(norm.Must(batch.Slice(G.S(part[0], part[1]))).(*tensor.Dense)))
			require.NoError(t, merged.Merge(worker))
		}
		require.Equal(t, 40, merged.Count())
		require.NoError(t, bn.SetMoments(merged))
		mean, variance := bn.Stats()
		require.InEpsilonSlice(t, whole.Mean(), mean, 1e-15)
		require.InEpsilonSlice(t, whole.UnbiasedVariance(), variance, 1e-14)
	}
	bn := norm.Must(norm.NewBatchNorm(G.NewGraph(), tensor.Float32, 3, norm.WithoutRunningStats()))
	require.ErrorIs(t, bn.SetMoments(bn.NewMoments()), norm.ErrOption)
}

// Runs of a machine with bound dual values add up their gradients until a solver uses
// them. Layer norm gives the gradients of the whole batch. Batch norm normalizes each
// micro-batch by itself.
func TestGradientAccumulation(t *testing.T) {
	build := func(rows int, layer func(x *G.Node) (*G.Node, G.Nodes)) (x *G.Node, params G.Nodes, vm G.VM) {
		g := G.NewGraph()
		x = G.NewMatrix(g, tensor.Float64, G.WithShape(rows, 3), G.WithName("x"))
		y, params := layer(x)
		cost := norm.Must(G.Sum(norm.Must(G.Cube(y))))
		norm.Must(G.Grad(cost, params...))
		return x, params, G.NewTapeMachine(g, G.BindDualValues(params...))
	}
	whole := wave(tensor.Float64, 0, 6, 3)
	gradients := func(layer func(x *G.Node) (*G.Node, G.Nodes), parts ...[2]int) (grads []float64) {
		x, params, vm := build(parts[0][1]-parts[0][0], layer)
		defer vm.Close()
		for _, p := range parts {
			part := norm.Must(whole.Slice(G.S(p[0], p[1]))).(*tensor.Dense)
			require.NoError(t, G.Let(x, part.Materialize()))
			require.NoError(t, vm.RunAll())
			vm.Reset()
		}
		for _, p := range params {
			grads = append(grads, graphtest.Floats(norm.Must(p.Grad()).(*tensor.Dense))...)
		}
		return grads
	}
	ln := func(x *G.Node) (*G.Node, G.Nodes) {
		l := norm.Must(norm.NewLayerNorm(x.Graph(), tensor.Float64, tensor.Shape{3}))
		return norm.Must(l.Fwd(x)), l.Learnables()
	}
	var last *norm.BatchNorm
	bn := func(x *G.Node) (*G.Node, G.Nodes) {
		last = norm.Must(norm.NewBatchNorm(x.Graph(), tensor.Float64, 3))
		return norm.Must(last.Fwd(x)), last.Learnables()
	}
	require.InDeltaSlice(t, gradients(ln, [2]int{0, 6}), gradients(ln, [2]int{0, 3}, [2]int{3, 6}), 1e-12)

	first, second := gradients(bn, [2]int{0, 3}), gradients(bn, [2]int{3, 6})
	got := gradients(bn, [2]int{0, 3}, [2]int{3, 6})
	for i := range got {
		require.InDelta(t, first[i]+second[i], got[i], 1e-12)
	}
	_, _, batches := last.Running().Values()
	require.EqualValues(t, 2, batches, "the statistics move with each micro-batch")
}
