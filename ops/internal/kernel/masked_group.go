package kernel

// Group norm of data with padding, sample by sample.

// sample is the shape of one sample.
func (p GroupShape) sample() GroupShape {
	p.N = 1
	return p
}

// sampleOf returns the elements of sample i.
func sampleOf[T Float](x []T, p GroupShape, i int) []T {
	n := p.Channels * p.Inner
	return x[i*n:][:n]
}

// sampleMask reads the mask of sample i.
func sampleMask[T Float](mask []T, p GroupShape, i int) valid {
	return validOf(mask[i*p.Inner:][:p.Inner], p.sample().channels())
}

// sampleTasks is how many tasks share the samples.
func (p GroupShape) sampleTasks() int {
	return max(1, min(maxTasks, p.N, p.N*p.Channels*p.Inner/taskLen))
}

// samples returns the samples [from, to) of a task.
func (p GroupShape) samples(task int) (from, to int) {
	tasks := p.sampleTasks()
	return p.N * task / tasks, p.N * (task + 1) / tasks
}

// maskedGroups does GroupNormFwd or GroupNormBwd, sample by sample.
type maskedGroups[T Float] struct{ of groupNorm[T] } // all samples

func (t *maskedGroups[T]) run(first, last int) {
	for task := first; task < last; task++ {
		from, to := t.of.p.samples(task)
		for i := from; i < to; i++ {
			t.sample(i, t.of.partOf(task))
		}
	}
}

// sample does sample i, a few groups at a time. Sums for dγ and dβ go to grads.
func (t *maskedGroups[T]) sample(i int, grads []float64) {
	a, p := t.of, t.of.p
	a.valid = sampleMask(a.mask, p, i)
	defer a.valid.release()
	a.p, a.x, a.out = p.sample(), sampleOf(a.x, p, i), sampleOf(a.out, p, i)
	if a.dy != nil {
		a.dy = sampleOf(a.dy, p, i)
	}
	if a.valid.n == 0 {
		clear(a.out)
		return
	}
	whole := a.p.groups().whole()
	w := a.borrow(whole.few(fewLen))
	defer w.release()
	for b := range whole.pieces(fewLen) {
		a.block(&w, b, grads, false)
	}
}
