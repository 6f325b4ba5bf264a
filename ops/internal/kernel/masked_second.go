package kernel

// maskedSecond does GroupNormSecond with a mask, sample by sample.
type maskedSecond[T Float] struct {
	of   normSecond[T] // of a sample, but with the data of all
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
	of := func(x []T) []T { return sampleOf(x, a.p, i) }
	s.out = SecondGrads[T]{X: of(s.out.X), DY: of(s.out.DY)}
	s.in.X, s.in.DY, s.in.UX = of(s.in.X), of(s.in.DY), of(s.in.UX)
	for g := range a.p.Groups {
		s.group(0, g, dgamma)
	}
}
