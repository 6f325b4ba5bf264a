package main

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gorgonorm/norm/examples/internal/mnist"
	"github.com/gorgonorm/norm/examples/internal/mnist/mnisttest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Without a normalization and with weight norm a network is the same function at first,
// so that on the same first batch they have the same loss.
func TestFairStart(t *testing.T) {
	train, test, err := mnist.ReadDir(mnisttest.Synthetic(300, 60).Write(t))
	require.NoError(t, err)
	for i := range experiments {
		e := &experiments[i]
		first := map[string]float64{}
		for _, kind := range kinds {
			// As many steps as points: each point is the loss of one step.
			j := job{e, kind, 5, 0.001, evaluations}
			r, err := j.run(context.Background(), data{train, test}, func() {})
			require.NoError(t, err)
			first[kind] = r.Points[0].TrainLoss
		}
		assert.InDelta(t, first["none"], first["weight"], 1e-5, e.name)
		assert.NotEqual(t, first["none"], first["batch"], e.name)
		assert.NotEqual(t, first["none"], first["layer"], e.name)
	}
}

func TestRatesAreOfTheGrid(t *testing.T) {
	for _, e := range experiments {
		for _, kind := range kinds {
			assert.Contains(t, e.grid, e.rates[kind], "%s %s", e.name, kind)
		}
	}
}

func TestPointsAreSpreadEvenly(t *testing.T) {
	for _, steps := range []int{25, 26, 99, 100, 6000} {
		var gaps []int
		last := 0
		for s := 1; s <= steps; s++ {
			if due(s, steps, 25) {
				gaps, last = append(gaps, s-last), s
			}
		}
		assert.Len(t, gaps, 25, steps)
		assert.LessOrEqual(t, slices.Max(gaps)-slices.Min(gaps), 1, steps)
		assert.Equal(t, steps, last, "the last step has one")
	}
}

func TestBatcher(t *testing.T) {
	b := batcher{size: 3, rng: rand.New(rand.NewPCG(1, 1)), order: mnist.Sequence(0, 10)}
	for range 4 {
		var seen []int
		for range 3 {
			seen = append(seen, b.next()...)
		}
		slices.Sort(seen)
		assert.Len(t, slices.Compact(seen), 9, "no image twice")
	}
}

// A quantile lies at the place q·(n − 1) of n sorted values, counted from 0.
func TestQuantile(t *testing.T) {
	v := []float64{1, 2, 4, 8}
	assert.InDelta(t, 1.45, quantile(v, 0.15), 1e-12)
	assert.InDelta(t, 3, quantile(v, 0.5), 1e-12)
	assert.InDelta(t, 6.2, quantile(v, 0.85), 1e-12)
	assert.Equal(t, 8.0, quantile(v, 1))
	assert.Equal(t, 7.0, quantile([]float64{7}, 0.5))
	assert.Equal(t, 2.0, median([]float64{5, 1, 2}))
}

// Five units whose inputs in a batch of three are −1, 0 and 1 times unit+1, and move by
// 0, 4, 1, 3 and 2 from the first window to the last.
func TestSpread(t *testing.T) {
	const steps = 1000
	moves := []float32{0, 4, 1, 3, 2}
	r := newSpreadRecorder(len(moves))
	for s := 1; s <= steps; s++ {
		var inputs []float32
		for _, v := range []float32{-1, 0, 1} {
			for u, m := range moves {
				x := v * float32(u+1)
				if s > steps/2 {
					x += m
				}
				inputs = append(inputs, x)
			}
		}
		r.step(s, steps, inputs)
	}
	got := r.result()
	assert.Equal(t, 4, got.Unit, "it moves by 2, the middle")
	assert.Len(t, got.Steps, windows)
	assert.Equal(t, window, got.Steps[0])
	assert.Equal(t, steps, got.Steps[windows-1])
	// Of 30 values ten each are −5, 0 and 5.
	assert.Equal(t, [3]float64{-5, 0, 5}, got.Values[0])
	assert.Equal(t, [3]float64{-3, 2, 7}, got.Values[windows-1])
	assert.InDelta(t, 2*3, got.First, 1e-9) // unit 2, in the middle
	assert.InDelta(t, 2*3, got.Last, 1e-9)
	assert.InDelta(t, 2, got.Shift, 1e-9)
}

// A window is the batches right before its point, and no others.
func TestSpreadWindow(t *testing.T) {
	const steps = 5000
	r := newSpreadRecorder(1)
	for s := 1; s <= steps; s++ {
		r.step(s, steps, []float32{float32(s)})
	}
	got := r.result()
	require.Equal(t, windows+1, len(got.Steps)) // with the first window
	assert.Equal(t, []int{10, 50, 100}, got.Steps[:3])
	assert.InDelta(t, 5.5, got.Values[0][1], 1e-9)
	assert.InDelta(t, 45.5, got.Values[1][1], 1e-9)
	assert.InDelta(t, 95.5, got.Values[2][1], 1e-9)
}
