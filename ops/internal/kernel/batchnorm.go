package kernel

// Stats are the statistics that batch norm normalizes by, one value for each
// channel: x̂ = ((x − Mean) − Residual)·Rstd.
type Stats struct{ Mean, Residual, Rstd []float64 }

// BatchNormFwd sets y = x̂·gamma + beta with the channel's statistics, gamma
// and beta.
func BatchNormFwd[T Float](y, x, gamma, beta []T, v View, s Stats) {
	k := Borrow[float64](2 * v.Channels)
	defer k.Release()
	scale, shift := k.part(0, v.Channels), k.part(1, v.Channels)
	gamma, beta = ones(gamma, v.Channels), zeros(beta, v.Channels)
	for c := range v.Channels {
		scale[c], shift[c] = s.Rstd[c]*float64(gamma[c]), float64(beta[c])
	}
	split(v.lineup().tasks(), v.Len(), batchNormFwd[T]{y, x, v, s, scale, shift})
}

type batchNormFwd[T Float] struct {
	y, x         []T
	v            View
	s            Stats
	scale, shift []float64
}

func (a *batchNormFwd[T]) run(first, last int) {
	l := a.v.lineup()
	for i, end := l.span(first, last); i < end; i++ {
		from, to, c := l.at(i)
		x, y := a.x[from:to], a.y[from:to]
		if a.v.columns() {
			normalizeRow(y, x, a.s.Mean, a.s.Residual, a.scale, a.shift)
		} else {
			normalize(y, x, a.s.Mean[c], a.s.Residual[c], a.scale[c], a.shift[c])
		}
	}
}

// BatchNormBwd gives the gradients of BatchNormFwd from dy, that of its
// output. With n values a channel,
//
//	dγ = Σ dy·x̂,  dβ = Σ dy
//	dx = γ·rstd·(dy − dβ/n − x̂·dγ/n)   if the statistics are the batch's
//	dx = γ·rstd·dy                      if they are constants
//
// dgamma and dbeta may be nil.
func BatchNormBwd[T Float](dx, dgamma, dbeta, x, gamma, dy []T, v View, s Stats, batch bool) {
	segs := v.segments()
	part := Borrow[float64](2 * segs * v.Channels)
	defer part.Release()
	split(v.units()*segs, v.Len(), batchNormSums[T]{x, dy, v, s, segs, part})
	for t := 1; t < segs; t++ {
		accumulate(part.part(0, 2*v.Channels), part.part(t, 2*v.Channels))
	}

	k := Borrow[float64](3 * v.Channels)
	defer k.Release()
	scale, a, b := k.part(0, v.Channels), k.part(1, v.Channels), k.part(2, v.Channels)
	db, dg := part.part(0, v.Channels), part.part(1, v.Channels)
	gamma = ones(gamma, v.Channels)
	n := float64(v.Count())
	for c := range v.Channels {
		dg[c] *= s.Rstd[c]
		scale[c] = s.Rstd[c] * float64(gamma[c])
		a[c], b[c] = db[c]/n, dg[c]/n*s.Rstd[c]
	}
	store(dgamma, dg)
	store(dbeta, db)
	if !batch {
		scaleChannels(dx, dy, v, scale)
		return
	}
	split(v.lineup().tasks(), v.Len(), batchNormGrad[T]{dx, x, dy, v, s, scale, a, b})
}

type batchNormSums[T Float] struct {
	x, dy []T
	v     View
	s     Stats
	segs  int
	part  *Scratch[float64] // of [segs, 2, Channels]: Σ dy and Σ dy·(x − mean)
}

func (a *batchNormSums[T]) run(first, last int) {
	for task := first; task < last; task++ {
		u, seg := task/a.segs, task%a.segs
		s, p := a.part.part(2*seg, a.v.Channels), a.part.part(2*seg+1, a.v.Channels)
		c0, c1 := a.v.unit(u)
		s, p = s[c0:c1], p[c0:c1]
		clear(s)
		clear(p)
		hi, lo := a.s.Mean[c0:c1], a.s.Residual[c0:c1]
		b0, b1 := a.v.segment(seg, a.segs)
		for i := b0; i < b1; i++ {
			b := a.v.block(u, i)
			if a.v.columns() {
				columnNormGradSums(s, p, a.x, a.dy, b, hi, lo)
				continue
			}
			var bs, bp float64
			for j, at := 0, b.off; j < b.count; j, at = j+1, at+b.stride {
				ds, dp := normGradSums(a.x[at:at+b.length], a.dy[at:at+b.length], hi[0], lo[0])
				bs, bp = bs+ds, bp+dp
			}
			s[0] += bs
			p[0] += bp
		}
	}
}

type batchNormGrad[T Float] struct {
	dx, x, dy   []T
	v           View
	s           Stats
	scale, a, b []float64
}

func (g *batchNormGrad[T]) run(first, last int) {
	l := g.v.lineup()
	for i, end := l.span(first, last); i < end; i++ {
		from, to, c := l.at(i)
		dx, x, dy := g.dx[from:to], g.x[from:to], g.dy[from:to]
		if g.v.columns() {
			normGradRow(dx, x, dy, g.s.Mean, g.s.Residual, g.scale, g.a, g.b)
		} else {
			normGrad(dx, x, dy, g.s.Mean[c], g.s.Residual[c], g.scale[c], g.a[c], g.b[c])
		}
	}
}
