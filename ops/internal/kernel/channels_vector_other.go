//go:build !amd64 || purego || noasm

package kernel

// settled is settle in the assembly, which there is none of.
func (p *momentsPass[T]) settled(d, q []float64, n int, limits limits) bool { return false }

// setBatchNorm sets the constants of normalizePass.
func (k constants[T]) setBatchNorm(gamma, beta []T, s Stats, n int) {
	k.setBatchNormGo(gamma, beta, s, n)
}

// setConstants sets the constants of dx, puts dγ in the place of its sum, and marks the
// channels that are cancelled, of the channels [first, last).
func (p *batchNormGrad[T]) setConstants(first, last int) { p.setConstantsGo(first, last) }

// storeTimes sets dst to v times a factor, rounded.
func storeTimes[T Float](dst []T, v []float64, factor float64) { storeTimesGo(dst, v, factor) }

// within says of float32 numbers that least ≤ |k| < most.
func within[T Float](k []T, least, most float32) bool { return withinGo(k, least, most) }

// Rstd sets rstd to 1/√(m2/n + eps). It may be m2.
func Rstd(rstd, m2 []float64, n, eps float64) { rstdGo(rstd, m2, n, eps) }
