package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// parallelLen is the number of elements from which a second goroutine pays for
// its start.
const parallelLen = 1 << 15

// split calls body for the tasks 0 to tasks−1, in ranges [first, last). elems
// says how many elements they touch together: above parallelLen they are
// spread over GOMAXPROCS goroutines. Tasks must write to memory of their own,
// which makes the result independent of who runs them.
//
// The arguments of body travel in args and not in a closure, so that nothing
// is allocated.
func split[A any](tasks, elems int, args A, body func(args A, first, last int)) {
	helpers := min(runtime.GOMAXPROCS(0), tasks) - 1
	if helpers < 1 || elems < parallelLen {
		body(args, 0, tasks)
		return
	}
	pool := poolOf[job[A]]()
	j := pool.Get().(*job[A])
	j.args, j.body, j.tasks = args, body, int64(tasks)
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
	fault := j.fault.Swap(nil)
	var none A
	j.args, j.body = none, nil
	pool.Put(j)
	if fault != nil {
		panic(*fault)
	}
}

// job is a set of tasks that several goroutines take one by one.
type job[A any] struct {
	args    A
	body    func(args A, first, last int)
	tasks   int64
	next    atomic.Int64
	helpers sync.WaitGroup
	fault   atomic.Pointer[any]
}

func (j *job[A]) work() {
	// A panic in a goroutine of ours would end the process; it is handed to
	// the caller of split instead, which has a chance to recover.
	defer func() {
		if r := recover(); r != nil {
			j.fault.CompareAndSwap(nil, &r)
		}
	}()
	for {
		t := j.next.Add(1) - 1
		if t >= j.tasks {
			return
		}
		j.body(j.args, int(t), int(t)+1)
	}
}

func (j *job[A]) help() {
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
	go func() {
		for {
			j.help()
			j = <-c.jobs
		}
	}()
	return true
}
