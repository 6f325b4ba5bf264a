package kernel

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A copy is complete, whether its tasks are shared or not, and goes no further.
func TestCopy(t *testing.T) {
	for _, n := range []int{0, 1, taskLen - 1, taskLen, taskLen + 1, 4*parallelLen + 3} {
		src, dst := numbered(n), make([]float64, n+1)
		Copy(dst[:n], src)
		require.Equal(t, append(numbered(n), 0), dst, n)
	}
}

// Gather puts the axes into the other order, and Scatter puts them back, whether the tasks
// are shared or not.
func TestPermuted(t *testing.T) {
	for _, shape := range [][]int{{2, 3, 5}, {1, 4, 2}, {33, 17, 2 * parallelLen / 500}} {
		a, b, c := shape[0], shape[1], shape[2]
		src := numbered(a * b * c)
		var want []float64 // in the order 2, 0, 1
		for k := range c {
			for ij := range a * b {
				want = append(want, src[ij*c+k])
			}
		}
		p := Permuted[float64]{shape, []int{2, 0, 1}}
		got := p.Gather(src)
		require.Equal(t, want, got.Data)
		back := make([]float64, len(src))
		p.Scatter(back, got.Data)
		require.Equal(t, src, back)
		got.Release()
	}
}

// numbered are n numbers that differ.
func numbered(n int) []float64 {
	s := make([]float64, n)
	for i := range s {
		s[i] = float64(i + 1)
	}
	return s
}
