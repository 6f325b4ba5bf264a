package kernel

// GroupShape is how group norm sees a tensor: N samples of Channels channels of Inner
// elements, the channels in Groups groups of equal size. With as many groups as channels
// it is instance norm.
type GroupShape struct {
	N, Channels, Groups, Inner int
	Eps                        float64
}

// groups is a view whose channels are the groups of all samples, each of which lies in
// one run, and channels one whose channels are those of all samples.
func (p GroupShape) groups() View   { return View{1, p.N * p.Groups, p.per() * p.Inner} }
func (p GroupShape) channels() View { return View{1, p.N * p.Channels, p.Inner} }

// rows sees the groups as rows of a layer norm.
func (p GroupShape) rows() Rows {
	return Rows{Rows: p.N * p.Groups, Cols: p.per() * p.Inner, Eps: p.Eps}
}

// per is the number of channels of a group.
func (p GroupShape) per() int { return p.Channels / p.Groups }

// GroupNormFwd sets y = (x − mean)/√(variance + eps)·gamma + beta with the mean
// and the biased variance of each group of each sample, and a gamma and a beta
// for each channel. The mask, which may be nil, has N·Inner entries, which say what
// counts in each sample. A sample in which nothing counts gives zeros.
func GroupNormFwd[T Float](y, x, mask, gamma, beta []T, p GroupShape) {
	short := mask == nil && shortGroups[T](p)
	if short && gamma == nil && beta == nil {
		LayerNormFwd(y, x, nil, nil, p.rows())
		return
	}
	a := groupNorm[T]{out: y, x: x, mask: mask, gamma: ones(gamma, p.Channels), beta: zeros(beta, p.Channels), p: p}
	if short && p.N >= fewSamples {
		a.byRows().do()
		return
	}
	a.do()
}

// GroupNormBwd gives the gradients of GroupNormFwd from dy, the gradient of its output:
//
//	dx = rstd·(u − mean(u) − x̂·mean(u·x̂)),  u = γ·dy,  dγ = Σ dy·x̂,  dβ = Σ dy
//
// with the means over each group, and the sums over all samples for each
// channel. dgamma, dbeta and the mask may be nil.
func GroupNormBwd[T Float](dx, dgamma, dbeta, x, mask, gamma, dy []T, p GroupShape) {
	short, sums := mask == nil && shortGroups[T](p), dgamma != nil || dbeta != nil
	if short && gamma == nil && !sums {
		LayerNormBwd(dx, nil, nil, x, nil, dy, p.rows())
		return
	}
	a := groupNorm[T]{out: dx, x: x, mask: mask, gamma: ones(gamma, p.Channels), dy: dy, p: p}
	if short && p.N >= fewSamples && !(sums && longRuns[T](p)) {
		a.byRows().backward(dgamma, dbeta)
		return
	}
	a.backward(dgamma, dbeta)
}

// backward sets dx, and dγ and dβ, which may be nil.
func (a groupNorm[T]) backward(dgamma, dbeta []T) {
	if dgamma == nil && dbeta == nil {
		a.do()
		return
	}
	n := padded(a.p.Channels)
	a.grads = Borrow[float64](a.tasks() * 2 * n)
	defer a.grads.Release()
	clear(a.grads.Data)
	a.do()
	sumGrads(dgamma, dbeta, a.grads.Data, n, 2*n)
}

// groupNorm is GroupNormFwd, or with dy GroupNormBwd: moments of each group, for the
// gradient also sums for each channel, constants made of them, and a map.
type groupNorm[T Float] struct {
	out, x, gamma, beta, dy []T // dy is nil in the forward pass
	mask                    []T // nil: all counts
	p                       GroupShape
	grads                   *Scratch[float64] // of [tasks, 2, padded Channels]: the sums for dγ and dβ, if wanted
	valid                   valid             // of the sample, where there is a mask
}

func (a *groupNorm[T]) tasks() int {
	if a.mask != nil {
		return a.p.sampleTasks()
	}
	if g, ok := a.p.groups().wholeGrid(); ok {
		return g.tasks()
	}
	return 1
}

