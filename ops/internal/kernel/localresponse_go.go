package kernel

import "math"

// The definitions of the steps of local response norm.

func squareTermsGo[T Float](q []float64, x []T, share float64) {
	for i, v := range x {
		q[i] = float64(v) * float64(v) * share
	}
}

func addTermsGo(s, a, b []float64) {
	for i, v := range a {
		s[i] = v + b[i]
	}
}

func halfPowersGo(power, base []float64, k float64) {
	for i := range base {
		base[i] += k
		power[i] = 1 / math.Sqrt(base[i])
	}
}

func threeQuarterPowersGo(power, base []float64, k float64) {
	for i := range base {
		base[i] += k
		r := math.Sqrt(base[i])
		power[i] = 1 / (r * math.Sqrt(r))
	}
}

func localScaleGo[T Float](y, x []T, power []float64) {
	for i, v := range x {
		y[i] = T(float64(v) * power[i])
	}
}

func localTermsGo[T Float](q []float64, x, dy []T, power, base []float64) {
	for i, v := range x {
		q[i] = float64(dy[i]) * float64(v) * power[i] / base[i]
	}
}

func localGradGo[T Float](dx, x, dy []T, power, sum []float64, factor float64) {
	for i, v := range x {
		dx[i] = T(float64(dy[i])*power[i] - factor*float64(v)*sum[i])
	}
}
