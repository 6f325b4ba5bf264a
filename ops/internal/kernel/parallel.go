package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// parallelLen is the number of elements from which a second goroutine pays for
// being woken, some tens of microseconds. Measured on two cores of Zen 5 with
// AVX-512: batch norm of 128k elements is slower with two (67 to 82 µs), of 512k
// level (261 to 268 µs), of 1M faster (558 to 459 µs). The Go loops take ten times
// as long for an element.
var parallelLen = map[bool]int{true: 1 << 15, false: 1 << 18}[isa == generic]

// tasks are the arguments of a kernel together with what it does: run does the
// tasks [first, last). Arguments travel in a struct and not in a closure, so
// that nothing is allocated.
type tasks[A any] interface {
	*A
	run(first, last int)
}

// split runs the tasks 0 to n−1. elems says how many elements they touch
// together: above parallelLen they are spread over GOMAXPROCS goroutines. Tasks
// must write to memory of their own, which makes the result independent of who
// runs them.
func split[A any, P tasks[A]](n, elems int, args A) {
	pool := poolOf[job[A, P]]()
	j := pool.Get().(*job[A, P])
	j.args, j.tasks = args, int64(n)
	if helpers := min(runtime.GOMAXPROCS(0), n) - 1; helpers < 1 || elems < parallelLen {
		P(&j.args).run(0, n)
	} else {
		j.share(helpers)
	}
	var none A
	j.args = none
	pool.Put(j)
}

// job is a set of tasks that several goroutines take one by one.
type job[A any, P tasks[A]] struct {
	args    A
	tasks   int64
	next    atomic.Int64
	helpers sync.WaitGroup
	fault   atomic.Pointer[any]
}

// share works on the tasks together with helpers.
func (j *job[A, P]) share(helpers int) {
	j.next.Store(0)
	for range helpers {
		j.helpers.Add(1)
		if !workers.offer(j) {
			j.helpers.Done()
			break
		}
	}
	j.work()
	j.helpers.Wait()
	if fault := j.fault.Swap(nil); fault != nil {
		panic(*fault)
	}
}

func (j *job[A, P]) work() {
	// A panic in a goroutine of ours would end the process; it is handed to
	// the caller of split instead, which has a chance to recover.
	defer func() {
		if r := recover(); r != nil {
			fault := r // allocated here and not on every way out
			j.fault.CompareAndSwap(nil, &fault)
		}
	}()
	for {
		t := j.next.Add(1) - 1
		if t >= j.tasks {
			return
		}
		P(&j.args).run(int(t), int(t)+1)
	}
}

func (j *job[A, P]) help() {
	j.work()
	j.helpers.Done()
}

// workers are goroutines that wait for jobs. They are started when first
// needed and stay.
var workers = crew{jobs: make(chan interface{ help() })}

type crew struct {
	jobs    chan interface{ help() }
	started atomic.Int64
}

// offer hands the job to a waiting worker, or to a new one as long as there
// are fewer than processors. It does not wait.
func (c *crew) offer(j interface{ help() }) bool {
	select {
	case c.jobs <- j:
		return true
	default:
	}
	if n := c.started.Add(1); n >= int64(runtime.GOMAXPROCS(0)) {
		c.started.Add(-1)
		return false
	}
	go c.serve(j)
	return true
}

func (c *crew) serve(j interface{ help() }) {
	for {
		j.help()
		j = <-c.jobs
	}
}
