package kernel

import "math"

// neighbourCalls are the kernels of the norms without parameters.
func neighbourCalls[T Float](v View) (cs []call[T]) {
	for _, p := range []float64{2, 3, math.Inf(1)} {
		lp := Lp{p, 1e-12}
		cs = append(cs, pairOfCalls("Normalize", v,
			func(y, x []T) { NormalizeFwd(y, x, v, lp) },
			func(dx, x, dy []T) { NormalizeBwd(dx, x, dy, v, lp) })...)
	}
	p := LocalResponse{5, 0.5, 0.75, 1, false}
	return append(cs, pairOfCalls("LocalResponseNorm", v,
		func(y, x []T) { LocalResponseNormFwd(y, x, v, p) },
		func(dx, x, dy []T) { LocalResponseNormBwd(dx, x, dy, v, p) })...)
}

// pairOfCalls are the two calls of an op on x alone.
func pairOfCalls[T Float](name string, v View, fwd func(y, x []T), bwd func(dx, x, dy []T)) []call[T] {
	x, y := input[T](v.Len()), blank[T](v.Len())
	x2, dy, dx := input[T](v.Len()), input[T](v.Len()), blank[T](v.Len())
	return []call[T]{
		{name: name + "Fwd", in: []fence[T]{x}, out: []fence[T]{y}, run: func() { fwd(y.data(), x.data()) }},
		{name: name + "Bwd", in: []fence[T]{x2, dy}, out: []fence[T]{dx}, run: func() { bwd(dx.data(), x2.data(), dy.data()) }},
	}
}

// spectralCalls are the kernels of spectral norm.
func spectralCalls[T Float](v View) []call[T] {
	vectors := func() (fs []fence[float64]) {
		return []fence[float64]{input[float64](v.Channels), input[float64](v.Count())}
	}
	w, y := input[T](v.Len()), blank[T](v.Len())
	w2, dy, dw, fixed := input[T](v.Len()), input[T](v.Len()), blank[T](v.Len()), vectors()
	w3, dy3, up, sw, sdy := input[T](v.Len()), input[T](v.Len()), input[T](v.Len()), blank[T](v.Len()), blank[T](v.Len())
	w4, start, moved, sigma := input[T](v.Len()), vectors(), []fence[float64]{blank[float64](v.Channels), blank[float64](v.Count())}, blank[float64](1)
	return []call[T]{
		{name: "SpectralNormFwd", in: []fence[T]{w}, out: []fence[T]{y}, run: func() { SpectralNormFwd(y.data(), w.data(), 7) }},
		{name: "SpectralNormBwd", in: []fence[T]{w2, dy}, in64: fixed, out: []fence[T]{dw}, run: func() {
			SpectralNormBwd(dw.data(), w2.data(), dy.data(), v, fixed[0].data(), fixed[1].data(), 7)
		}},
		{name: "SpectralNormSecond", in: []fence[T]{w3, dy3, up}, in64: fixed, out: []fence[T]{sw, sdy}, run: func() {
			SpectralNormSecond(sw.data(), sdy.data(), w3.data(), dy3.data(), up.data(), v, fixed[0].data(), fixed[1].data(), 7)
		}},
		{name: "PowerIteration", in: []fence[T]{w4}, in64: start, out64: append(moved, sigma), run: func() {
			u, r := moved[0].data(), moved[1].data()
			copy(u, start[0].data())
			copy(r, start[1].data())
			PowerIteration(w4.data(), v, u, r, 2, 1e-12)
			sigma.data()[0] = Sigma(w4.data(), v, u, r)
		}},
	}
}
