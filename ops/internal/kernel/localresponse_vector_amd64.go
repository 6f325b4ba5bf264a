//go:build amd64 && !purego && !noasm

package kernel

// The steps of local response norm, over elements that lie side by side.

// squareTerms: q = share·x².
func squareTerms[T Float](q []float64, x []T, share float64) {
	q = q[:len(x)]
	switch {
	case isa == generic:
		squareTermsGo(q, x, share)
	case isa == avx2 && is32[T]():
		squareTermsF32AVX2(&q[0], f32(x), share, len(x))
	case isa == avx2:
		squareTermsF64AVX2(&q[0], f64(x), share, len(x))
	case is32[T]():
		squareTermsF32AVX512(&q[0], f32(x), share, len(x))
	default:
		squareTermsF64AVX512(&q[0], f64(x), share, len(x))
	}
}

// addTerms: s = a + b.
func addTerms(s, a, b []float64) {
	s, b = s[:len(a)], b[:len(a)]
	switch {
	case isa == generic:
		addTermsGo(s, a, b)
	case isa == avx2:
		addTermsF64AVX2(&s[0], &a[0], &b[0], len(a))
	default:
		addTermsF64AVX512(&s[0], &a[0], &b[0], len(a))
	}
}

// halfPowers: base += k, power = base^−½.
func halfPowers(power, base []float64, k float64) {
	power = power[:len(base)]
	switch {
	case isa == generic:
		halfPowersGo(power, base, k)
	case isa == avx2:
		halfPowersF64AVX2(&power[0], &base[0], k, len(base))
	default:
		halfPowersF64AVX512(&power[0], &base[0], k, len(base))
	}
}

// threeQuarterPowers: base += k, power = base^−¾.
func threeQuarterPowers(power, base []float64, k float64) {
	power = power[:len(base)]
	switch {
	case isa == generic:
		threeQuarterPowersGo(power, base, k)
	case isa == avx2:
		threeQuarterPowersF64AVX2(&power[0], &base[0], k, len(base))
	default:
		threeQuarterPowersF64AVX512(&power[0], &base[0], k, len(base))
	}
}

// localScale: y = x·power.
func localScale[T Float](y, x []T, power []float64) {
	y, power = y[:len(x)], power[:len(x)]
	switch {
	case isa == generic:
		localScaleGo(y, x, power)
	case isa == avx2 && is32[T]():
		localScaleF32AVX2(f32(y), f32(x), &power[0], len(x))
	case isa == avx2:
		localScaleF64AVX2(f64(y), f64(x), &power[0], len(x))
	case is32[T]():
		localScaleF32AVX512(f32(y), f32(x), &power[0], len(x))
	default:
		localScaleF64AVX512(f64(y), f64(x), &power[0], len(x))
	}
}

// localTerms: q = dy·x·power/base.
func localTerms[T Float](q []float64, x, dy []T, power, base []float64) {
	q, dy, power, base = q[:len(x)], dy[:len(x)], power[:len(x)], base[:len(x)]
	switch {
	case isa == generic:
		localTermsGo(q, x, dy, power, base)
	case isa == avx2 && is32[T]():
		localTermsF32AVX2(&q[0], f32(x), f32(dy), &power[0], &base[0], len(x))
	case isa == avx2:
		localTermsF64AVX2(&q[0], f64(x), f64(dy), &power[0], &base[0], len(x))
	case is32[T]():
		localTermsF32AVX512(&q[0], f32(x), f32(dy), &power[0], &base[0], len(x))
	default:
		localTermsF64AVX512(&q[0], f64(x), f64(dy), &power[0], &base[0], len(x))
	}
}

// localGrad: dx = dy·power − factor·x·sum.
func localGrad[T Float](dx, x, dy []T, power, sum []float64, factor float64) {
	dx, dy, power, sum = dx[:len(x)], dy[:len(x)], power[:len(x)], sum[:len(x)]
	switch {
	case isa == generic:
		localGradGo(dx, x, dy, power, sum, factor)
	case isa == avx2 && is32[T]():
		localGradF32AVX2(f32(dx), f32(x), f32(dy), &power[0], &sum[0], factor, len(x))
	case isa == avx2:
		localGradF64AVX2(f64(dx), f64(x), f64(dy), &power[0], &sum[0], factor, len(x))
	case is32[T]():
		localGradF32AVX512(f32(dx), f32(x), f32(dy), &power[0], &sum[0], factor, len(x))
	default:
		localGradF64AVX512(f64(dx), f64(x), f64(dy), &power[0], &sum[0], factor, len(x))
	}
}
