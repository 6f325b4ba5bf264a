package kernel

// FixedBatchNorm is BatchNormFwd with statistics, gamma and beta that stay the
// same: what it makes of them, which for few values a channel is most of the work.
type FixedBatchNorm[T Float] struct {
	k        constants[T]
	channels int
}

// NewFixedBatchNorm returns one for a number of channels, to be Set.
func NewFixedBatchNorm[T Float](channels int) FixedBatchNorm[T] {
	return FixedBatchNorm[T]{borrowConstants[T](3, channels), channels}
}

// Set sets the statistics, gamma and beta, which it does not keep.
func (f FixedBatchNorm[T]) Set(gamma, beta []T, s Stats) {
	f.k.setBatchNorm(gamma, beta, s, f.channels)
}

// Fwd is BatchNormFwd.
func (f FixedBatchNorm[T]) Fwd(y, x []T, v View) {
	mapPass[T]{loop: normalizePass, out: y, x: x, k: f.k}.over(v)
}

// setBatchNormGo sets the constants of normalizePass for the statistics, gamma and
// beta of n channels. setBatchNorm is that or assembly.
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
