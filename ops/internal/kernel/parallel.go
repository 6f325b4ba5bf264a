package kernel

import (
	"runtime"
	"sync/atomic"
	"time"
)

// parallelLen is the work from which it pays to share it with a goroutine that is awake,
// and wakeLen that from which it pays to wake one. Work is counted in elements of a
// forward pass over float32; see work and workInGo.
//
// Measured on a virtual machine with two cores of Zen 5, with AVX-512. A goroutine
// that is awake begins 0.6 µs after the caller, which has lost 0.3 µs by then, and
// the caller learns of its end in 0.6 µs. Layer norm of 32k elements in float32 takes
// 4.5 µs instead of 5.7 forward and 7.5 instead of 9.3 backward; of 64k, 7.7 instead
// of 11.5 and 12.6 instead of 19.5. One that is parked costs 8 to 35 µs to wake and
// begins after 100 or more: work of 160 µs takes 190, of 320 µs 280, of 640 µs 440. On
// Zen 3, with AVX2, 160 µs become 170, 310 become 260, and 550 become 390.
var parallelLen, wakeLen = sharing(isa)

func sharing(isa int) (parallelLen, wakeLen int) {
	switch isa {
	case generic:
		return 1 << 14, 1 << 18
	case avx2:
		return 1 << 15, 1 << 20
	default:
		return 1 << 15, 1 << 21
	}
}

// work is the work of a pass over so many arrays of n elements, which takes as long as the
// memory needs to move them.
func work[T Float](arrays, n int) int { return arrays * n * sizeOf[T]() / 8 }

// passWork is the work of a pass over n elements. With a dy it goes backward, which takes
// about twice as long.
func passWork[T Float](n int, dy []T) int {
	if dy == nil {
		return work[T](2, n)
	}
	return work[T](4, n)
}

// workInGo is the work of a loop in Go over n elements, each of which takes some ten times
// as long as in the assembly.
func workInGo(n int) int {
	if isa == generic {
		return n // the limits of sharing are for such loops too
	}
	return 8 * n
}

// sharesMap says whether it pays to share a map, which takes half the time of a whole
// norm.
func sharesMap(work int) bool { return work >= 2*parallelLen }

// tasks are the arguments of a kernel together with what it does: run does the
// tasks [first, last). Arguments travel in a struct and not in a closure, so
// that nothing is allocated.
type tasks[A any] interface {
	*A
	run(first, last int)
}

// split runs the tasks 0 to n−1, which together are so much work: from parallelLen on
// they are spread over GOMAXPROCS goroutines. Tasks must write to memory of their own,
// which makes the result independent of who runs them.
func split[A any, P tasks[A]](n, work int, args A) {
	pool := poolOf[jobOf[A, P]]()
	j := pool.Get().(*jobOf[A, P])
	j.args = args
	if helpers := helpersFor(n, work); helpers < 1 {
		P(&j.args).run(0, n)
	} else {
		if j.job == nil {
			j.job = newJob(P(&j.args).run)
		}
		j.share(n, helpers, work >= wakeLen)
	}
	var none A
	j.args = none
	pool.Put(j)
}

// helpersFor returns how many goroutines can help the caller.
func helpersFor(n, work int) int {
	if work < parallelLen {
		return 0 // without asking for GOMAXPROCS, which takes a lock
	}
	return min(runtime.GOMAXPROCS(0), n) - 1
}

// jobOf is a job with the arguments of its tasks.
type jobOf[A any, P tasks[A]] struct {
	args A
	*job // nil until it is needed
}

// job is a set of tasks that several goroutines take one by one.
type job struct {
	run   func(first, last int)
	lots  []lot        // one for the caller and one for each helper that was asked for
	round atomic.Int64 // counts the calls of share

	// working is the number of goroutines at work, the caller included. When it is 0
	// nobody may join. While the caller is parked, waiting for done, callerParked is added.
	working atomic.Int64
	done    chan struct{}
	fault   atomic.Pointer[any]
}

// callerParked is more than there are goroutines.
const callerParked = 1 << 32

// lot is a stretch of tasks that follow each other. If there are enough, each goroutine
// has a lot of its own, the same from call to call, since its processor may have the
// memory of the tasks in its cache. When it has finished it goes on with another's.
type lot struct {
	next atomic.Int64 // task
	end  int64
	_    [112]byte // no two lots share a cache line, nor a pair of lines
}

func newJob(run func(first, last int)) *job { return &job{run: run, done: make(chan struct{}, 1)} }

// share works on n tasks together with helpers, if they come in time.
func (j *job) share(n, helpers int, wake bool) {
	j.deal(n, helpers+1)
	j.round.Add(1)
	j.working.Store(1)
	workers.offer(j, helpers, wake)
	j.work(0)
	workers.withdraw(j, helpers)
	if j.working.Add(-1) > 0 {
		j.wait()
	}
	if fault := j.fault.Load(); fault != nil {
		panic(*fault) // so split does not return the job to the pool
	}
}

// wait waits for the workers that have joined. The caller has left the job by then.
func (j *job) wait() {
	if spin(func() bool { return j.working.Load() == 0 }) {
		return
	}
	if j.working.Add(callerParked) > callerParked {
		<-j.done
	}
	j.working.Store(0)
}

