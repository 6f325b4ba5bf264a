package kernel

// BatchNormSecond is NormSecond of batch norm, of what the mask, which may be nil, says
// counts.
func BatchNormSecond[T Float](out SecondGrads[T], in SecondArgs[T], mask []T, v View, s Stats, batch bool) {
	a := validOf(mask, v)
	defer a.release()
	if a.spans != nil {
		clear(out.X)
		clear(out.DY)
	}
	g := Groups{Batches: 1, View: v, Params: v.Channels, ParamInner: v.Inner}
	normSecondIn(out, in, g, a, Rows{}, &s, batch)
}

// GroupNormSecond is NormSecond of group norm, of what the mask, which may be nil, says
// counts.
func GroupNormSecond[T Float](out SecondGrads[T], in SecondArgs[T], mask []T, p GroupShape) {
	g := Groups{Batches: 1, View: p.groups(), Params: p.Channels, ParamInner: p.Inner}
	if mask == nil {
		NormSecond(out, in, g, Rows{Eps: p.Eps})
		return
	}
	clear(out.X)
	clear(out.DY)
	g.View = p.sample().groups()
	in.Gamma, in.UGamma, in.UBeta = ones(in.Gamma, p.Channels), zeros(in.UGamma, p.Channels), zeros(in.UBeta, p.Channels)
	n, tasks := padded(p.Channels), p.sampleTasks()
	a := maskedSecond[T]{normSecond[T]{out: out, in: in, g: g, p: Rows{Eps: p.Eps}, gamma: Borrow[float64](tasks * n)}, mask, p}
	defer a.of.gamma.Release()
	clear(a.of.gamma.Data)
	split(tasks, len(in.X), a)
	if out.Gamma != nil {
		sumParts(out.Gamma, a.of.gamma.Data, n)
	}
}

// maskedSecond does it sample by sample.
type maskedSecond[T Float] struct {
	of   normSecond[T] // of a sample, but for its data
	mask []T
	p    GroupShape
}

func (a *maskedSecond[T]) run(first, last int) {
	for task := first; task < last; task++ {
		from, to := a.p.samples(task)
		for i := from; i < to; i++ {
			a.sample(i, a.of.gamma.part(task, padded(a.p.Channels)))
		}
	}
}

func (a *maskedSecond[T]) sample(i int, dgamma []float64) {
	s := a.of
	s.valid = sampleMask(a.mask, a.p, i)
	defer s.valid.release()
	if s.valid.n == 0 {
		return
	}
	of := func(x []T) []T { return sampleOf(x, a.p, i) }
	s.out = SecondGrads[T]{X: of(s.out.X), DY: of(s.out.DY)}
	s.in.X, s.in.DY, s.in.UX = of(s.in.X), of(s.in.DY), of(s.in.UX)
	for g := range a.p.Groups {
		s.group(0, g, dgamma)
	}
}
