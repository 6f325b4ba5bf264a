package kernel

// BatchNormBwd gives the gradients of BatchNormFwd from dy, the gradient of its
// output. With n values in a channel,
//
//	dγ = Σ dy·x̂,  dβ = Σ dy
//	dx = γ·rstd·(dy − dβ/n − x̂·dγ/n)   if the statistics are the batch's
//	dx = γ·rstd·dy                      if they are constants
//
// where n and the sums are over the elements that the mask says count; dx is 0 elsewhere.
// batch says that the statistics are the batch's. dgamma, dbeta and the mask may be nil.
func BatchNormBwd[T Float](dx, dgamma, dbeta, x, mask, gamma, dy []T, v View, s Stats, batch bool) {
	n := v.Channels
	p := batchNormGrad[T]{dx: dx, dgamma: dgamma, dbeta: dbeta, x: x, gamma: ones(gamma, n), dy: dy, v: v, valid: validOf(mask, v), s: s}
	defer p.valid.release()
	p.k = borrowConstants[T](5, n)
	defer p.k.release()
	if batch {
		p.do()
		return
	}
	if dgamma != nil || dbeta != nil {
		p.sums()
		p.sum.release()
	}
	scale, shift := p.k.of(0)[:n], p.k.of(1)[:n]
	for c := range scale {
		scale[c], shift[c] = s.Rstd[c]*float64(p.gamma[c]), 0
	}
	p.k.round()
	mapPass[T]{loop: scaledPass, out: dx, x: dy, k: p.k}.overValid(p.valid)
}

// batchNormGrad is BatchNormBwd: sums for each channel, constants made of them,
// and a map.
type batchNormGrad[T Float] struct {
	dx, dgamma, dbeta, x, gamma, dy []T
	v                               View
	valid                           valid // what counts of v
	s                               Stats
	k                               constants[T]
	sum                             totals // Σdy, Σdy·(x−m), Σdy²
}

// do sets the gradients for the statistics of the batch.
func (p batchNormGrad[T]) do() {
	write := mapPass[T]{loop: normGradPass, out: p.dx, x: p.x, dy: p.dy, k: p.k}
	if g, ok := keptGrid[T](p.v); ok && p.valid.spans == nil {
		p.sum = totals{Borrow[float64](3 * p.k.padded), p.k.padded}
		defer p.sum.release()
		clear(p.sum.scratch.Data)
		split(g.tasks(), passWork(len(p.x), p.dy), batchNormGradTasks[T]{p, write, g})
		return
	}
	p.sums()
	write.overValid(p.valid)
	p.mend(0, p.v.Channels)
	p.sum.release()
}

// sums sets dγ, dβ and the constants of dx.
func (p *batchNormGrad[T]) sums() {
	p.centre(0, p.v.Channels)
	p.sum = p.pass().overValid(p.valid)
	p.constants(0, p.v.Channels)
}

func (p *batchNormGrad[T]) pass() sumPass[T] {
	return sumPass[T]{loop: gradPass, x: p.x, dy: p.dy, m: p.k.data(0)}
}

// centre sets m to the means of the channels [first, last), rounded to the type of the
// data.
func (p *batchNormGrad[T]) centre(first, last int) {
	m := p.k.data(0)[first:last]
	for i, mean := range p.s.Mean[first:last] {
		m[i] = T(mean)
	}
}

// constants makes dγ, dβ and the constants of dx from the sums of the channels
// [first, last).
func (p *batchNormGrad[T]) constants(first, last int) {
	p.setConstants(first, last)
	if p.dgamma != nil {
		store(p.dgamma[first:last], p.sum.of(1)[first:last])
	}
	if p.dbeta != nil {
		store(p.dbeta[first:last], p.sum.of(0)[first:last])
	}
}

// setConstantsGo is the definition of setConstants: for the channels [first, last) it sets
// the constants of dx, replaces Σdy·(x−m) by dγ, and marks those in which dx mostly cancels.
func (p *batchNormGrad[T]) setConstantsGo(first, last int) {
	k := func(i int) []float64 { return p.k.of(i)[first:last] }
	m, scale, factor, a, b := k(0), k(1), k(2), k(3), k(4)
	db, dg, e := p.sum.of(0)[first:last], p.sum.of(1)[first:last], p.sum.of(2)[first:last]
	mean, residual, rstd := p.s.Mean[first:last], p.s.Residual[first:last], p.s.Rstd[first:last]
	n := float64(p.valid.n)
	share := 1 / n
	for i, u := range p.gamma[first:last] {
		hi, lo := centre[T](mean[i], residual[i])
		r, u := rstd[i], float64(u)
		dg[i] = (dg[i] - lo*db[i]) * r
		m[i], scale[i], factor[i] = hi, r, u
		a[i], b[i] = normGradConstants(lo, r, db[i]*share*u, dg[i]*share*u)
		if cancels[T](n, u*u*e[i], u*db[i], u*dg[i]) {
			e[i] = cancelled
		}
	}
	for i := range 5 {
		store(p.k.data(i)[first:last], k(i))
	}
}

// mend computes dx again, in float64, for those of the channels [first, last) in which it
// mostly cancels.
func (p *batchNormGrad[T]) mend(first, last int) {
	if !is32[T]() {
		return
	}
	for i, e := range p.sum.of(2)[first:last] {
		if e == cancelled {
			for part := range (parts{p.valid, p.v.channel(first + i)}).each {
				normGradGo(p.dx, p.x, p.dy, p.k, part)
			}
		}
	}
}

// batchNormGradTasks does some channels at a time, few enough that the cache keeps them
// from the sums to the map.
type batchNormGradTasks[T Float] struct {
	p     batchNormGrad[T]
	write mapPass[T]
	g     grid
}

func (t *batchNormGradTasks[T]) run(first, last int) {
	p, sum := &t.p, t.p.pass()
	for task := first; task < last; task++ {
		b := t.g.block(task)
		p.centre(b.channel, b.channel+b.channels)
		sum.add([3][]float64{p.sum.of(0), p.sum.of(1), p.sum.of(2)}, b)
		p.constants(b.channel, b.channel+b.channels)
		t.write.block(b)
		p.mend(b.channel, b.channel+b.channels)
	}
}
