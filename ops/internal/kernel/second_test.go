package kernel

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// secondCase is the input of one second derivative of a norm.
type secondCase[T Float] struct {
	name  string
	g     grouping
	p     Rows
	stats *Stats
	batch bool
	in    SecondArgs[T]
}

// secondCases are the norms whose groups are the channels of a view, and those
// that see a view in another way.
func secondCases[T Float](v View, c condition, affine bool) (all []secondCase[T]) {
	d := newData[T]()
	add := func(name string, g grouping, p Rows, stats *Stats, batch bool) {
		n := g.Batches * g.Len()
		in := SecondArgs[T]{X: d.view(v, c)[:n], DY: d.normal(n, 0.2, 1), UX: d.normal(n, -0.3, 1)}
		if affine {
			in.Gamma, in.UGamma, in.UBeta = d.normal(g.Params, 1, 1), d.normal(g.Params, 0, 1), d.normal(g.Params, 0, 1)
		}
		all = append(all, secondCase[T]{name, g, p, stats, batch, in})
	}
	rows := rowsOf(v)
	for _, unbiased := range []bool{false, true} {
		p := Rows{Eps: 1e-2 * c.scale * c.scale, UnbiasedStd: unbiased}
		if unbiased {
			p.Eps = 1e-2 * c.scale
		}
		if !unbiased || rows.Cols > 1 {
			add("layer norm", grouping{1, View{1, rows.Rows, rows.Cols}, rows.Cols, 1}, p, nil, false)
		}
	}
	p := Rows{Eps: 1e-2 * c.scale * c.scale}
	add("group norm", grouping{1, View{1, v.Outer, v.Channels * v.Inner}, v.Channels, v.Inner}, p, nil, false)
	add("instance norm", grouping{1, View{1, v.Outer * v.Channels, v.Inner}, v.Channels, v.Inner}, p, nil, false)
	if v.Outer > 1 {
		add("batches of views", grouping{v.Outer, View{1, v.Channels, v.Inner}, v.Channels, v.Inner}, p, nil, false)
	}
	rms := Rows{Eps: p.Eps, Uncentred: true}
	add("rms norm", grouping{1, View{1, rows.Rows, rows.Cols}, rows.Cols, 1}, rms, nil, false)
	add("rms norm of columns", grouping{v.Outer, View{v.Channels, v.Inner, 1}, v.Channels, v.Inner}, rms, nil, false)
	for _, batch := range []bool{true, false} {
		add("batch norm", grouping{1, v, v.Channels, v.Inner}, p, nil, batch)
		x := &all[len(all)-1]
		x.stats = statsOf(x.in.X, v, p.Eps)
	}
	return all
}

// statsOf are the statistics of the batch.
func statsOf[T Float](x []T, v View, eps float64) *Stats {
	s := newStats(v.Channels)
	Moments(x, nil, v, eps, s.Mean, s.Residual, s.Rstd)
	for c, m2 := range s.Rstd {
		s.Rstd[c] = 1 / math.Sqrt(m2/float64(v.Count())+eps)
	}
	return &s
}

// do is the derivative of the case, from and to any memory.
func (c secondCase[T]) do(out SecondGrads[T], in SecondArgs[T]) {
	a := normSecond[T]{out: out, in: in, g: c.g, p: c.p, batch: c.batch}
	if c.stats != nil {
		a.stats, a.given = *c.stats, true
	}
	a.do()
}

func (c secondCase[T]) run() SecondGrads[T] {
	var g guards[T]
	in := SecondArgs[T]{X: g.in(c.in.X), Gamma: g.in(c.in.Gamma), DY: g.in(c.in.DY), UX: g.in(c.in.UX), UGamma: g.in(c.in.UGamma), UBeta: g.in(c.in.UBeta)}
	out := SecondGrads[T]{X: g.out(len(in.X)), DY: g.out(len(in.X))}
	if c.in.Gamma != nil {
		out.Gamma = g.out(c.g.Params)
	}
	c.do(out, in)
	g.check()
	return out
}

// elements returns the elements of a group and the numbers of their parameters, by the
// definition of grouping.
func (g grouping) elements(batch, c int) (at, params []int) {
	for _, i := range indices(g.View, c) {
		i += batch * g.Len()
		at, params = append(at, i), append(params, i/g.ParamInner%g.Params)
	}
	return at, params
}

// secondSum is ⟨ux, dx⟩ + ⟨uγ, dγ⟩ + ⟨uβ, dβ⟩ of one group, by the oracle of the first
// derivative. Parameters are spread over the elements.
type secondSum struct {
	x, gamma, dy, ux, ug, ub []dd
	p                        Rows
	fixed                    bool // mean and r are constants
	mean, r                  dd
}

