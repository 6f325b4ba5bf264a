package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/gorgonorm/norm/examples/internal/nn"
	"github.com/gorgonorm/norm/examples/internal/progress"
)

// outcome is what a job came to: a run, or nothing if the training diverged.
type outcome struct {
	job job
	run *Run
}

// runAll does the jobs, one on each processor at a time, and returns what they came
// to in the order of the jobs. The numbers do not depend on how many processors there
// are. The first error ends all jobs.
func runAll(ctx context.Context, jobs []job, d data, stdout, stderr io.Writer) ([]outcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	total := 0
	for _, j := range jobs {
		total += j.steps
	}
	bar := progress.New(stderr, total, "training steps")
	defer bar.Clear()

	outcomes := make([]outcome, len(jobs))
	queue := make(chan int)
	var workers sync.WaitGroup
	var printing sync.Mutex
	for range runtime.GOMAXPROCS(0) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := range queue {
				j, start := jobs[i], time.Now()
				r, err := j.run(ctx, d, bar.Add)
				what := fmt.Sprintf("%-9s norm %-7s seed %-3d rate %-7g", j.name, j.kind, j.seed, j.rate)
				if err != nil && !errors.Is(err, nn.ErrDiverged) {
					cancel(fmt.Errorf("%s: %w", what, err))
					continue
				}
				outcomes[i] = outcome{j, r}
				printing.Lock()
				bar.Clear()
				fmt.Fprintf(stdout, "%s %s  %.1f s\n", what, outcomes[i].summary(), time.Since(start).Seconds())
				printing.Unlock()
			}
		}()
	}
	for _, i := range longestFirst(jobs) {
		queue <- i
	}
	close(queue)
	workers.Wait()
	return outcomes, context.Cause(ctx)
}

// longestFirst returns the indices of the jobs so that no long one is left to the end.
func longestFirst(jobs []job) []int {
	order := make([]int, len(jobs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(jobs[b].cost(), jobs[a].cost())
	})
	return order
}

// cost is about how long a job takes. In each step the solver and the machine take as
// long as some forty images.
func (j *job) cost() int { return j.steps * (j.batch + 40) }

func (o outcome) summary() string {
	if o.run == nil {
		return "diverges"
	}
	p := o.run.last()
	return fmt.Sprintf("train loss %.4f  test loss %.4f  test accuracy %.2f %%", p.TrainLoss, p.TestLoss, 100*p.TestAccuracy)
}