func (a groupNorm[T]) do() {
	if a.mask != nil {
		split(a.tasks(), passWork(len(a.x), a.dy), maskedGroups[T]{a})
		return
	}
	groups, channels := a.p.groups(), a.p.channels()
	if g, ok := groups.wholeGrid(); ok {
		if a.grads == nil {
			g = g.finer()
		}
		stream := streams(a.mapped(), a.out, groups) && streams(a.mapped(), a.out, channels)
		split(g.tasks(), passWork(len(a.x), a.dy), groupNormTasks[T]{a, g, stream})
		return
	}
	// A few large groups, each of which several tasks share.
	w := a.borrow(groups.Channels)
	defer w.release()
	Moments(a.x, nil, groups, a.p.Eps, w.stats.of(0), w.stats.of(1), w.stats.of(2))
	if a.dy != nil {
		a.centres(&w, groups.Channels)
		w.sums.release()
		w.sums = a.sums(&w).over(channels)
	}
	a.constants(&w, groups.whole(), a.partOf(0))
	mapPass[T]{loop: a.mapped(), out: a.out, x: a.x, dy: a.dy, k: w.k}.over(channels)
	a.mend(&w, channels.whole())
}

func (a *groupNorm[T]) mapped() mapLoop {
	if a.dy == nil {
		return normalizePass
	}
	return normGradPass
}

// partOf returns where a task adds to dγ and dβ, or nil.
func (a *groupNorm[T]) partOf(task int) []float64 {
	if a.grads == nil {
		return nil
	}
	return a.grads.part(task, 2*padded(a.p.Channels))
}

// groupNormTasks does a few groups at a time, so that the cache keeps them from the
// moments to the map.
type groupNormTasks[T Float] struct {
	a      groupNorm[T]
	g      grid
	stream bool
}

func (t *groupNormTasks[T]) run(first, last int) {
	n := pieceLen(t.stream)
	w := t.a.borrow(t.g.block(first).few(n))
	defer w.release()
	for task := first; task < last; task++ {
		for b := range t.g.block(task).pieces(n) {
			t.a.block(&w, b, t.a.partOf(task), t.stream)
		}
	}
}

// block does the groups of a block.
func (a *groupNorm[T]) block(w *groupWork[T], b block, grads []float64, stream bool) {
	here := b
	here.channel = 0 // in the arrays of w
	channels := here.split(a.p.per())
	if a.valid.spans != nil { // a run for each channel
		here.rows, here.stride, here.inner = a.p.per(), channels.pitch, channels.inner
	}
	moments := w.moments(a.x, a.p.Eps)
	moments.valid = a.valid
	moments.block(w.sums.of(0), w.sums.of(1), here)
	if a.dy != nil {
		a.centres(w, b.channels)
		clear(w.sums.scratch.Data)
		pass := a.sums(w)
		for part := range (parts{a.valid, channels}).each {
			pass.add([3][]float64{w.sums.of(0), w.sums.of(1), w.sums.of(2)}, part)
		}
	}
	counted := a.valid.counted(here)
	counted.channel = b.channel
	a.constants(w, counted, grads)
	pass := mapPass[T]{loop: a.mapped(), out: a.out, x: a.x, dy: a.dy, k: w.k, stream: stream}
	for part := range (parts{a.valid, channels}).each {
		pass.block(part)
	}
	a.mend(w, channels)
	clearRest(a.out, a.valid, channels)
}

// groupWork holds what is known of some groups while they are worked on.
type groupWork[T Float] struct {
	guess *Scratch[T] // of the means of the groups
	stats totals      // of the groups: mean, residual, and m2 or, in the end, energy
	sums  totals      // of the channels: Σdy, Σdy·(x−m), Σdy²
	k     constants[T]
}

func (a *groupNorm[T]) borrow(groups int) groupWork[T] {
	channels, n := groups*a.p.per(), padded(groups)
	count := 3
	if a.dy != nil {
		count = 5
	}
	return groupWork[T]{
		guess: Borrow[T](n),
		stats: totals{Borrow[float64](3 * n), n},
		sums:  totals{Borrow[float64](3 * padded(channels)), padded(channels)},
		k:     borrowConstants[T](count, channels),
	}
}