func (s *secondSum) value() (sum dd) {
	var dx, dgamma, dbeta []value
	if s.p.Uncentred {
		dx, dgamma, dbeta = rmsBwd(s.x, s.gamma, s.dy, s.p)
	} else if s.fixed {
		for i := range s.x {
			d := s.gamma[i].mul(s.r).mul(s.dy[i])
			g := s.dy[i].mul(s.x[i].sub(s.mean)).mul(s.r)
			dx, dgamma, dbeta = append(dx, value{want: d}), append(dgamma, value{want: g}), append(dbeta, value{want: s.dy[i]})
		}
	} else {
		dx, dgamma, dbeta = rowBwd(s.x, s.gamma, s.dy, s.p)
	}
	for i := range s.x {
		sum = sum.add(dx[i].want.mul(s.ux[i])).add(dgamma[i].want.mul(s.ug[i])).add(dbeta[i].want.mul(s.ub[i]))
	}
	return sum
}

// rmsBwd is the gradient of x·r·γ + β with r = 1/√(Σx²/n + eps).
func rmsBwd(x, gamma, dy []dd, p Rows) (dx, dgamma, dbeta []value) {
	q := normOf(x)
	r, k := factorOf(q.mul(q), p)
	var along dd
	for i := range x {
		along = along.add(dy[i].mul(gamma[i]).mul(x[i]))
	}
	for i := range x {
		dx = append(dx, value{want: dy[i].mul(gamma[i]).mul(r).sub(x[i].mul(k).mul(along))})
		dgamma, dbeta = append(dgamma, value{want: dy[i].mul(x[i]).mul(r)}), append(dbeta, value{want: dy[i]})
	}
	return dx, dgamma, dbeta
}

// slope is the derivative of f by x[i], a central difference of fourth order in
// double-double: with a step of 2⁻²⁰ of the scale it errs by some 10⁻²⁴.
func slope(f func() dd, x []dd, i int, scale float64) dd {
	h := num(math.Ldexp(scale, -20))
	kept := x[i]
	at := func(k float64) dd {
		x[i] = kept.add(h.mul(num(k)))
		defer func() { x[i] = kept }()
		return f()
	}
	return at(1).sub(at(-1)).mul(num(8)).sub(at(2).sub(at(-2))).div(h.mul(num(12)))
}

// slopes are the derivatives of f by each element.
func slopes(f func() dd, x []dd, scale float64) []dd {
	d := make([]dd, len(x))
	for i := range x {
		d[i] = slope(f, x, i, scale)
	}
	return d
}

// size bounds the terms of the gradients by x and by dy.
func (s *secondSum) size() (x, dy float64) {
	r := s.r.hi
	if !s.fixed {
		_, m2, _ := spreadOf(s.x)
		if s.p.Uncentred {
			m2 = normOf(s.x).mul(normOf(s.x))
		}
		factor, _ := factorOf(m2, s.p)
		r = factor.hi
	}
	u, a, z, ug := 0.0, 0.0, 0.0, 0.0
	for i := range s.x {
		u, a = u+s.ux[i].abs(), a+s.gamma[i].mul(s.dy[i]).abs()
		z, ug = z+s.dy[i].mul(s.ug[i]).abs(), ug+s.ug[i].abs()+s.ub[i].abs()
	}
	return r*r*u*a + r*z, r*u*max(1, a) + ug
}

// check compares the kernel with differences of the first derivative.
func (c secondCase[T]) check(t *testing.T, what string, scale float64) {
	t.Helper()
	got := c.run()
	wantGamma, sizeGamma := make([]dd, c.g.Params), 0.0
	for b := range c.g.Batches {
		for ch := range c.g.Channels {
			at, params := c.g.elements(b, ch)
			spread := func(p []T, def float64) []dd {
				if p == nil {
					return constantDD(p, 0, def, len(at))
				}
				return wide(p, params)
			}
			s := &secondSum{x: wide(c.in.X, at), gamma: spread(c.in.Gamma, 1), dy: wide(c.in.DY, at),
				ux: wide(c.in.UX, at), ug: spread(c.in.UGamma, 0), ub: spread(c.in.UBeta, 0), p: c.p}
			s.p.Rows, s.p.Cols = 1, len(at)
			if c.stats != nil && !c.batch {
				s.fixed, s.r = true, num(c.stats.Rstd[ch])
				s.mean = num(c.stats.Mean[ch]).add(num(c.stats.Residual[ch]))
			}
			sizeX, sizeDY := s.size()
			requireClose(t, what+" x", gather(got.X, at), slopes(s.value, s.x, scale), sizeX)
			requireClose(t, what+" dy", gather(got.DY, at), slopes(s.value, s.dy, 1), sizeDY)
			for i, d := range slopes(s.value, s.gamma, 1) {
				wantGamma[params[i]] = wantGamma[params[i]].add(d)
			}
			sizeGamma += sizeDY
		}
	}
	if got.Gamma != nil {
		requireClose(t, what+" gamma", got.Gamma, wantGamma, sizeGamma)
	}
}

