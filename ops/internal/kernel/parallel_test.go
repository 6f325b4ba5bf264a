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
	"weak"

	"github.com/stretchr/testify/require"
)

// onProcs runs f with a number of processors, among which it spreads even small
// work.
func onProcs(n int, f func()) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
	defer func(p, w int) { parallelLen, wakeLen = p, w }(parallelLen, wakeLen)
	parallelLen, wakeLen = 1, 1
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

// parallelViews have many tasks, cut between rows, columns or along runs.
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
	views, callers, affine := []View{{301, 131, 1}, {7, 9, 1009}, {3, 5, 4}}, 6, []bool{true, false}
	if raceEnabled || testing.Short() { // most of the time is for drawing inputs
		views, callers, affine = []View{{3, 9, 1301}, {3, 5, 4}}, 2, affine[:1]
	}
	for _, affine := range affine {
		var want []([][]uint64)
		for _, v := range views {
			for _, c := range calls[T](v, affine) {
				c.run()
				want = append(want, c.result())
			}
		}
		faults := make(chan string, callers)
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

// What takes longer is more work: an element of float64, a third array, a loop in Go.
func TestWork(t *testing.T) {
	require.Equal(t, 1000, work[float32](2, 1000))
	require.Equal(t, 3000, work[float64](3, 1000))
	require.Equal(t, 1000, passWork[float32](1000, nil))
	require.Equal(t, 2000, passWork(1000, make([]float32, 1000)))
	if isa != generic {
		require.Greater(t, workInGo(1000), passWork(1000, make([]float64, 1000)))
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
				b := panicArgs{nil, make([]atomic.Int32, 50)} // of the same type: were the job of the panic kept, this would get it
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
		p := Rows{Rows: 300, Cols: 200, Eps: 1e-5}
		c := newLayerNormCase[float64](p, easy)
		for range 20 {
			require.NotNil(t, catch(func() { LayerNormFwd(make([]float64, 100*200), c.x, nil, nil, p) }))
			c.check(t, "after a panic")
		}
	})
}

// There are never more workers than processors but one, since the caller works
// too, and whoever is not needed waits. Each offer asks for all of them.
func TestWorkersAreFew(t *testing.T) {
	c := newCrew()
	onProcs(3, func() {
		// come offers a job and says whether both workers have come.
		come := func(patience time.Duration) (both bool) {
			held := make(chan struct{})
			j := newJob(func(int, int) { <-held })
			j.deal(100, 3)
			j.working.Store(1)
			working := func(n int64) func() bool { return func() bool { return j.working.Load() == n } }
			c.offer(j, 5, true)
			both = comes(patience, working(3))
			for range 9 {
				c.offer(j, 5, true)
			}
			require.EqualValues(t, 2, c.started.Load())
			close(held)
			require.True(t, comes(10*time.Second, working(1)))
			require.True(t, comes(10*time.Second, func() bool { return c.awake.Load() == 0 }))
			return both
		}
		require.True(t, come(10*time.Second), "two are started")
		both := false
		for i := 0; i < 50 && !both; i++ { // one that is about to park may miss an offer
			both = come(20 * time.Millisecond)
		}
		require.True(t, both, "two are woken")
	})
}

// comes waits for ok.
func comes(patience time.Duration, ok func() bool) bool {
	for start := time.Now(); !ok(); time.Sleep(10 * time.Microsecond) {
		if time.Since(start) > patience {
			return false
		}
	}
	return true
}

// Whoever works begins with tasks of their own, which lie side by side, and goes on
// with what is left of others'.
func TestTasksAreDealtInLots(t *testing.T) {
	var ran []int
	j := newJob(func(first, last int) {
		for t := first; t < last; t++ {
			ran = append(ran, t)
		}
	})
	for _, c := range []struct {
		tasks, lots, who int
		want             []int
	}{
		{7, 1, 0, []int{0, 1, 2, 3, 4, 5, 6}},
		{7, 3, 0, []int{0, 1, 2, 3, 4, 5, 6}},
		{7, 3, 1, []int{2, 3, 4, 5, 6, 0, 1}},
		{7, 3, 2, []int{4, 5, 6, 0, 1, 2, 3}},
		{7, 3, 3, []int{2, 3, 4, 5, 6, 0, 1}}, // there is no fourth
		{7, 3, 4, []int{4, 5, 6, 0, 1, 2, 3}},
		{7, 2, 2, []int{3, 4, 5, 6, 0, 1, 2}},
		{7, 1, 3, []int{0, 1, 2, 3, 4, 5, 6}},
		{2, 3, 1, []int{0, 1}},
	} {
		ran = nil
		j.deal(c.tasks, c.lots)
		j.work(c.who)
		require.Equal(t, c.want, ran, "%+v", c)
		j.work(c.who + 1)
		require.Len(t, ran, c.tasks, "a task ran twice: %+v", c)
	}
}

