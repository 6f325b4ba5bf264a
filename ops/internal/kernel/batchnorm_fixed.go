package kernel

// FixedBatchNorm is BatchNormFwd with statistics, gamma and beta that stay the
// same. It keeps the constants made of them, which are most of the work where a channel
// has few values.
type FixedBatchNorm[T Float] struct {
	k        constants[T]
	channels int
}

// NewFixedBatchNorm returns a FixedBatchNorm for so many channels. Call Set before Fwd.
func NewFixedBatchNorm[T Float](channels int) FixedBatchNorm[T] {
	return FixedBatchNorm[T]{borrowConstants[T](3, channels), channels}
}

// Set makes the constants of the statistics, gamma and beta. It does not keep the slices.
func (f FixedBatchNorm[T]) Set(gamma, beta []T, s Stats) {
	f.k.setBatchNorm(gamma, beta, s, f.channels)
}

// Fwd is BatchNormFwd, with what was Set and no mask.
func (f FixedBatchNorm[T]) Fwd(y, x []T, v View) {
	mapPass[T]{loop: normalizePass, out: y, x: x, k: f.k}.over(v)
}

// setBatchNormGo is the definition of setBatchNorm: it sets the constants of normalizePass
// from the statistics, gamma and beta of n channels.
func (k constants[T]) setBatchNormGo(gamma, beta []T, s Stats, n int) {
	m, scale, shift := k.of(0)[:n], k.of(1)[:n], k.of(2)[:n]
	gamma, beta = ones(gamma, n)[:n], zeros(beta, n)[:n]
	mean, residual, rstd := s.of(n)
	for c := range m {
		hi, lo := centre[T](mean[c], residual[c])
		m[c] = hi
		scale[c], shift[c] = normalizeConstants(lo, rstd[c], float64(gamma[c]), float64(beta[c]))
	}
	k.round()
}
