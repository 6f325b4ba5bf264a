package kernel

// Stats are the statistics that batch norm normalizes by, one value for each
// channel: x̂ = ((x − Mean) − Residual)·Rstd.
type Stats struct{ Mean, Residual, Rstd []float64 }

// of returns the statistics of n channels, for loops without checks.
func (s Stats) of(n int) (mean, residual, rstd []float64) {
	return s.Mean[:n], s.Residual[:n], s.Rstd[:n]
}

// centre returns a mean as a number of the type of the data and the rest.
func centre[T Float](mean, residual float64) (m, rest float64) {
	m = float64(T(mean))
	return m, (mean - m) + residual
}

// normalizeConstants returns the constants of normalizePass that follow the m of centre.
func normalizeConstants(rest, rstd, gamma, beta float64) (scale, shift float64) {
	scale = rstd * gamma
	return scale, beta - rest*scale
}

// normGradConstants returns the last two constants of normGradPass, of which the
// first are m, rstd and γ, from the means of u = γ·dy and of u·x̂ over what is
// normalized together.
func normGradConstants(rest, rstd, u, ux float64) (a, b float64) {
	b = ux * rstd
	return u - rest*b, b
}

// BatchNormFwd sets y = x̂·gamma + beta with the channel's statistics, gamma
// and beta.
func BatchNormFwd[T Float](y, x, gamma, beta []T, v View, s Stats) {
	n := v.Channels
	k := borrowConstants[T](3, n)
	defer k.release()
	m, scale, shift := k.of(0)[:n], k.of(1)[:n], k.of(2)[:n]
	gamma, beta = ones(gamma, n)[:n], zeros(beta, n)[:n]
	mean, residual, rstd := s.of(n)
	for c := range m {
		hi, lo := centre[T](mean[c], residual[c])
		m[c] = hi
		scale[c], shift[c] = normalizeConstants(lo, rstd[c], float64(gamma[c]), float64(beta[c]))
	}
	k.round()
	mapPass[T]{loop: normalizePass, out: y, x: x, k: k}.over(v)
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
	n := v.Channels
	k := borrowConstants[T](5, n)
	defer k.release()
	gamma = ones(gamma, n)
	if batch || dgamma != nil || dbeta != nil {
		e := batchNormSums(dgamma, dbeta, x, gamma, dy, v, s, k)
		defer e.release()
		if batch {
			batchNormGrad(dx, x, dy, v, k, e.of(2)[:n])
			return
		}
	}
	scale, shift := k.of(0)[:n], k.of(1)[:n]
	for c := range scale {
		scale[c], shift[c] = s.Rstd[c]*float64(gamma[c]), 0
	}
	k.round()
	mapPass[T]{loop: scaledPass, out: dx, x: dy, k: k}.over(v)
}

// leftOver is the part of the energy Σdy² that has to be left in Σ(dx/scale)²
// for float32 arithmetic. Where dy is nearly a combination of 1 and x̂, as it is
// in batches of a few, dx is a difference of almost equal numbers.
const leftOver = 0.25

// cancelled marks a channel where less is left, in place of its energy.
const cancelled = -1

// cancels says whether less is left of the energy of n values with the sums
// u = Σdy and ux = Σdy·x̂.
func cancels[T Float](n, energy, u, ux float64) bool {
	return energy-(u*u+ux*ux)/n < energy*leftOver || energy != 0 && !inRange[T](n, energy)
}

// batchNormSums sets dγ, dβ and the constants of dx for the statistics of the
// batch. It returns the sums that it took, the third of which is the energy.
func batchNormSums[T Float](dgamma, dbeta, x, gamma, dy []T, v View, s Stats, k constants[T]) totals {
	m, scale, factor := k.of(0)[:v.Channels], k.of(1)[:v.Channels], k.of(2)[:v.Channels]
	a, b := k.of(3)[:v.Channels], k.of(4)[:v.Channels]
	mean, residual, rstd := s.of(v.Channels)
	centres := k.data(0)
	for c, mu := range mean {
		centres[c] = T(mu)
	}
	sum := sumPass[T]{loop: gradPass, x: x, dy: dy, m: centres}.over(v)
	db, dg, e := sum.of(0)[:v.Channels], sum.of(1)[:v.Channels], sum.of(2)[:v.Channels]
	n := float64(v.Count())
	share := 1 / n
	gamma = gamma[:v.Channels]
	for c := range m {
		hi, lo := centre[T](mean[c], residual[c])
		r := rstd[c]
		dg[c] = (dg[c] - lo*db[c]) * r
		u := float64(gamma[c])
		m[c], scale[c], factor[c] = hi, r, u
		a[c], b[c] = normGradConstants(lo, r, db[c]*share*u, dg[c]*share*u)
		if cancels[T](n, e[c], db[c], dg[c]) {
			e[c] = cancelled
		}
	}
	store(dgamma, dg)
	store(dbeta, db)
	return sum
}

// batchNormGrad sets dx, in float64 where it is mostly cancelled.
func batchNormGrad[T Float](dx, x, dy []T, v View, k constants[T], energy []float64) {
	k.round()
	mapPass[T]{loop: normGradPass, out: dx, x: x, dy: dy, k: k}.over(v)
	if !is32[T]() {
		return
	}
	for c, e := range energy {
		if e == cancelled {
			normGradGo(dx, x, dy, k, v.channel(c))
		}
	}
}