// A caller who has waited too long for a worker parks, and is woken.
func TestCallerParks(t *testing.T) {
	j := newJob(func(int, int) {})
	for range 3 {
		j.working.Store(1) // a worker
		go func() {
			for j.working.Load() == 1 {
				runtime.Gosched()
			}
			j.leave()
		}()
		j.wait()
		require.Zero(t, j.working.Load())
		require.Empty(t, j.done)
		require.False(t, j.join())
	}
	j.working.Store(callerParked + 2)
	j.leave()
	require.Empty(t, j.done, "one is still at work")
	j.leave()
	require.Len(t, j.done, 1)
	require.False(t, j.join(), "all have left")
}

// A worker does not come back to a job that is still on offer, but does to the next
// round of it, and to what was offered when it parked.
func TestWorkersJoinEachRoundOnce(t *testing.T) {
	onProcs(2, func() {
		c, j := newCrew(), newJob(func(int, int) {})
		c.awake.Store(1)
		j.round.Store(7)
		c.offered.Store(j)
		require.Same(t, j, c.await(j, 6))
		require.Same(t, j, c.await(newJob(nil), 7))
		came := make(chan *job)
		go func() { came <- c.await(j, 7) }()
		require.Eventually(t, func() bool { return c.awake.Load() == 0 }, 10*time.Second, time.Millisecond)
		c.parked <- j
		require.Same(t, j, <-came)
		require.EqualValues(t, 1, c.awake.Load())

		j.working.Store(1) // the caller
		go c.serve(1, j)
		require.True(t, comes(10*time.Second, func() bool { return c.awake.Load() == 0 }), "it has the job once and parks")
	})
}

// Workers who are busy for one caller are not there for another.
func TestMissingWorkers(t *testing.T) {
	c := newCrew()
	c.awake.Store(5)
	for _, k := range []struct {
		helpers int
		callers int64
		want    int
	}{{3, 1, -2}, {5, 1, 0}, {7, 1, 2}, {3, 2, 1}, {3, 3, 3}, {3, 9, 3}} {
		require.Equal(t, k.want, c.missing(k.helpers, k.callers), "%+v", k)
	}
}

// A caller withdraws its own job, not that of another, and notes when it lacked workers.
func TestWithdraw(t *testing.T) {
	c, first, second := newCrew(), newJob(nil), newJob(nil)
	c.ended.Store(-int64(time.Hour)) // long ago
	c.offer(first, 1, false)
	require.Same(t, first, c.offered.Load())
	c.offer(second, 1, false)
	c.withdraw(first, 1)
	require.Same(t, second, c.offered.Load())
	c.ended.Store(-int64(time.Hour))
	c.withdraw(second, 1)
	require.Nil(t, c.offered.Load())
	require.Zero(t, c.callers.Load())
	require.GreaterOrEqual(t, c.ended.Load(), int64(0))

	c.awake.Store(1)
	soon := int64(time.Hour)
	c.ended.Store(soon)
	c.offer(first, 1, false)
	c.withdraw(first, 1)
	require.Equal(t, soon, c.ended.Load(), "nobody was missing")
	require.Zero(t, c.row.Load(), "nobody was missing")
}

// A caller does not wait for workers who have not come when the tasks are done,
// and they do not come later.
func TestLateWorkersStayOut(t *testing.T) {
	var ran atomic.Int64 // atomic: a worker that is awake from another test may join
	j := newJob(func(first, last int) { ran.Add(int64(last - first)) })
	j.share(5, 0, false)
	require.EqualValues(t, 5, ran.Load())
	require.NotSame(t, j, workers.offered.Load(), "a job without tasks is on offer")
	require.False(t, j.join())
	require.Len(t, j.lots, 1)
	j.share(5, 2, false)
	require.Len(t, j.lots, 3, "for the caller and each helper")
	require.EqualValues(t, 2, j.round.Load(), "workers know that it is another round")
}

