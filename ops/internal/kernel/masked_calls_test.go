package kernel

import "testing"

// maskedCalls are the kernels with a mask.
func maskedCalls[T Float](v View, affine bool) []call[T] {
	n, c := v.Len(), v.Channels
	mask := fenced(maskOf[T](v.Outer*v.Inner, 3, 0))
	group := GroupShape{v.Outer, c, c, v.Inner, 1e-5}
	with := func(name string, results, sums int, run func(in, out [][]T, gamma, beta, mask []T, s Stats)) call[T] {
		k := call[T]{name: name}
		var in, out [][]T
		for range 3 {
			f := input[T](n)
			k.in, in = append(k.in, f), append(in, f.data())
		}
		fg, gamma := optional[T](c, affine)
		fb, beta := optional[T](c, affine)
		for range results {
			f := blank[T](n)
			k.out, out = append(k.out, f), append(out, f.data())
		}
		for range sums {
			f := blank[T](c)
			k.out, out = append(k.out, f), append(out, f.data())
		}
		var s Stats
		k.in64, s = statsInput(c)
		k.in = append(k.in, fg, fb, mask)
		k.run = func() { run(in, out, gamma, beta, mask.data(), s) }
		return k
	}
	x, mean, res, m2 := input[T](n), blank[float64](c), blank[float64](c), blank[float64](c)
	second := func(in, out [][]T, gamma []T) (SecondGrads[T], SecondArgs[T]) {
		return SecondGrads[T]{X: out[0], DY: out[1], Gamma: out[2]}, SecondArgs[T]{X: in[0], DY: in[1], UX: in[2], Gamma: gamma}
	}
	return []call[T]{
		{name: "masked Moments", in: []fence[T]{x, mask}, out64: []fence[float64]{mean, res, m2}, run: func() {
			Moments(x.data(), mask.data(), v, 1e-5, mean.data(), res.data(), m2.data())
		}},
		with("masked BatchNormFwd", 1, 0, func(in, out [][]T, gamma, beta, mask []T, s Stats) {
			BatchNormFwd(out[0], in[0], mask, gamma, beta, v, s)
		}),
		with("masked BatchNormBwd", 1, 2, func(in, out [][]T, gamma, _, mask []T, s Stats) {
			BatchNormBwd(out[0], out[1], out[2], in[0], mask, gamma, in[1], v, s, true)
		}),
		with("masked BatchNormSecond", 2, 1, func(in, out [][]T, gamma, _, mask []T, s Stats) {
			o, i := second(in, out, gamma)
			BatchNormSecond(o, i, mask, v, s, true)
		}),
		with("masked GroupNormFwd", 1, 0, func(in, out [][]T, gamma, beta, mask []T, _ Stats) {
			GroupNormFwd(out[0], in[0], mask, gamma, beta, group)
		}),
		with("masked GroupNormBwd", 1, 2, func(in, out [][]T, gamma, _, mask []T, _ Stats) {
			GroupNormBwd(out[0], out[1], out[2], in[0], mask, gamma, in[1], group)
		}),
		with("masked GroupNormSecond", 2, 1, func(in, out [][]T, gamma, _, mask []T, _ Stats) {
			o, i := second(in, out, gamma)
			GroupNormSecond(o, i, mask, group)
		}),
	}
}

var maskedBenchViews = []struct {
	name string
	v    View
}{{"32x64x3136", View{32, 64, 3136}}, {"64x128x100", View{64, 128, 100}}, {"6400x128", View{6400, 128, 1}}}

// BenchmarkMasked is batch and group norm with nothing and with a third of padding,
// beside those without a mask.
func BenchmarkMasked(b *testing.B) {
	for _, s := range maskedBenchViews {
		n := s.v.Outer * s.v.Inner
		masks := map[string][]float32{"none": nil, "full": maskOf[float32](n, n, 0), "third": maskOf[float32](n, s.v.Inner/2+33, 0)}
		for _, name := range []string{"none", "full", "third"} {
			m := newMaskedData[float32](s.v, masks[name])
			p := GroupShape{s.v.Outer, s.v.Channels, 32, s.v.Inner, 1e-5}
			for c := range m.s.Rstd {
				m.s.Rstd[c] = 1
			}
			for pass, run := range map[string]func(){
				"moments":  func() { Moments(m.x, m.mask, s.v, 1e-5, m.s.Mean, m.s.Residual, make([]float64, s.v.Channels)) },
				"batchfwd": func() { BatchNormFwd(m.y, m.x, m.mask, m.gamma, m.beta, s.v, m.s) },
				"batchbwd": func() { BatchNormBwd(m.dx, m.dgamma, m.dbeta, m.x, m.mask, m.gamma, m.dy, s.v, m.s, true) },
				"groupfwd": func() { GroupNormFwd(m.y, m.x, m.mask, m.gamma, m.beta, p) },
				"groupbwd": func() { GroupNormBwd(m.dx, m.dgamma, m.dbeta, m.x, m.mask, m.gamma, m.dy, p) },
			} {
				b.Run(s.name+"/"+pass+"/"+name, func(b *testing.B) {
					run()
					for b.Loop() {
						run()
					}
				})
			}
		}
	}
}
