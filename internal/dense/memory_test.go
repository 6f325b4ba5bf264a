package dense

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"
)

func TestOverlap(t *testing.T) {
	all := make([]float64, 20)
	at := func(from, to int) *tensor.Dense {
		return tensor.New(tensor.WithShape(to-from), tensor.WithBacking(all[from:to:to]))
	}
	for _, row := range []struct {
		a, b [2]int
		want bool
	}{
		{[2]int{0, 5}, [2]int{5, 10}, false}, // next to each other
		{[2]int{0, 5}, [2]int{4, 10}, true},
		{[2]int{0, 20}, [2]int{7, 8}, true},
		{[2]int{3, 9}, [2]int{3, 9}, true},
		{[2]int{0, 2}, [2]int{18, 20}, false},
	} {
		a, b := at(row.a[0], row.a[1]), at(row.b[0], row.b[1])
		require.Equal(t, row.want, Overlap(a, b), "%v and %v", row.a, row.b)
		require.Equal(t, row.want, Overlap(b, a), "%v and %v", row.b, row.a)
	}
	require.False(t, Overlap(at(0, 5), tensor.New(tensor.WithShape(5), tensor.Of(tensor.Float64))))
}

// Elements are compared bit for bit: a NaN equals itself, and −0 does not equal 0.
func TestSame(t *testing.T) {
	nan := []float32{1, float32(math.NaN())}
	require.True(t, Same(nan, []float32{1, nan[1]}))
	require.False(t, Same([]float64{0}, []float64{math.Copysign(0, -1)}))
	require.False(t, Same([]float64{1, 2}, []float64{1}))
	require.True(t, Same[float64](nil, []float64{}))
}

// Scatter puts back what Gather has taken, and leaves the gaps unchanged.
func TestGatherAndScatter(t *testing.T) {
	owner := tensor.New(tensor.WithShape(3, 4), tensor.WithBacking(tensor.Range(tensor.Float64, 0, 12)))
	v, err := owner.Slice(nil, tensor.S(1, 3))
	require.NoError(t, err)
	view := v.(*tensor.Dense)
	out := make([]float64, 6)
	Gather(out, view)
	require.Equal(t, []float64{1, 2, 5, 6, 9, 10}, out)
	Scatter(view, []float64{-1, -2, -5, -6, -9, -10})
	require.Equal(t, []float64{0, -1, -2, 3, 4, -5, -6, 7, 8, -9, -10, 11}, owner.Data())
}
