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
// and beta, for what the mask, which may be nil, says counts.
func BatchNormFwd[T Float](y, x, mask, gamma, beta []T, v View, s Stats) {
	a := validOf(mask, v)
	defer a.release()
	k := borrowConstants[T](3, v.Channels)
	defer k.release()
	k.setBatchNorm(gamma, beta, s, v.Channels)
	mapPass[T]{loop: normalizePass, out: y, x: x, k: k}.overValid(a)
}

// leftOver is the part of the energy Σu², u = γ·dy, that has to be left in
// Σ(dx/scale)² for float32 arithmetic. Where u is nearly a combination of 1 and x̂, as
// it is in batches of a few, dx is a difference of almost equal numbers.
const leftOver = 0.25

// cancelled marks a channel where less is left, in place of its energy.
const cancelled = -1

// cancels says whether less is left of the energy Σu² of n values with the sums Σu = s
// and Σu·x̂ = p, or whether u is out of the range of T: its root mean square may be as
// small as 2⁻¹⁰⁰ in float32, and no element larger than 2¹²⁶.
func cancels[T Float](n, energy, s, p float64) bool {
	least, most := n*0x1p-200, 0x1p252
	if !is32[T]() {
		least, most = rangeOf[T](n)
	}
	return energy-(s*s+p*p)/n < energy*leftOver || energy != 0 && !(energy >= least && energy < most)
}
