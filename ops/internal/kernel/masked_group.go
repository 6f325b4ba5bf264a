package kernel

// Group norm of data with padding, sample by sample.

// sample is the shape of one.
func (p GroupShape) sample() GroupShape {
	p.N = 1
	return p
}

// sampleOf returns what is one sample's of data.
func sampleOf[T Float](x []T, p GroupShape, i int) []T {
	n := p.Channels * p.Inner
	return x[i*n:][:n]
}

// sampleMask reads what is one sample's of a mask.
func sampleMask[T Float](mask []T, p GroupShape, i int) valid {
	return validOf(mask[i*p.Inner:][:p.Inner], p.sample().channels())
}

// sampleTasks is into how many tasks the samples are cut.
func (p GroupShape) sampleTasks() int {
	return max(1, min(maxTasks, p.N, p.N*p.Channels*p.Inner/taskLen))
}

// samples returns those of a task.
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

// sample does one, a few groups at a time; sums for dγ and dβ go to grads.
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
