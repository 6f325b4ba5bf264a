package ops_test

import (
	"math"
	"testing"

	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func newMoments(t *testing.T, channels, axis int, batches ...*tensor.Dense) *ops.Moments {
	t.Helper()
	m, err := ops.NewMoments(channels, axis)
	require.NoError(t, err)
	for _, b := range batches {
		require.NoError(t, m.Add(b))
	}
	return m
}

// Parts merged in any tree give the moments of the whole, even if the mean is a million
// times the spread.
func TestMomentsMerge(t *testing.T) {
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		for _, offset := range []float64{0, 1e6} {
			x := graphtest.Dense(dt, floats(wave(offset, 60, 7)), 60, 7)
			part := func(from, to int) *tensor.Dense { return cut(x, G.S(from, to)) }
			whole := newMoments(t, 7, 1, x)
			left, right := newMoments(t, 7, 1, part(0, 2), part(2, 31)), newMoments(t, 7, 1, part(31, 60))
			other := newMoments(t, 7, 1)
			require.NoError(t, other.Merge(newMoments(t, 7, 1)), "nothing and nothing")
			require.True(t, math.IsNaN(other.Mean()[0]) && math.IsNaN(other.Variance()[0]) && math.IsNaN(other.UnbiasedVariance()[0]))
			require.NoError(t, other.Merge(right))
			require.NoError(t, other.Merge(left))
			require.NoError(t, left.Merge(newMoments(t, 7, 1)))
			require.NoError(t, left.Merge(right))
			for _, m := range []*ops.Moments{left, other} {
				require.Equal(t, 60, m.Count())
				require.InEpsilonSlice(t, whole.Mean(), m.Mean(), 1e-14)
				require.InEpsilonSlice(t, whole.Variance(), m.Variance(), 1e-13)
				require.InEpsilonSlice(t, whole.UnbiasedVariance(), m.UnbiasedVariance(), 1e-13)
			}
			data := floats(x)
			for c := range 7 {
				var mean, m2 float64
				for i := c; i < len(data); i += 7 {
					mean += (data[i] - data[c]) / 60
				}
				for i := c; i < len(data); i += 7 {
					d := (data[i] - data[c]) - mean
					m2 += d * d
				}
				require.InEpsilon(t, 1e3+mean+data[c], 1e3+whole.Mean()[c], 1e-14)
				require.InEpsilon(t, m2/60, whole.Variance()[c], 1e-12)
				require.InEpsilon(t, m2/59, whole.UnbiasedVariance()[c], 1e-12)
			}
		}
	}
}

// A batch of one value has that value as its mean.
func TestMomentsOfOneValue(t *testing.T) {
	m := newMoments(t, 1, 1, graphtest.Dense(tensor.Float64, []float64{3}, 1, 1))
	require.Equal(t, 1, m.Count())
	require.Equal(t, []float64{3}, m.Mean())
	require.Equal(t, []float64{0}, m.Variance())
	require.ErrorIs(t, running(1).SetMoments(m), ops.ErrBatch)
	require.ErrorIs(t, running(2).SetMoments(m), ops.ErrShape, "which no other batch mends")
}

// What is returned is the caller's.
func TestMomentsAreCopies(t *testing.T) {
	m := newMoments(t, 2, 1, wave(0, 3, 2))
	mean := m.Mean()[0]
	m.Mean()[0] = mean + 1
	require.Equal(t, mean, m.Mean()[0])
}

// A batch may have any layout, and its channels in any axis.
func TestMomentsLayouts(t *testing.T) {
	x := wave(1, 5, 3, 4)
	want := newMoments(t, 3, 0, x)
	for axis := range 3 {
		moved := moveAxis(x, 1, axis)
		require.InEpsilonSlice(t, want.Variance(), newMoments(t, 3, axis-3, moved).Variance(), 1e-14)
	}
	view := x.Clone().(*tensor.Dense)
	require.NoError(t, view.T(2, 0, 1))
	require.InEpsilonSlice(t, want.Variance(), newMoments(t, 3, -1, view).Variance(), 1e-14)
}

