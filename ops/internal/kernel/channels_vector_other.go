//go:build !amd64 || purego || noasm

package kernel

// settled is settle in the assembly. Where there is none it is false.
func (p *momentsPass[T]) settled(d, q []float64, n int, limits limits) bool { return false }

// setBatchNorm sets the constants of normalizePass.
func (k constants[T]) setBatchNorm(gamma, beta []T, s Stats, n int) {
	k.setBatchNormGo(gamma, beta, s, n)
}

// setConstants sets, for the channels [first, last), the constants of dx, replaces
// Σdy·(x−m) by dγ, and marks those in which dx mostly cancels.
func (p *batchNormGrad[T]) setConstants(first, last int) { p.setConstantsGo(first, last) }

// storeTimes sets dst to v times a factor, rounded.
func storeTimes[T Float](dst []T, v []float64, factor float64) { storeTimesGo(dst, v, factor) }

// within says whether least ≤ |k| < most for all k. It is for float32.
func within[T Float](k []T, least, most float32) bool { return withinGo(k, least, most) }

// Rstd sets rstd to 1/√(m2/n + eps). It may be m2.
func Rstd(rstd, m2 []float64, n, eps float64) { rstdGo(rstd, m2, n, eps) }