// Waking a worker takes longer than short work, unless there is more to come.
func TestWorkersAreWokenForLongOrManyJobs(t *testing.T) {
	onProcs(2, func() {
		j := newJob(func(int, int) {})
		offer := func(c *crew, sinceLast time.Duration, wake bool) {
			c.ended.Store(clock() - int64(sinceLast))
			c.offer(j, 1, wake)
			c.withdraw(j, 1)
		}
		const soon = -time.Hour // however slow the test
		for _, sinceLast := range []time.Duration{time.Hour, soon} {
			long := newCrew()
			offer(long, sinceLast, true)
			require.EqualValues(t, 1, long.started.Load())
		}
		many, few := newCrew(), newCrew()
		for i := range wakeRow {
			require.Zero(t, many.started.Load(), "after %d jobs", i)
			offer(many, soon, false)
		}
		require.EqualValues(t, 1, many.started.Load())
		for range wakeRow {
			offer(few, soon, false)
			offer(few, time.Hour, false)
		}
		require.Zero(t, few.started.Load())
	})
}

// From parallelLen on work is shared, with as many goroutines as have a task each and a
// processor; only from wakeLen on is one woken for it.
func TestSharingBeginsAtItsLimits(t *testing.T) {
	onProcs(3, func() {
		parallelLen, wakeLen = 10, 20
		for _, c := range []struct{ tasks, work, want int }{{9, 9, 0}, {9, 10, 2}, {2, 10, 1}, {1, 10, 0}} {
			require.Equal(t, c.want, helpersFor(c.tasks, c.work), "%+v", c)
		}
		defer func(c *crew) { workers = c }(workers)
		workers = newCrew()
		workers.ended.Store(-int64(time.Hour))
		split(2, wakeLen-1, countArgs{make([]atomic.Int32, 2)})
		require.Zero(t, workers.started.Load())
		split(2, wakeLen, countArgs{make([]atomic.Int32, 2)})
		require.EqualValues(t, 1, workers.started.Load())
	})
}

type pointerArgs struct{ to *[64]byte }

func (a *pointerArgs) run(int, int) {}

// What a kernel was given is collected though its job is kept for the next one.
func TestSplitKeepsNoArguments(t *testing.T) {
	x := new([64]byte)
	kept := weak.Make(x)
	split(1, 0, pointerArgs{x})
	runtime.GC() // a single one leaves the pool what was in it
	require.Nil(t, kept.Value())
}

// Workers who find no job park, and are woken again.
func TestWorkersPark(t *testing.T) {
	onProcs(2, func() {
		for range 3 {
			split(2, 1, countArgs{make([]atomic.Int32, 2)})
			require.Eventually(t, func() bool { return workers.awake.Load() == 0 }, 10*time.Second, time.Millisecond)
		}
		TestSplitIsParallel(t)
	})
}

type busyArgs struct{ task time.Duration }

func (b *busyArgs) run(first, last int) {
	for range last - first {
		for start := time.Now(); time.Since(start) < b.task; {
		}
	}
}

// BenchmarkSplit hands over 16 µs of work, to a worker who is awake and to one
// who is parked.
func BenchmarkSplit(b *testing.B) {
	work := busyArgs{2 * time.Microsecond}
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			split(8, 0, work)
		}
	})
	b.Run("awake", func(b *testing.B) {
		for b.Loop() {
			split(8, wakeLen, work)
		}
	})
	b.Run("parked", func(b *testing.B) {
		var total time.Duration
		for b.Loop() {
			for start := time.Now(); time.Since(start) < 2*spinTime; {
			}
			start := time.Now()
			split(8, wakeLen, work)
			total += time.Since(start)
		}
		b.ReportMetric(float64(total.Nanoseconds())/float64(b.N), "ns/op")
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
	Borrow[float64](100).Release()
	few := Borrow[float64](7) // of the same memory
	require.Equal(t, 7, cap(few.Data))
	few.Release()
	grown := Borrow[int16](0)
	for i := range 100 {
		grown.append(int16(i))
	}
	require.Len(t, grown.Data, 100)
	require.Len(t, grown.all, cap(grown.Data), "what it has grown to is kept")
	grown.Release()
	s := Borrow[int32](12)
	for i := range s.Data {
		s.Data[i] = int32(i)
	}
	require.Equal(t, []int32{4, 5, 6, 7}, s.part(1, 4))
	require.Equal(t, 4, cap(s.part(1, 4)))
	s.Release()
}