func badMoments() []badCall {
	add := func(axis int, batch *tensor.Dense) func(*bench) error {
		return func(*bench) error {
			m, _ := ops.NewMoments(3, axis)
			return m.Add(batch)
		}
	}
	masked := tensor.New(tensor.WithShape(1, 3), tensor.WithBacking([]float64{1, 2, 3}, []bool{true, false, false}))
	moments := func(channels int, batches ...*tensor.Dense) *ops.Moments {
		m, _ := ops.NewMoments(channels, 1)
		for _, b := range batches {
			if err := m.Add(b); err != nil {
				panic(err)
			}
		}
		return m
	}
	set := func(m *ops.Moments) func(*bench) error {
		return func(*bench) error { return running(3).SetMoments(m) }
	}
	return []badCall{
		{"moments: no channels", ops.ErrShape, func(*bench) error {
			_, err := ops.NewMoments(0, 1)
			return err
		}},
		{"moments: an axis that no batch has", ops.ErrShape, func(*bench) error {
			_, err := ops.NewMoments(3, 5)
			return err
		}},
		{"moments: an axis before the first", ops.ErrShape, func(*bench) error {
			_, err := ops.NewMoments(3, -6)
			return err
		}},
		{"moments: batch nil", ops.ErrValue, add(1, nil)},
		{"moments: batch int", ops.ErrDtype, add(1, tensor.New(tensor.WithShape(4, 3), tensor.Of(tensor.Int)))},
		{"moments: batch masked", ops.ErrValue, add(1, masked)},
		{"moments: batch of rank 1", ops.ErrShape, add(1, wave(0, 3))},
		{"moments: batch of other channels", ops.ErrShape, add(1, wave(0, 3, 4))},
		{"moments: batch empty", ops.ErrShape, add(1, tensor.New(tensor.WithShape(0, 3), tensor.Of(tensor.Float64)))},
		{"moments: batch with channels elsewhere", ops.ErrShape, add(-1, wave(0, 2, 3, 4))},
		{"moments: batch without the axis", ops.ErrShape, add(3, wave(0, 2, 3, 4))},
		{"moments: nil merged", ops.ErrValue, func(*bench) error { return moments(3).Merge(nil) }},
		{"moments: other channels merged", ops.ErrShape, func(*bench) error { return moments(3).Merge(moments(4)) }},
		{"moments: fewer channels merged", ops.ErrShape, func(*bench) error { return moments(3).Merge(moments(2)) }},
		{"runningstats: moments nil", ops.ErrValue, set(nil)},
		{"runningstats: moments of no values", ops.ErrBatch, set(moments(3))},
		{"runningstats: moments of one value", ops.ErrBatch, set(moments(3, wave(0, 1, 3)))},
		{"runningstats: moments of other channels", ops.ErrShape, set(moments(4, wave(0, 2, 4)))},
		{"runningstats: moments not finite", ops.ErrValue, set(moments(3, poisoned(tensor.Float64, 2, 3)))},
		{"reestimate: no run", ops.ErrOption, func(*bench) error { return ops.Reestimate(nil, running(3)) }},
		{"reestimate: nil statistics", ops.ErrGraph, func(*bench) error {
			return ops.Reestimate(func() error { return nil }, running(3), nil)
		}},
		{"reestimate: nil statistics first", ops.ErrGraph, func(*bench) error {
			return ops.Reestimate(func() error { return nil }, nil, running(3))
		}},
		{"reestimate: no batch", ops.ErrBatch, func(*bench) error {
			return ops.Reestimate(func() error { return nil }, running(3))
		}},
		{"reestimate: within another", ops.ErrOption, func(*bench) error {
			s := running(3)
			return ops.Reestimate(func() error {
				return ops.Reestimate(func() error { return nil }, s)
			}, s)
		}},
	}
}

// The estimate is that of all batches as if they were one, even if the statistics are
// passed twice.
func TestReestimateIsOfAllBatches(t *testing.T) {
	g, s := G.NewGraph(), running(3)
	x := graphtest.Leaf(g, "x", wave(0, 4, 3))
	G.Must(ops.BatchNorm(x, nil, nil, s, cfg))
	m := G.NewTapeMachine(g)
	defer m.Close()
	batches := []*tensor.Dense{wave(0.3, 4, 3), wave(1.1, 4, 3), wave(-2, 4, 3)}
	require.NoError(t, ops.Reestimate(func() error {
		for _, b := range batches {
			m.Reset()
			require.NoError(t, G.Let(x, b))
			require.NoError(t, m.RunAll())
		}
		return nil
	}, s, s))
	want := newMoments(t, 3, 1, batches...)
	mean, variance, n := s.Values()
	require.InDeltaSlice(t, want.Mean(), mean, 1e-14)
	require.InDeltaSlice(t, want.UnbiasedVariance(), variance, 1e-14)
	require.EqualValues(t, 3, n)
}

// Where some statistics cannot be estimated all stay as they are, and the error is of those.
func TestReestimateSetsAllOrNone(t *testing.T) {
	for range 8 { // in any order
		g, good, bad := G.NewGraph(), running(3), running(3)
		G.Must(ops.BatchNorm(graphtest.Leaf(g, "x", wave(0, 4, 3)), nil, nil, good, cfg))
		G.Must(ops.BatchNorm(graphtest.Leaf(g, "nan", poisoned(tensor.Float64, 4, 3)), nil, nil, bad, cfg))
		m := G.NewTapeMachine(g)
		before := snapshot(good)
		err := ops.Reestimate(m.RunAll, good, bad)
		require.ErrorIs(t, err, ops.ErrValue)
		item, ok := fault.Item(err)
		require.True(t, ok)
		require.Equal(t, 1, item)
		require.Equal(t, before, snapshot(good))
		require.NoError(t, m.Close())
	}
}

// Means over samples are not the moments of a batch. Merged, they would depend on how the
// data are cut into batches.
func TestReestimateRefusesInstanceNorm(t *testing.T) {
	g, s := G.NewGraph(), running(3)
	x := graphtest.Leaf(g, "x", wave(0, 2, 3, 4))
	_, err := ops.InstanceNorm(x, nil, nil, s, ops.InstanceNormConfig{Eps: 1e-5, Momentum: 0.1})
	require.NoError(t, err)
	m := G.NewTapeMachine(g)
	defer m.Close()
	before := snapshot(s)
	err = ops.Reestimate(m.RunAll, s)
	require.True(t, ops.Is(err, ops.ErrOption), "%v", err)
	require.ErrorContains(t, err, "norm: instancenorm: the running statistics are means over samples, want those of batch norm for Reestimate")
	require.Equal(t, before, snapshot(s))
	m.Reset()
	require.NoError(t, m.RunAll())
	require.NotEqual(t, before, snapshot(s))
}
