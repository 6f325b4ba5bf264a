package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// Means of the moments of two samples with two channels, by hand. The first sample has
// 1, 2, 3 with the mean 2 and m2 = 2, and 4, 4, 10 with 6 and 24; the second 5, 7, 9 with
// 7 and 8, and 0, 3, 6 with 3 and 18. Without the last position, the channels of the second
// have 6 and 2, and 1½ and 4½. A third sample, in which one value counts, is left out. What
// the results held before does not matter.
func TestSampleMoments(t *testing.T) {
	x := []float32{1, 2, 3, 4, 4, 10, 5, 7, 9, 0, 3, 6, 100, 100, 100, 100, 100, 100}
	for _, row := range []struct {
		samples  int
		mask     []float32
		n        float64
		mean, m2 []float64
	}{
		{2, nil, 3, []float64{4.5, 4.5}, []float64{5, 21}},
		// n is 2½, and the variances are 1 and 2, and 12 and 4½.
		{3, []float32{1, 1, 1, 1, 1, 0, 0, 0, 1}, 2.5, []float64{4, 3.75}, []float64{1.5 * 1.5, 1.5 * 8.25}},
	} {
		v := View{row.samples, 2, 3}
		old := math.NaN()
		mean, residual, m2 := []float64{old, old}, []float64{old, old}, []float64{old, old}
		n := SampleMoments(x[:v.Len()], row.mask, v, 0, mean, residual, m2)
		require.Equal(t, row.n, n)
		require.InDeltaSlice(t, row.mean, mean, 1e-14)
		require.InDeltaSlice(t, []float64{0, 0}, residual, 1e-15)
		require.InDeltaSlice(t, row.m2, m2, 1e-14)
	}
}

// The residual is the mean of the residuals that the samples have by themselves.
func TestSampleMomentsResidual(t *testing.T) {
	v, one := View{2, 1, 3}, View{1, 1, 3}
	x := []float64{1, 2, 2, 4, 4, 6}
	mean, residual, m2 := make([]float64, 1), make([]float64, 1), make([]float64, 1)
	want := 0.0
	for i := range v.Outer {
		Moments(x[3*i:][:3], nil, one, 0, mean, residual, m2)
		require.NotZero(t, residual[0])
		want += residual[0] / 2
	}
	for _, mask := range [][]float64{nil, {1, 1, 1, 1, 1, 1}} {
		SampleMoments(x, mask, v, 0, mean, residual, m2)
		require.InEpsilon(t, want, residual[0], 1e-14)
	}
}
