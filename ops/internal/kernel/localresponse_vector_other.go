//go:build !amd64 || purego || noasm

package kernel

// squareTerms: q = share·x².
func squareTerms[T Float](q []float64, x []T, share float64) {
	squareTermsGo(q, x, share)
}

// addTerms: s = a + b.
func addTerms(s, a, b []float64) {
	addTermsGo(s, a, b)
}

// halfPowers: base += k, power = base^−½.
func halfPowers(power, base []float64, k float64) {
	halfPowersGo(power, base, k)
}

// threeQuarterPowers: base += k, power = base^−¾.
func threeQuarterPowers(power, base []float64, k float64) {
	threeQuarterPowersGo(power, base, k)
}

// localScale: y = x·power.
func localScale[T Float](y, x []T, power []float64) {
	localScaleGo(y, x, power)
}

// localTerms: q = dy·x·power/base.
func localTerms[T Float](q []float64, x, dy []T, power, base []float64) {
	localTermsGo(q, x, dy, power, base)
}

// localGrad: dx = dy·power − factor·x·sum.
func localGrad[T Float](dx, x, dy []T, power, sum []float64, factor float64) {
	localGradGo(dx, x, dy, power, sum, factor)
}
