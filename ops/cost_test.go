package ops_test

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"
)

// cost returns how much memory a run allocates, and in how many pieces.
func cost(run func()) (pieces, bytes float64) {
	const runs = 50
	run() // fills pools
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		run()
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / runs, float64(after.TotalAlloc-before.TotalAlloc) / runs
}

var sink []byte

// A run allocates the tensor of its result, and its memory unless it is reused.
// Everything else is pooled or kept in the op.
func TestCostOfDo(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector empties pools")
	}
	// The collector empties pools too.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for _, reuse := range []bool{false, true} {
		for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			for _, c := range opCasesOf(reuse) {
				for _, k := range c.calls(t, dt) {
					what := fmt.Sprintf("%s: %v of %v", c.name, k.op, dt)
					maxPieces, maxBytes := 3.0, 4096.0
					if !reuse {
						v, err := k.op.Do(k.in...)
						require.NoError(t, err)
						one, result := cost(func() { sink = make([]byte, v.MemSize()) })
						maxPieces, maxBytes = maxPieces+one, maxBytes+result
					}
					pieces, bytes := cost(func() { k.op.Do(k.in...) })
					require.Less(t, pieces, maxPieces+0.5, what) // the runtime allocates something now and then
					require.LessOrEqual(t, bytes, maxBytes, what)
				}
			}
		}
	}
}

// BenchmarkDo shows what a run costs besides the kernel, which has almost nothing to do
// here.
func BenchmarkDo(b *testing.B) {
	// With a small heap the collector would run all the time.
	ballast := make([]byte, 64<<20)
	defer runtime.KeepAlive(ballast)
	for _, reuse := range []bool{false, true} {
		for _, c := range opCasesOf(reuse) {
			seen := map[string]bool{}
			for _, k := range c.calls(b, tensor.Float32) {
				op, _, _ := strings.Cut(k.op.String(), "(")
				if seen[op] { // the parts differ only in their sizes
					continue
				}
				seen[op] = true
				b.Run(fmt.Sprintf("%s/reuse=%v/%s", c.name, reuse, op), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						k.op.Do(k.in...)
					}
				})
			}
		}
	}
}
