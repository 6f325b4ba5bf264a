package kernel

import (
	"math"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKernelsIgnoreOldMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties pools")
	}
	both(t, kernelsIgnoreOldMemory[float32], kernelsIgnoreOldMemory[float64])
}

// Results have the same bits whatever scratch memory held before. Even sums that nobody
// wants must not begin with it, as sums decide which arithmetic is used.
func kernelsIgnoreOldMemory[T Float](t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // the collector empties pools too
	onProcs(1, func() {                              // one pool, so what is in it is what kernels get
		for _, v := range []View{{3, 5, 1}, {40, 5, 1}, {3, 20, 49}, {2, 6, 200}} {
			for _, affine := range []bool{true, false} {
				clean, dirty := calls[T](v, affine), calls[T](v, affine)
				paths(func(path string) {
					for i, c := range clean {
						fillScratch(0)
						c.run()
						want := c.result()
						for _, old := range []float64{math.NaN(), 1e30, -1e30} {
							fillScratch(old)
							dirty[i].run()
							require.True(t, slices.EqualFunc(want, dirty[i].result(), slices.Equal[[]uint64]), label(path, c.name, v, affine, old))
						}
					}
				})
			}
		}
	})
}

// fillScratch sets pooled memory, more than a kernel borrows, to one value.
func fillScratch(value float64) {
	fillPool(value)
	fillPool(float32(value))
}

func fillPool[T Float](value T) {
	var all [16]*Scratch[T]
	for i := range all {
		all[i] = Borrow[T](1 << 13)
		for j := range all[i].all {
			all[i].all[j] = value
		}
	}
	for _, s := range all {
		s.Release()
	}
}
