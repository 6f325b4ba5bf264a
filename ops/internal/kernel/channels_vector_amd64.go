//go:build amd64 && !purego && !noasm

package kernel

// settled is settle in the assembly. Where there is none it is false.
func (p *momentsPass[T]) settled(d, q []float64, n int, limits limits) bool {
	if isa == generic {
		return false
	}
	mean, residual, m2, m := p.mean[:n], p.residual[:n], p.m2[:n], p.m[:n]
	d, q = d[:n], q[:n]
	var bad int
	switch {
	case isa == avx2 && is32[T]():
		bad = settleF32AVX2(f64(mean), f64(residual), f64(m2), f64(d), f64(q), f32(m), n, limits.n, limits.bound, limits.least, limits.most)
	case isa == avx2:
		bad = settleF64AVX2(f64(mean), f64(residual), f64(m2), f64(d), f64(q), f64(m), n, limits.n, limits.bound, limits.least, limits.most)
	case is32[T]():
		bad = settleF32AVX512(f64(mean), f64(residual), f64(m2), f64(d), f64(q), f32(m), n, limits.n, limits.bound, limits.least, limits.most)
	default:
		bad = settleF64AVX512(f64(mean), f64(residual), f64(m2), f64(d), f64(q), f64(m), n, limits.n, limits.bound, limits.least, limits.most)
	}
	return bad == 0
}

// setBatchNorm sets the constants of normalizePass.
func (k constants[T]) setBatchNorm(gamma, beta []T, s Stats, n int) {
	if isa == generic {
		k.setBatchNormGo(gamma, beta, s, n)
		return
	}
	gamma, beta = ones(gamma, n)[:n], zeros(beta, n)[:n]
	mean, residual, rstd := s.of(n)
	exact, rounded := k.exact.Data[:2*k.padded+n], k.rounded.Data[:2*k.padded+n]
	switch {
	case isa == avx2 && is32[T]():
		setBatchNormF32AVX2(f64(exact), f32(rounded), k.padded, f64(mean), f64(residual), f64(rstd), f32(gamma), f32(beta), n)
	case isa == avx2:
		setBatchNormF64AVX2(f64(exact), f64(rounded), k.padded, f64(mean), f64(residual), f64(rstd), f64(gamma), f64(beta), n)
	case is32[T]():
		setBatchNormF32AVX512(f64(exact), f32(rounded), k.padded, f64(mean), f64(residual), f64(rstd), f32(gamma), f32(beta), n)
	default:
		setBatchNormF64AVX512(f64(exact), f64(rounded), k.padded, f64(mean), f64(residual), f64(rstd), f64(gamma), f64(beta), n)
	}
}

// setConstants sets, for the channels [first, last), the constants of dx, replaces
// Σdy·(x−m) by dγ, and marks those in which dx mostly cancels.
func (p *batchNormGrad[T]) setConstants(first, last int) {
	if isa == generic {
		p.setConstantsGo(first, last)
		return
	}
	n, padded := last-first, p.k.padded // as in p.sum
	exact, rounded := p.k.exact.Data[first:4*padded+last], p.k.rounded.Data[first:4*padded+last]
	sums := p.sum.scratch.Data[first : 2*padded+last]
	mean, residual, rstd := p.s.Mean[first:last], p.s.Residual[first:last], p.s.Rstd[first:last]
	gamma, count := p.gamma[first:last], float64(p.valid.n)
	least, most := energyRange(count)
	switch {
	case isa == avx2 && is32[T]():
		setBatchNormGradF32AVX2(f64(exact), f32(rounded), f64(sums), padded, f64(mean), f64(residual), f64(rstd), f32(gamma), n, 1/count, least, most)
	case isa == avx2:
		setBatchNormGradF64AVX2(f64(exact), f64(rounded), f64(sums), padded, f64(mean), f64(residual), f64(rstd), f64(gamma), n, 1/count)
	case is32[T]():
		setBatchNormGradF32AVX512(f64(exact), f32(rounded), f64(sums), padded, f64(mean), f64(residual), f64(rstd), f32(gamma), n, 1/count, least, most)
	default:
		setBatchNormGradF64AVX512(f64(exact), f64(rounded), f64(sums), padded, f64(mean), f64(residual), f64(rstd), f64(gamma), n, 1/count)
	}
}

// storeTimes sets dst to v times a factor, rounded.
func storeTimes[T Float](dst []T, v []float64, factor float64) {
	n := len(v)
	dst = dst[:n]
	switch {
	case isa == generic:
		storeTimesGo(dst, v, factor)
	case isa == avx2 && is32[T]():
		roundF32AVX2(f32(dst), f64(v), n, factor)
	case isa == avx2:
		roundF64AVX2(f64(dst), f64(v), n, factor)
	case is32[T]():
		roundF32AVX512(f32(dst), f64(v), n, factor)
	default:
		roundF64AVX512(f64(dst), f64(v), n, factor)
	}
}

// within says whether least ≤ |k| < most for all k. It is for float32.
func within[T Float](k []T, least, most float32) bool {
	n := len(k)
	switch {
	case isa == generic:
		return withinGo(k, least, most)
	case isa == avx2:
		return outsideF32AVX2(f32(k), n, least, most) == 0
	default:
		return outsideF32AVX512(f32(k), n, least, most) == 0
	}
}

// Rstd sets rstd to 1/√(m2/n + eps). It may be m2.
func Rstd(rstd, m2 []float64, n, eps float64) {
	switch {
	case isa == generic:
		rstdGo(rstd, m2, n, eps)
	case isa == avx2:
		rstdF64AVX2(f64(rstd[:len(m2)]), f64(m2), len(m2), 1/n, eps)
	default:
		rstdF64AVX512(f64(rstd[:len(m2)]), f64(m2), len(m2), 1/n, eps)
	}
}
