package kernel

// Batch norm of data with padding: each band of channels by itself.

// MaskedMoments is Moments of what a mask says counts, which is something.
func MaskedMoments[T Float](x, mask []T, v View, eps float64, mean, residual, m2 []float64) {
	if mask == nil {
		Moments(x, v, eps, mean, residual, m2)
		return
	}
	a := validOf(mask, v)
	defer a.release()
	split(a.bands(), a.n*a.Channels, maskedMoments[T]{a, x, eps, mean, residual, m2})
}

type maskedMoments[T Float] struct {
	valid
	x                  []T
	eps                float64
	mean, residual, m2 []float64
}

func (a *maskedMoments[T]) run(first, last int) {
	for i := first; i < last; i++ {
		b := a.band(i)
		x := pack(b, a.x)
		Moments(x.Data, b.packed(), a.eps, of(b, a.mean), of(b, a.residual), of(b, a.m2))
		x.Release()
	}
}

// of returns what is a band's of a parameter, which may be nil.
func of[P Float](b band, p []P) []P {
	if p == nil {
		return nil
	}
	return p[b.channel:][:b.channels:b.channels]
}

func statsOfBand(b band, s Stats) Stats {
	return Stats{of(b, s.Mean), of(b, s.Residual), of(b, s.Rstd)}
}

// MaskedBatchNormFwd is BatchNormFwd of what a mask says counts.
func MaskedBatchNormFwd[T Float](y, x, mask, gamma, beta []T, v View, s Stats) {
	if mask == nil {
		BatchNormFwd(y, x, gamma, beta, v, s)
		return
	}
	a := validOf(mask, v)
	defer a.release()
	if a.n == 0 {
		clear(y)
		return
	}
	split(a.bands(), a.n*a.Channels, maskedBatchNormFwd[T]{a, y, x, gamma, beta, s})
}

type maskedBatchNormFwd[T Float] struct {
	valid
	y, x, gamma, beta []T
	s                 Stats
}

func (a *maskedBatchNormFwd[T]) run(first, last int) {
	for i := first; i < last; i++ {
		b := a.band(i)
		x, y := pack(b, a.x), borrowBand[T](b)
		BatchNormFwd(y.Data, x.Data, of(b, a.gamma), of(b, a.beta), b.packed(), statsOfBand(b, a.s))
		x.Release()
		unpack(b, a.y, y)
	}
}

func borrowBand[T Float](b band) *Scratch[T] { return Borrow[T](b.n * b.channels) }

// MaskedBatchNormBwd is BatchNormBwd of what a mask says counts.
func MaskedBatchNormBwd[T Float](dx, dgamma, dbeta, x, mask, gamma, dy []T, v View, s Stats, batch bool) {
	if mask == nil {
		BatchNormBwd(dx, dgamma, dbeta, x, gamma, dy, v, s, batch)
		return
	}
	a := validOf(mask, v)
	defer a.release()
	if a.n == 0 {
		clear(dx)
		clear(dgamma)
		clear(dbeta)
		return
	}
	split(a.bands(), a.n*a.Channels, maskedBatchNormBwd[T]{a, dx, dgamma, dbeta, x, gamma, dy, s, batch})
}

type maskedBatchNormBwd[T Float] struct {
	valid
	dx, dgamma, dbeta, x, gamma, dy []T
	s                               Stats
	batch                           bool
}

func (a *maskedBatchNormBwd[T]) run(first, last int) {
	for i := first; i < last; i++ {
		b := a.band(i)
		x, dy, dx := pack(b, a.x), pack(b, a.dy), borrowBand[T](b)
		BatchNormBwd(dx.Data, of(b, a.dgamma), of(b, a.dbeta), x.Data, of(b, a.gamma), dy.Data, b.packed(), statsOfBand(b, a.s), a.batch)
		x.Release()
		dy.Release()
		unpack(b, a.dx, dx)
	}
}

// MaskedBatchNormSecond is NormSecond of batch norm of what a mask says counts.
func MaskedBatchNormSecond[T Float](out SecondGrads[T], in SecondArgs[T], mask []T, v View, s Stats, batch bool) {
	if mask == nil {
		batchNormSecond(out, in, v, s, batch)
		return
	}
	a := validOf(mask, v)
	defer a.release()
	if a.n == 0 {
		clear(out.X)
		clear(out.Gamma)
		clear(out.DY)
		return
	}
	split(a.bands(), a.n*a.Channels, maskedBatchNormSecond[T]{a, out, in, s, batch})
}

func batchNormSecond[T Float](out SecondGrads[T], in SecondArgs[T], v View, s Stats, batch bool) {
	NormSecond(out, in, Groups{Batches: 1, View: v, Params: v.Channels, ParamInner: v.Inner}, Rows{}, &s, batch)
}

type maskedBatchNormSecond[T Float] struct {
	valid
	out   SecondGrads[T]
	in    SecondArgs[T]
	s     Stats
	batch bool
}

func (a *maskedBatchNormSecond[T]) run(first, last int) {
	for i := first; i < last; i++ {
		b := a.band(i)
		x, dy, ux := pack(b, a.in.X), pack(b, a.in.DY), pack(b, a.in.UX)
		sx, sdy := borrowBand[T](b), borrowBand[T](b)
		batchNormSecond(
			SecondGrads[T]{X: sx.Data, Gamma: of(b, a.out.Gamma), DY: sdy.Data},
			SecondArgs[T]{
				X: x.Data, Gamma: of(b, a.in.Gamma), DY: dy.Data,
				UX: ux.Data, UGamma: of(b, a.in.UGamma), UBeta: of(b, a.in.UBeta),
			}, b.packed(), statsOfBand(b, a.s), a.batch)
		x.Release()
		dy.Release()
		ux.Release()
		unpack(b, a.out.X, sx)
		unpack(b, a.out.DY, sdy)
	}
}