// requireClose allows for the rounding to T, and for some roundings of terms of the given
// size in the arithmetic before.
func requireClose[T Float](t *testing.T, what string, got []T, want []dd, size float64) {
	for i, w := range want {
		diff, limit := math.Abs(w.minus(float64(got[i]))), halfUlp[T](w.hi)+(50*0x1p-53+slack[T]())*size
		if !(diff <= limit) {
			t.Helper()
			t.Fatalf("%s[%d] is %v, want %v: error %.3g, limit %.3g", what, i, got[i], w.hi, diff, limit)
		}
	}
}

// secondViews have each kind of layout, with as many columns as rows too, and short and
// long runs.
var secondViews = []View{{2, 3, 5}, {4, 3, 1}, {1, 3, 7}, {1, 4, 4}, {5, 1, 4}, {2, 2, 33}, {3, 20, 1}, {1, 1, 2}, {2, 1, 1}}

func TestNormSecond(t *testing.T) { both(t, testNormSecond[float32], testNormSecond[float64]) }

func testNormSecond[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, cond := range []condition{{0, 1, false}, {1e2, 1, false}, {1e4, 1, false}, {10, 1e-6, false}, {10, 1e6, false}} {
		for _, v := range secondViews {
			for _, affine := range []bool{true, false} {
				for _, c := range secondCases[T](v, cond, affine) {
					c.check(t, label(c.name, v, cond, affine, c.p, c.batch), cond.scale)
				}
			}
		}
	}
}

// Groups beyond the size of a task give what they give by themselves: the cut
// makes no difference.
func TestNormSecondCuts(t *testing.T) { both(t, normSecondCuts[float32], normSecondCuts[float64]) }

func normSecondCuts[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, v := range []View{{1, 600, 70}, {4, 9, 3000}, {300, 131, 1}, {2, 1, 40000}} {
		for _, c := range secondCases[T](v, condition{scale: 1}, true) {
			whole := c.run()
			for _, ch := range []int{0, c.g.Channels / 2, c.g.Channels - 1} {
				at, _ := c.g.elements(c.g.Batches-1, ch)
				alone := c.alone(c.g.Batches-1, ch)
				what := fmt.Sprint(c.name, v, c.p)
				if v.Inner > 1 || c.stats != nil || c.g.Outer == 1 { // moments of pieces differ by roundings
					require.InDeltaSlice(t, alone.X, gather(whole.X, at), 1e-4, what)
					require.InDeltaSlice(t, alone.DY, gather(whole.DY, at), 1e-4, what)
				}
			}
			if v.Inner == 1 && c.g.Count() > 1 { // one view is enough
				require.InDeltaSlice(t, c.gammaOfGroups(), whole.Gamma, 1e-3, fmt.Sprint(c.name, v, c.p))
			}
			again := c.run()
			require.True(t, sameBits(whole.X, again.X) && sameBits(whole.DY, again.DY) && sameBits(whole.Gamma, again.Gamma))
		}
	}
}

// alone is the result for one group as if there were no other.
func (c secondCase[T]) alone(batch, ch int) SecondGrads[T] {
	at, params := c.g.elements(batch, ch)
	one := c
	one.g = grouping{1, View{1, 1, len(at)}, len(at), 1}
	one.in = SecondArgs[T]{gather(c.in.X, at), gather(c.in.Gamma, params), gather(c.in.DY, at),
		gather(c.in.UX, at), gather(c.in.UGamma, params), gather(c.in.UBeta, params)}
	if c.stats != nil {
		one.stats = &Stats{c.stats.Mean[ch:][:1], c.stats.Residual[ch:][:1], c.stats.Rstd[ch:][:1]}
	}
	return one.run()
}

