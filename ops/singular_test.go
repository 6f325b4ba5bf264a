package ops_test

import (
	"math"
	"testing"

	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Restart gives the vectors of a constructor.
func TestSingularVectorsRestart(t *testing.T) {
	old, w := wave(0.4, 3, 4), graphtest.Dense(tensor.Float64, floats(wave(-2, 3, 4)), 3, 4)
	s, fresh := must(ops.NewSingularVectors(old, 1)), must(ops.NewSingularVectors(w, 1))
	old.Shape()[1] = 5 // the vectors have a copy of it
	require.NoError(t, s.Restart(w))
	requireSameVectors(t, fresh, s)

	// Zeros and a NaN have no direction. The vectors become the random ones from which a
	// constructor starts, of length 1.
	for _, x := range []float64{0, math.NaN()} {
		w := graphtest.Dense(tensor.Float32, []float64{x, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 3, 4)
		require.NoError(t, s.Restart(w))
		requireSameVectors(t, must(ops.NewSingularVectors(w, 1)), s)
		for _, v := range [][]float64{first(s.Values()), second(s.Values())} {
			var square float64
			for _, x := range v {
				square += x * x
			}
			require.InDelta(t, 1, square, 1e-12)
		}
	}

	require.NoError(t, s.Restart(w))
	for name, c := range map[string]struct {
		w    *tensor.Dense
		kind error
	}{
		"nil":    {nil, ops.ErrValue},
		"shape":  {wave(0, 4, 3), ops.ErrShape},
		"rank":   {wave(0, 1, 4, 3), ops.ErrShape}, // with vectors of the same lengths
		"dtype":  {tensor.New(tensor.WithShape(3, 4), tensor.Of(tensor.Int)), ops.ErrDtype},
		"masked": {tensor.New(tensor.WithShape(3, 4), tensor.WithBacking(make([]float64, 12), make([]bool, 12))), ops.ErrValue},
	} {
		require.ErrorIs(t, s.Restart(c.w), c.kind, name)
		requireSameVectors(t, fresh, s)
	}
	u, v := s.Values()
	require.ErrorIs(t, s.Set(v, u), ops.ErrShape, "as many elements, the other way around")
	require.ErrorIs(t, s.Set(u[1:], v), ops.ErrShape)
	require.ErrorIs(t, s.Set(u, v[1:]), ops.ErrShape)
	requireSameVectors(t, fresh, s)
}

// A column is not the vector that it has the elements of.
func TestSingularVectorsRestartOfColumn(t *testing.T) {
	s := vectorsOf(0, 3)
	require.ErrorIs(t, s.Restart(wave(0, 3, 1)), ops.ErrShape)
	requireSameVectors(t, vectorsOf(0, 3), s)
}

// Two ops on one weight are one only where the vectors are the same.
func TestSingularVectorsTellOpsApart(t *testing.T) {
	g := G.NewGraph()
	w, s := graphtest.Leaf(g, "w", wave(0.4, 3, 4)), vectorsOf(0, 3, 4)
	y := must(ops.SpectralNorm(w, s, ops.DefaultSpectralNorm()))
	require.Same(t, y, must(ops.SpectralNorm(w, s, ops.DefaultSpectralNorm())))
	require.NotSame(t, y, must(ops.SpectralNorm(w, vectorsOf(0, 3, 4), ops.DefaultSpectralNorm())))
}

func first[T any](a, _ T) T  { return a }
func second[T any](_, b T) T { return b }

func requireSameVectors(t *testing.T, want, got *ops.SingularVectors) {
	t.Helper()
	u, v := want.Values()
	u2, v2 := got.Values()
	require.Equal(t, u, u2)
	require.Equal(t, v, v2)
}
