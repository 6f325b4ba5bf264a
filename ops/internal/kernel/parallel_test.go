package kernel

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// onProcs runs f with a number of processors.
func onProcs(n int, f func()) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
	f()
}

// together runs f on n goroutines at once.
func together(n int, f func()) {
	var wg sync.WaitGroup
	for range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			f()
		}()
	}
	wg.Wait()
}

// parallelViews are above the size of parallel work. Some have so many
// elements that minTasks limits the segments of a unit, and not their size.
var parallelViews = []View{{301, 131, 1}, {300001, 1, 1}, {3, 2, 9001}, {5, 2, 30001}, {3, 20000, 2}}

func TestSameBitsOnAnyNumberOfProcessors(t *testing.T) {
	both(t, fixedOrder[float32], fixedOrder[float64])
}

func fixedOrder[T Float](t *testing.T) {
	for _, v := range parallelViews {
		for _, c := range calls[T](v, true) {
			var want [][]uint64
			onProcs(1, func() { c.run(); want = c.result() })
			for _, procs := range []int{2, 8} {
				onProcs(procs, func() {
					for range 2 {
						c.run()
						require.True(t, sameResult(want, c.result()), label(c.name, v, procs))
					}
				})
			}
		}
	}
}

func sameResult(a, b [][]uint64) bool { return slices.EqualFunc(a, b, slices.Equal) }

func TestConcurrentCallers(t *testing.T) { both(t, concurrent[float32], concurrent[float64]) }

// Callers that run at the same time, on more goroutines than workers, do not
// see each other's scratch or tasks.
func concurrent[T Float](t *testing.T) {
	views := []View{{301, 131, 1}, {7, 9, 1009}, {3, 5, 4}}
	for _, affine := range []bool{true, false} {
		var want []([][]uint64)
		for _, v := range views {
			for _, c := range calls[T](v, affine) {
				c.run()
				want = append(want, c.result())
			}
		}
		faults := make(chan string, 6)
		onProcs(4, func() {
			together(cap(faults), func() { faults <- repeat[T](views, affine, want) })
		})
		for range cap(faults) {
			require.Empty(t, <-faults)
		}
	}
}

// repeat runs every call again and names one with other bits.
func repeat[T Float](views []View, affine bool, want [][][]uint64) string {
	i := 0
	for _, v := range views {
		for _, c := range calls[T](v, affine) {
			c.run()
			if !sameResult(want[i], c.result()) {
				return label(c.name, v, affine)
			}
			i++
		}
	}
	return ""
}

type countArgs struct{ counts []atomic.Int32 }

func (a *countArgs) run(first, last int) {
	for i := first; i < last; i++ {
		a.counts[i].Add(1)
	}
}

// split runs every task once, from a task's view and from the caller's.
func TestSplitRunsEachTaskOnce(t *testing.T) {
	for _, procs := range []int{1, 2, 3, 8} {
		onProcs(procs, func() {
			for _, tasks := range []int{0, 1, 2, 7, 64, 5000} {
				for _, elems := range []int{0, parallelLen - 1, parallelLen, 1 << 30} {
					a := countArgs{make([]atomic.Int32, tasks)}
					split(tasks, elems, a)
					for i := range a.counts {
						require.EqualValues(t, 1, a.counts[i].Load(), label("task", i, tasks, elems, procs))
					}
				}
			}
		})
	}
}

type meeting struct {
	point chan int
	met   *atomic.Bool
}

func (m *meeting) run(first, last int) {
	select {
	case m.point <- first:
		m.met.Store(true)
	case <-m.point:
	case <-time.After(100 * time.Millisecond):
	}
}

// Two tasks that wait for each other can only meet if two goroutines run them.
// A worker that is just done with another job may miss one, but not for long.
func TestSplitIsParallel(t *testing.T) {
	m := meeting{make(chan int), new(atomic.Bool)}
	onProcs(2, func() {
		for i := 0; i < 50 && !m.met.Load(); i++ {
			split(2, parallelLen, m)
		}
	})
	require.True(t, m.met.Load())
}

var errTask = errors.New("the task's own")

type panicArgs struct {
	at     map[int]bool
	counts []atomic.Int32
}

func (a *panicArgs) run(first, last int) {
	for i := first; i < last; i++ {
		a.counts[i].Add(1)
		if a.at[i] {
			panic(fmt.Errorf("task %d: %w", i, errTask))
		}
	}
}

// A panic in a task reaches the caller of split with its value, whichever
// goroutine ran it, and the workers go on.
func TestSplitPanic(t *testing.T) {
	for _, procs := range []int{1, 2, 8} {
		onProcs(procs, func() {
			for round := range 200 {
				a := panicArgs{map[int]bool{round % 50: true}, make([]atomic.Int32, 50)}
				if round%3 == 0 {
					a.at[(round+25)%50] = true // several at once
				}
				got := catch(func() { split(50, parallelLen, a) })
				err, ok := got.(error)
				require.True(t, ok, "%v", got)
				require.ErrorIs(t, err, errTask)
				for i := range a.counts {
					require.LessOrEqual(t, a.counts[i].Load(), int32(1))
				}
				b := countArgs{make([]atomic.Int32, 50)}
				split(50, parallelLen, b)
				for i := range b.counts {
					require.EqualValues(t, 1, b.counts[i].Load())
				}
			}
		})
	}
}

func catch(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

// A kernel that panics for slices that are too short does so in the caller's
// goroutine, above the size of parallel work too, and the next call is right.
func TestKernelPanicReachesCaller(t *testing.T) {
	onProcs(4, func() {
		p := Rows{300, 200, 1e-5, false}
		c := newLayerNormCase[float64](p, easy)
		for range 20 {
			require.NotNil(t, catch(func() { LayerNormFwd(make([]float64, 100*200), c.x, nil, nil, p) }))
			c.check(t, "after a panic")
		}
	})
}

// busy is a job that lasts until it is closed.
type busy chan struct{}

func (b busy) help() { <-b }

// There are never more workers than processors but one, since the caller works
// too, and a job that none has time for is refused.
func TestWorkersAreFew(t *testing.T) {
	c := crew{jobs: make(chan interface{ help() })}
	onProcs(3, func() {
		job := make(busy)
		require.True(t, c.offer(job))
		require.True(t, c.offer(job))
		for range 10 {
			require.False(t, c.offer(job))
		}
		close(job)
		require.Eventually(t, func() bool { return c.offer(job) }, 10*time.Second, time.Millisecond, "a worker is free again")
		require.EqualValues(t, 2, c.started.Load())
	})
}

// Scratch in use is nobody else's, and has the length that was asked for.
func TestScratch(t *testing.T) {
	for range 3 {
		a, b := Borrow[float64](100), Borrow[float64](7)
		require.Len(t, a.Data, 100)
		require.Len(t, b.Data, 7)
		for i := range a.Data {
			a.Data[i] = 1
		}
		for i := range b.Data {
			b.Data[i] = 2
		}
		require.NotContains(t, a.Data, 2.0)
		a.Release()
		b.Release()
	}
	s := Borrow[int32](12)
	for i := range s.Data {
		s.Data[i] = int32(i)
	}
	require.Equal(t, []int32{4, 5, 6, 7}, s.part(1, 4))
	require.Equal(t, 4, cap(s.part(1, 4)))
	s.Release()
}