// gammaOfGroups is the gradient by γ added up from those of the groups.
func (c secondCase[T]) gammaOfGroups() []float64 {
	sum := make([]float64, c.g.Params)
	for batch := range c.g.Batches {
		for ch := range c.g.Channels {
			_, params := c.g.elements(batch, ch)
			for i, d := range c.alone(batch, ch).Gamma {
				sum[params[i]] += float64(d)
			}
		}
	}
	return sum
}

// A constant row: P is what the mean leaves, and nothing is NaN.
func TestNormSecondOfConstantRows(t *testing.T) {
	for _, unbiased := range []bool{false, true} {
		c := secondCases[float64](View{1, 3, 7}, condition{scale: 1}, true)[0]
		c.p.UnbiasedStd = unbiased
		for i := range c.in.X {
			c.in.X[i] = 3
		}
		for _, v := range append(c.run().X, c.run().DY...) {
			require.False(t, math.IsNaN(v) || math.IsInf(v, 0))
		}
	}
}

// Where σ is tiny beside eps the derivative by x does not depend on σ, though small factors
// meet large ones.
func TestNormSecondOfNearlyConstantRows(t *testing.T) {
	for _, unbiased := range []bool{false, true} {
		at := func(scale float64) SecondGrads[float64] {
			c := secondCases[float64](View{1, 3, 7}, condition{scale: 1}, true)[0]
			c.p.UnbiasedStd = unbiased
			for i := range c.in.X {
				c.in.X[i] *= scale
			}
			return c.run()
		}
		want := at(1e-40)
		size := 0.0
		for _, v := range want.X {
			size = max(size, math.Abs(v))
		}
		for _, scale := range []float64{1e-100, 1e-120, 1e-150, 1e-155} {
			require.InDeltaSlice(t, want.X, at(scale).X, 1e-9*size, "unbiased %v, scale %v", unbiased, scale)
		}
	}
}

// secondCalls are the second derivatives, with that of a norm for each layout.
func secondCalls[T Float](v View, affine bool) (all []call[T]) {
	for _, c := range secondCases[T](v, easy, affine) {
		x, dy, ux := fenced(c.in.X), fenced(c.in.DY), fenced(c.in.UX)
		gamma, ug, ub := fenced(c.in.Gamma), fenced(c.in.UGamma), fenced(c.in.UBeta)
		in := SecondArgs[T]{X: x.data(), DY: dy.data(), UX: ux.data()}
		outX, outGamma, outDY := blank[T](len(c.in.X)), blank[T](len(c.in.Gamma)), blank[T](len(c.in.X))
		out := SecondGrads[T]{X: outX.data(), DY: outDY.data()}
		if affine {
			in.Gamma, in.UGamma, in.UBeta, out.Gamma = gamma.data(), ug.data(), ub.data(), outGamma.data()
		}
		all = append(all, call[T]{
			name: "second derivative of " + c.name, in: []fence[T]{x, dy, ux, gamma, ug, ub}, out: []fence[T]{outX, outGamma, outDY},
			run: func() { c.do(out, in) },
		})
	}
	args, _ := newWeightSecond[T](v, 1)
	x, g, dw, uv, ug := fenced(args.V), fenced(args.G), fenced(args.DW), fenced(args.UV), fenced(args.UG)
	outV, outG, outDW := blank[T](v.Len()), blank[T](v.Channels), blank[T](v.Len())
	dx, ddy := blank[T](v.Len()), blank[T](v.Len())
	lrnDX, lrnDDY, p := blank[T](v.Len()), blank[T](v.Len()), LocalResponse{Size: 3, Alpha: 1, Beta: 0.6, K: 1}
	all = append(all, call[T]{name: "NormalizeSecond", in: []fence[T]{x, dw, uv}, out: []fence[T]{dx, ddy}, run: func() {
		NormalizeSecond(dx.data(), ddy.data(), x.data(), dw.data(), uv.data(), v, Lp{P: 3, Eps: 1e-12})
	}}, call[T]{name: "LocalResponseNormSecond", in: []fence[T]{x, dw, uv}, out: []fence[T]{lrnDX, lrnDDY}, run: func() {
		LocalResponseNormSecond(lrnDX.data(), lrnDDY.data(), x.data(), dw.data(), uv.data(), v, p)
	}})
	return append(all, call[T]{
		name: "WeightNormSecond", in: []fence[T]{x, g, dw, uv, ug}, out: []fence[T]{outV, outG, outDW},
		run: func() {
			WeightNormSecond(WeightSecondGrads[T]{outV.data(), outG.data(), outDW.data()},
				WeightSecondArgs[T]{x.data(), g.data(), dw.data(), uv.data(), ug.data()}, v)
		},
	})
}
