package ops

import (
	"testing"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"
)

// Large results are made in memory that has not been cleared.
func TestPlaceInUsedMemory(t *testing.T) {
	const n, at = 40000, 20000
	part := dense.New(tensor.Shape{5}, []float32{1, 2, 3, 4, 5})
	for range 20 {
		for range 50 {
			for i, d := 0, dense.Uninitialized[float32](n); i < n; i++ {
				d[i] = 7
			}
		}
		v, err := newPlace[float32]("test", at, part.Shape(), n, false).Do(part)
		require.NoError(t, err)
		for i, x := range v.Data().([]float32) {
			want := float32(0)
			if i >= at && i < at+5 {
				want = float32(i - at + 1)
			}
			if x != want {
				t.Fatalf("element %d is %v, want %v", i, x, want)
			}
		}
	}
}

func TestPartOfShortVector(t *testing.T) {
	o := newPart[float32]("test", 2, tensor.Shape{3}, false)
	_, err := o.Do(dense.New(tensor.Shape{4}, make([]float32, 4)))
	require.ErrorIs(t, err, fault.ErrValue)
}