// deal cuts the tasks into lots.
func (j *job) deal(n, lots int) {
	if cap(j.lots) < lots {
		j.lots = make([]lot, lots)
	}
	j.lots = j.lots[:lots]
	for i := range j.lots {
		j.lots[i].next.Store(int64(n) * int64(i) / int64(lots))
		j.lots[i].end = int64(n) * int64(i+1) / int64(lots)
	}
}

// work does tasks until none is left. It begins with the lot of goroutine who: 0 is the
// caller, 1 and up are workers.
func (j *job) work(who int) {
	// A panic in a worker would end the process. It is handed to the caller of split
	// instead, which has a chance to recover.
	defer func() {
		if r := recover(); r != nil {
			fault := r // allocated here and not on every way out
			j.fault.CompareAndSwap(nil, &fault)
		}
	}()
	if who > 0 { // a worker does not begin with the caller's
		who = 1 + (who-1)%max(1, len(j.lots)-1)
	}
	for i := range j.lots {
		l := &j.lots[(who+i)%len(j.lots)]
		if i > 0 && l.next.Load() >= l.end { // a Load takes less than an Add
			continue
		}
		for t := l.next.Add(1) - 1; t < l.end; t = l.next.Add(1) - 1 {
			j.run(int(t), int(t)+1)
		}
	}
}

// join lets a worker join in the job, and returns false if all have left it: its memory
// may then be in use for something else.
func (j *job) join() bool {
	for {
		n := j.working.Load()
		if n%callerParked == 0 {
			return false
		}
		if j.working.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// leave is for workers that have joined. The last one wakes the caller, if it is parked.
func (j *job) leave() {
	if j.working.Add(-1) == callerParked {
		j.done <- struct{}{}
	}
}

// spinTime is how long a goroutine stays awake for the next job, or for the end
// of one, before it parks. Others get a turn in between.
const spinTime = 100 * time.Microsecond

// spin waits for ok, and returns false if that takes too long.
func spin(ok func() bool) bool {
	var start int64
	for i := 1; !ok(); i++ {
		if i%(1<<13) != 0 { // some 10 µs
			continue
		}
		now := clock()
		if start == 0 {
			start = now
		}
		if now-start > int64(spinTime) {
			return false
		}
		runtime.Gosched()
	}
	return true
}

// workers are goroutines that wait for jobs. They are started when first
// needed and stay.
var workers = newCrew()

// crew keeps apart in memory what workers read all the time, what changes when one
// of them parks, and what is for callers.
type crew struct {
	offered atomic.Pointer[job] // seen by workers that are awake
	_       [120]byte
	parked  chan *job    // wakes a parked worker
	started atomic.Int64 // workers
	awake   atomic.Int64 // workers, those at work included
	_       [104]byte
	callers atomic.Int64
	ended   atomic.Int64 // when the last job that lacked workers ran out of tasks, by clock
	row     atomic.Int64 // jobs that lacked workers, each offered soon after another ended
}

func newCrew() *crew { return &crew{parked: make(chan *job)} }

// wakeRow is how many jobs in a row, each within spinTime of the one before, make it
// likely that more will come, for which it pays to have a worker awake.
const wakeRow = 8

// offer asks for helpers: workers that are awake and, if wake is set or the job is one of
// many in a row, others too. It does not wait for them.
func (c *crew) offer(j *job, helpers int, wake bool) {
	c.offered.Store(j)
	asleep := c.missing(helpers, c.callers.Add(1))
	if asleep <= 0 {
		return
	}
	if clock()-c.ended.Load() < int64(spinTime) {
		wake = c.row.Add(1) >= wakeRow || wake
	} else {
		c.row.Store(0)
	}
	if !wake {
		return
	}
	for range asleep {
		select {
		case c.parked <- j:
		default:
			if !c.start(j) {
				return
			}
		}
	}
}

// missing returns how many of the helpers that a caller asks for are not there: not awake,
// or at work for the other callers, each of which is taken to want as many.
func (c *crew) missing(helpers int, callers int64) int {
	free := int(c.awake.Load()) - helpers*int(callers-1)
	return helpers - max(0, free)
}

// withdraw ends the offer of a job when the caller has done its part.
func (c *crew) withdraw(j *job, helpers int) {
	c.offered.CompareAndSwap(j, nil)
	if c.missing(helpers, c.callers.Add(-1)+1) > 0 {
		c.ended.Store(clock())
	}
}

// start starts a worker, unless there is one for every processor but the caller's.
func (c *crew) start(j *job) bool {
	n := c.started.Add(1)
	if n >= int64(runtime.GOMAXPROCS(0)) {
		c.started.Add(-1)
		return false
	}
	c.awake.Add(1)
	go c.serve(int(n), j)
	return true
}

// serve is the life of a worker.
func (c *crew) serve(who int, j *job) {
	for {
		var round int64 // done here, if any
		if j.join() {
			j.work(who)
			round = j.round.Load()
			j.leave()
		}
		j = c.await(j, round)
	}
}

// await returns the next job. That is the one on offer, unless the worker has already done
// this round of it: the caller may still be at work on it.
func (c *crew) await(last *job, round int64) (next *job) {
	offered := func() bool {
		next = c.offered.Load()
		return next != nil && (next != last || next.round.Load() != round)
	}
	if spin(offered) {
		return next
	}
	c.awake.Add(-1)
	if !offered() { // a caller may have offered one to this worker while it counted as awake
		next = <-c.parked
	}
	c.awake.Add(1)
	return next
}

var epoch = time.Now()

// clock returns nanoseconds since some time.
func clock() int64 { return int64(time.Since(epoch)) }
