package kernel

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAddNorm(t *testing.T) { both(t, addNorm[float32], addNorm[float64]) }

// The sum is rounded once, and y is the norm of it, bit for bit.
func addNorm[T Float](t *testing.T) {
	for _, p := range []Rows{
		{Rows: 1, Cols: 1, Eps: 1e-5}, {Rows: 3, Cols: 5, Eps: 1e-5}, {Rows: 70, Cols: 257, Eps: 1e-5, Uncentred: true},
		{Rows: 2, Cols: 20000, Eps: 1e-5}, {Rows: 4097, Cols: 16, Eps: 1e-5, UnbiasedStd: true},
	} {
		c := newLayerNormCase[T](p, easy)
		y, sum := blank[T](len(c.x)), blank[T](len(c.x))
		AddNormFwd(y.data(), sum.data(), c.x, c.dy, c.gamma, c.beta, p)
		wantSum, wantY := make([]T, len(c.x)), make([]T, len(c.x))
		for i := range wantSum {
			wantSum[i] = c.x[i] + c.dy[i]
		}
		LayerNormFwd(wantY, wantSum, c.gamma, c.beta, p)
		require.True(t, sameBits(wantSum, sum.data()), label("sum", p))
		require.True(t, sameBits(wantY, y.data()), label("y", p))
		require.True(t, y.marginsUntouched() && sum.marginsUntouched())
	}
}
