package kernel

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

// allocRuns is how many runs are averaged.
const allocRuns = 3

// mallocs counts the allocations of a run, by all goroutines. Unlike
// testing.AllocsPerRun it keeps GOMAXPROCS, and so the parallel path.
func mallocs(run func()) float64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range allocRuns {
		run()
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / allocRuns
}

func TestNoAllocations(t *testing.T) { both(t, noAllocations[float32], noAllocations[float64]) }

func noAllocations[T Float](t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties pools")
	}
	// The collector empties pools too.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for _, v := range []View{{3, 5, 1}, {3, 5, 7}, {301, 131, 1}, {2, 2, 20000}} {
		for _, affine := range []bool{true, false} {
			for _, c := range calls[T](v, affine) {
				requireNoAllocations(t, label(c.name, v, affine), c.run)
			}
		}
	}
}

func requireNoAllocations(t *testing.T, what string, run func()) {
	t.Helper()
	for _, procs := range []int{1, 4} {
		onProcs(procs, func() {
			// A kernel that allocates does so in each run. Other allocations end when each
			// processor has filled its pools, or are a few of the runtime now and then.
			n := mallocs(run)
			for try := 1; n >= 1 && try < 20; try++ {
				n = mallocs(run)
			}
			require.Less(t, n, 1.0, "%s on %d processors", what, procs)
		})
	}
}

// Channels whose squares leave the range of float64 take another way.
func TestNoAllocationsInExtremes(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties pools")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for _, v := range []View{{3, 5, 1}, {3, 5, 7}} {
		x, norm := newData[float64]().normal(v.Len(), 0, 1e200), make([]float64, v.Channels)
		requireNoAllocations(t, label("Norms", v), func() { Norms(x, v, norm) })
	}
}
