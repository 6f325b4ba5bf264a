package kernel

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// narrowViews have short runs or rows, and leave over no rows of the matrix or some.
var narrowViews = []View{
	{1000, 1, 1}, {4001, 1, 1}, {517, 2, 1}, {1030, 3, 1}, {333, 5, 1}, {120, 15, 1}, {64, 1, 2}, {70, 3, 2},
	{41, 10, 3}, {20, 25, 4}, {8, 33, 7}, {100, 2, 9}, {9, 70, 15},
}

// Each element of a narrow view is in the matrix, in a column of its channel, or left
// over.
func TestFoldingCoversOnce(t *testing.T) { both(t, foldingCovers[float32], foldingCovers[float64]) }

func foldingCovers[T Float](t *testing.T) {
	folds := 0
	for _, v := range narrowViews {
		f, narrow := folded[T](v)
		if !narrow {
			continue
		}
		folds++
		name := fmt.Sprint(v, f)
		require.Equal(t, v.Len(), f.wide.Len()+f.rest.Len(), name)
		require.GreaterOrEqual(t, f.wide.Channels, wideLen, name)
		left := f.left()
		require.Equal(t, f.wide.Len(), left.at, name)
		require.True(t, f.rest.Outer == 0 || left.last() == v.Len()-1, name)
		channels, columns := make([]T, v.Channels), make([]T, f.wide.Channels)
		for c := range channels {
			channels[c] = T(c)
		}
		repeatInto(columns, channels, f)
		for i := range f.wide.Len() {
			require.Equal(t, T(i/v.Inner%v.Channels), columns[i%f.wide.Channels], name)
		}
	}
	require.Greater(t, folds, len(narrowViews)/2)
	for _, v := range []View{{1, 3, 4}, {100, 64, 1}, {100, 3, 16}, {7, 70, 2}} {
		_, narrow := folded[T](v)
		require.False(t, narrow, v)
	}
}

// Norms of narrow views are as exact as those of others.
func TestNarrowViews(t *testing.T) { both(t, narrowNorms[float32], narrowNorms[float64]) }

func narrowNorms[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, v := range narrowViews {
		for _, how := range []condition{{scale: 1}, {scale: 1, ratio: 1e3}} {
			b := newBatchNormCase[T](v, 1e-5, how)
			w := newWeightNormCase[T](v, how)
			paths(func(path string) {
				b.checkBatch(t, label("batch "+path, v, how))
				w.check(t, label("weights "+path, v, how))
			})
		}
	}
}