func (w *groupWork[T]) release() {
	w.guess.Release()
	w.stats.release()
	w.sums.release()
	w.k.release()
}

func (w *groupWork[T]) moments(x []T, eps float64) momentsPass[T] {
	return momentsPass[T]{x: x, eps: eps, m: w.guess.Data, mean: w.stats.of(0), residual: w.stats.of(1), m2: w.stats.of(2)}
}

// sums is the pass that takes the sums for the gradient.
func (a *groupNorm[T]) sums(w *groupWork[T]) sumPass[T] {
	return sumPass[T]{loop: gradPass, x: a.x, dy: a.dy, m: w.k.data(0)}
}

// centres sets the m of each channel to the mean of its group.
func (a *groupNorm[T]) centres(w *groupWork[T], groups int) {
	per, m := a.p.per(), w.k.data(0)
	for i, mean := range w.stats.of(0)[:groups] {
		for k := i * per; k < (i+1)*per; k++ {
			m[k] = T(mean)
		}
	}
}

// constants sets the constants of the channels of a block of groups, and adds to the sums
// for dγ and dβ.
func (a *groupNorm[T]) constants(w *groupWork[T], b block, grads []float64) {
	per, n := a.p.per(), float64(b.count())
	mean, residual, m2 := w.stats.of(0), w.stats.of(1), w.stats.of(2)
	for i := range b.channels {
		from := (b.channel + i) % a.p.Groups * per // channel of the sample
		hi, lo := centre[T](mean[i], residual[i])
		r := moments{n: n, m2: m2[i]}.rstd(a.p.Eps)
		gamma := a.gamma[from:][:per]
		m, scale := w.k.of(0)[i*per:][:per], w.k.of(1)[i*per:][:per]
		if a.dy == nil {
			beta, shift := a.beta[from:][:per], w.k.of(2)[i*per:][:per]
			for j := range m {
				m[j] = hi
				scale[j], shift[j] = normalizeConstants(lo, r, float64(gamma[j]), float64(beta[j]))
			}
			continue
		}
		u, ux, energy := a.gradSums(w, i*per, from, lo, r, grads)
		ka, kb := normGradConstants(lo, r, u/n, ux/n)
		factor, as, bs := w.k.of(2)[i*per:][:per], w.k.of(3)[i*per:][:per], w.k.of(4)[i*per:][:per]
		for j := range m {
			m[j], scale[j], factor[j], as[j], bs[j] = hi, r, float64(gamma[j]), ka, kb
		}
		m2[i] = energy
		if cancels[T](n, energy, u, ux) {
			m2[i] = cancelled
		}
	}
	w.k.round()
}

// gradSums returns Σu, Σu·x̂ and Σu² of a group, and adds to the sums for dγ and dβ. The
// first channel of the group has the index at in w, and from in the sample.
func (a *groupNorm[T]) gradSums(w *groupWork[T], at, from int, lo, r float64, grads []float64) (u, ux, energy float64) {
	s, p, e := w.sums.of(0), w.sums.of(1), w.sums.of(2)
	for j := range a.p.per() {
		k, c := at+j, from+j
		along := (p[k] - lo*s[k]) * r
		if grads != nil {
			grads[c] += along
			grads[padded(a.p.Channels)+c] += s[k]
		}
		gamma := float64(a.gamma[c])
		u += gamma * s[k]
		ux += gamma * along
		energy += gamma * gamma * e[k]
	}
	return u, ux, energy
}

// mend computes dx again, in float64, for the channels of a block in whose groups it
// mostly cancels.
func (a *groupNorm[T]) mend(w *groupWork[T], b block) {
	if a.dy == nil || !is32[T]() {
		return
	}
	for c := range b.channels {
		if w.stats.of(2)[c/a.p.per()] != cancelled {
			continue
		}
		for part := range (parts{a.valid, b.one(c)}).each {
			normGradGo(a.out, a.x, a.dy, w.k, part)
		}
	}
}
