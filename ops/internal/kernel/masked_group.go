package kernel

// Group norm of data with padding: a few groups of a sample at a time.

// MaskedGroupNormFwd is GroupNormFwd of what a mask says counts of each sample:
// it has N·Inner entries. A sample of which nothing counts gives zeros.
func MaskedGroupNormFwd[T Float](y, x, mask, gamma, beta []T, p GroupShape) {
	if mask == nil {
		GroupNormFwd(y, x, gamma, beta, p)
		return
	}
	a := maskedGroupNorm[T]{mask: mask, out: y, x: x, of: groupNorm[T]{
		mapped: normalizePass, gamma: ones(gamma, p.Channels), beta: zeros(beta, p.Channels), p: p,
	}}
	split(p.maskedTasks(), len(x), a)
}

// MaskedGroupNormBwd is GroupNormBwd of what a mask says counts.
func MaskedGroupNormBwd[T Float](dx, dgamma, dbeta, x, mask, gamma, dy []T, p GroupShape) {
	if mask == nil {
		GroupNormBwd(dx, dgamma, dbeta, x, gamma, dy, p)
		return
	}
	a := maskedGroupNorm[T]{mask: mask, out: dx, x: x, dy: dy, of: groupNorm[T]{
		mapped: normGradPass, gamma: ones(gamma, p.Channels), p: p,
	}}
	n, tasks := padded(p.Channels), p.maskedTasks()
	a.of.grads = Borrow[float64](tasks * 2 * n)
	defer a.of.grads.Release()
	clear(a.of.grads.Data)
	split(tasks, len(x), a)
	if dgamma != nil {
		sumParts(dgamma, a.of.grads.Data, 2*n)
	}
	if dbeta != nil {
		sumParts(dbeta, a.of.grads.Data[n:], 2*n)
	}
}

// MaskedGroupNormSecond is NormSecond of group norm of what a mask says counts.
func MaskedGroupNormSecond[T Float](out SecondGrads[T], in SecondArgs[T], mask []T, p GroupShape) {
	if mask == nil {
		NormSecond(out, in, Groups{Batches: 1, View: p.groups(), Params: p.Channels, ParamInner: p.Inner}, Rows{Eps: p.Eps}, nil, false)
		return
	}
	in.Gamma, in.UGamma, in.UBeta = ones(in.Gamma, p.Channels), zeros(in.UGamma, p.Channels), zeros(in.UBeta, p.Channels)
	n, tasks := padded(p.Channels), p.maskedTasks()
	a := maskedGroupSecond[T]{mask, out, in, p, Borrow[float64](tasks * n)}
	defer a.gamma.Release()
	clear(a.gamma.Data)
	split(tasks, len(in.X), a)
	if out.Gamma != nil {
		sumParts(out.Gamma, a.gamma.Data, n)
	}
}

// maskedTasks is into how many tasks the groups of all samples are cut.
func (p GroupShape) maskedTasks() int {
	return max(1, min(maxTasks, p.N*p.Groups, p.N*p.Channels*p.Inner/taskLen))
}

// A slab is a few groups of a sample.
type slab struct {
	band
	sample, group, groups int
}

// ofSample returns what is the slab's sample's of data.
func ofSample[T Float](s slab, data []T) []T {
	n := s.Channels * s.Inner
	return data[s.sample*n:][:n]
}

// A slabTask gives the slabs of a task.
type slabTask[T Float] struct {
	mask []T
	p    GroupShape
	task int
}

func (t slabTask[T]) slabs(yield func(slab) bool) {
	p := t.p
	all, per, tasks := p.N*p.Groups, p.per(), p.maskedTasks()
	for at, end := all*t.task/tasks, all*(t.task+1)/tasks; at < end; {
		sample, group := at/p.Groups, at%p.Groups
		last := min(p.Groups, group+end-at)
		v := validOf(t.mask[sample*p.Inner:][:p.Inner], View{1, p.Channels, p.Inner})
		few := max(1, fewLen/(per*max(1, v.n)))
		for g := group; g < last; g += few {
			n := min(few, last-g)
			if !yield(slab{band{v, g * per, n * per}, sample, g, n}) {
				v.release()
				return
			}
		}
		v.release()
		at += last - group
	}
}

// maskedGroupNorm is one of the two.
type maskedGroupNorm[T Float] struct {
	mask, out, x, dy []T          // dy is nil in the forward pass
	of               groupNorm[T] // but for its data and the size of its groups
}

func (a *maskedGroupNorm[T]) run(first, last int) {
	for task := first; task < last; task++ {
		for s := range (slabTask[T]{a.mask, a.of.p, task}).slabs {
			a.slab(s, a.of.partOf(task))
		}
	}
}

// slab does one; sums for dγ and dβ go to grads.
func (a *maskedGroupNorm[T]) slab(s slab, grads []float64) {
	out := borrowBand[T](s.band)
	if s.n > 0 {
		g := a.of
		g.p.N, g.p.Inner = 1, s.n
		x := pack(s.band, ofSample(s, a.x))
		defer x.Release()
		g.x, g.out = x.Data, out.Data
		if a.dy != nil {
			dy := pack(s.band, ofSample(s, a.dy))
			defer dy.Release()
			g.dy = dy.Data
		}
		w := g.borrow(s.groups)
		defer w.release()
		size := g.p.per() * s.n
		g.block(&w, block{channel: s.group, channels: s.groups, rows: 1, inner: size, pitch: size}, grads, false)
	}
	unpack(s.band, ofSample(s, a.out), out)
}

type maskedGroupSecond[T Float] struct {
	mask  []T
	out   SecondGrads[T]
	in    SecondArgs[T]
	p     GroupShape
	gamma *Scratch[float64] // of [tasks, padded Channels]
}

func (a *maskedGroupSecond[T]) run(first, last int) {
	n := padded(a.p.Channels)
	for task := first; task < last; task++ {
		for s := range (slabTask[T]{a.mask, a.p, task}).slabs {
			a.slab(s, a.gamma.part(task, n)[s.channel:])
		}
	}
}

func (a *maskedGroupSecond[T]) slab(s slab, dgamma []float64) {
	sx, sdy := borrowBand[T](s.band), borrowBand[T](s.band)
	if s.n > 0 {
		x, dy, ux := pack(s.band, ofSample(s, a.in.X)), pack(s.band, ofSample(s, a.in.DY)), pack(s.band, ofSample(s, a.in.UX))
		defer x.Release()
		defer dy.Release()
		defer ux.Release()
		second := normSecond[T]{
			out: SecondGrads[T]{X: sx.Data, DY: sdy.Data},
			in: SecondArgs[T]{
				X: x.Data, Gamma: of(s.band, a.in.Gamma), DY: dy.Data,
				UX: ux.Data, UGamma: of(s.band, a.in.UGamma), UBeta: of(s.band, a.in.UBeta),
			},
			g: Groups{Batches: 1, View: View{1, s.groups, a.p.per() * s.n}, Params: s.channels, ParamInner: s.n},
			p: Rows{Eps: a.p.Eps},
		}
		for c := range s.groups {
			second.group(0, c, dgamma)
		}
	}
	unpack(s.band, ofSample(s, a.out.X), sx)
	unpack(s.band, ofSample(s, a.out.DY), sdy)
}
