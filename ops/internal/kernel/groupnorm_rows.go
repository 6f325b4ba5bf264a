package kernel

// groupRows is group norm by the kernels over rows. A group of one sample is a row, and
// the same group of the other samples gives more rows, a sample apart. These share a gamma
// and a beta for each element. (Without gamma and beta all groups are rows of one layer
// norm.)
type groupRows[T Float] struct {
	of    groupNorm[T]
	rows  Rows // of a group
	cuts  int  // tasks that share the samples of a group
	grads rowGrads
}

// Going by rows is faster than going from channel to channel if groups have up to
// groupBytes: longer rows leave L1 and L2 too little room for what all of them share. With
// gamma and beta, which each element of a row then has, at least fewSamples must share
// them. With sums for dγ and dβ, which each element has too, channels must be shorter than
// runBytes, and shorter than sumsBytes where fewer than manySamples share the sums.
const (
	groupBytes  = 1 << 14
	runBytes    = 1 << 12
	sumsBytes   = 1 << 10
	fewSamples  = 8
	manySamples = 16
)

// shortGroups says whether groups are short enough to be done by rows.
func shortGroups[T Float](p GroupShape) bool {
	return !byDefinition[T](p.rows()) && p.per()*p.Inner*sizeOf[T]() <= groupBytes
}

// longRuns says whether channels are too long for sums for dγ and dβ by rows.
func longRuns[T Float](p GroupShape) bool {
	n := p.Inner * sizeOf[T]()
	return n >= runBytes || n >= sumsBytes && p.N < manySamples
}

// byRows returns group norm by rows.
func (a groupNorm[T]) byRows() groupRows[T] {
	p := a.p
	r := groupRows[T]{of: a, rows: p.rows()}
	r.rows.Rows, r.rows.pitch = p.N, p.Channels*p.Inner
	tasks := min(maxTasks, len(a.x)/taskLen)
	r.cuts = max(1, min(ceilDiv(tasks, p.Groups), p.N/fewSamples))
	return r
}

// do does the pass. The backward pass leaves the sums for dγ and dβ in grads, if they are
// wanted.
func (r groupRows[T]) do() {
	split(r.of.p.Groups*r.cuts, passWork(len(r.of.x), r.of.dy), r)
}

// run does tasks, each of which is one group of some of the samples.
func (r *groupRows[T]) run(first, last int) {
	a, n, per := &r.of, r.rows.Cols, r.of.p.per()
	each := Borrow[T](2 * n) // gamma and beta for each element of a row
	defer each.Release()
	gamma, beta := each.part(0, n), each.part(1, n)
	for task := first; task < last; task++ {
		group, cut := task/r.cuts, task%r.cuts
		if task == first || cut == 0 {
			repeatEach(gamma, a.gamma[group*per:][:per], a.p.Inner)
			if a.dy == nil {
				repeatEach(beta, a.beta[group*per:][:per], a.p.Inner)
			}
		}
		from, _ := r.rows.row(a.p.N * cut / r.cuts)
		_, to := r.rows.row(a.p.N*(cut+1)/r.cuts - 1)
		from, to = from+group*n, to+group*n
		if a.dy == nil {
			layerNormRows(a.out[from:to], a.x[from:to], gamma, beta, r.rows, len(a.x))
			continue
		}
		layerNormGradRows(a.out[from:to], r.grads.of(task), a.x[from:to], gamma, a.dy[from:to], r.rows, len(a.x))
	}
}

// backward sets dx, and dγ and dβ, which may be nil.
func (r groupRows[T]) backward(dgamma, dbeta []T) {
	if dgamma == nil && dbeta == nil {
		r.do()
		return
	}
	p := r.of.p
	r.grads = borrowRowGrads(p.Groups*r.cuts, r.rows.Cols)
	defer r.grads.release()
	r.do()
	for i, grads := range [][]T{dgamma, dbeta} {
		for c := range grads {
			group, at := c/p.per(), c%p.per()*p.Inner
			var s float64
			for cut := range r.cuts {
				s += sumGo(r.grads.part(group*r.cuts+cut, i)[at:][:p.Inner])
			}
			grads[c] = T(s)
		}
	}
	mendOverflown(dgamma, dbeta, r.of.out, func(dgamma, dbeta, dx []T) {
		r.of.out = dx
		r.of.backward(dgamma, dbeta)
	})
}
