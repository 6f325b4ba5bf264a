package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// The textbook formulas in double-double. A channel of batch norm is a row
// with one gamma and one beta, so that rows serve both.

// value is an expected result with the size of the terms that it is the sum
// of: rounding errors are relative to size, which is far above the result
// where terms cancel.
type value struct {
	want dd
	size float64
}

func (v value) add(w value) value { return value{v.want.add(w.want), v.size + w.size} }

func sumOf(vs []value) (s value) {
	for _, v := range vs {
		s = s.add(v)
	}
	return s
}

// spreadOf gives the mean, the sum of squared deviations m2 and the standard
// deviation, Σ(x − mean)²/n under the root.
func spreadOf(x []dd) (mean, m2 dd, sigma float64) {
	n := num(float64(len(x)))
	for _, v := range x {
		mean = mean.add(v)
	}
	mean = mean.div(n)
	for _, v := range x {
		e := v.sub(mean)
		m2 = m2.add(e.mul(e))
	}
	return mean, m2, math.Sqrt(m2.hi / n.hi)
}

// spreadAbout is spreadOf, or the same about 0 where a row is not centred.
func spreadAbout(x []dd, p Rows) (mean, m2 dd, sigma float64) {
	if !p.Uncentred {
		return spreadOf(x)
	}
	for _, v := range x {
		m2 = m2.add(v.mul(v))
	}
	return dd{}, m2, math.Sqrt(m2.hi / float64(len(x)))
}

// factorOf gives r, the factor that normalizes a row, and the coefficient k of
// its derivative ∂r/∂x = −k·(x − mean), by the chain rule through the root.
func factorOf(m2 dd, p Rows) (r, k dd) {
	n, one, eps := num(float64(p.Cols)), num(1), num(p.Eps)
	if !p.UnbiasedStd {
		r = one.div(m2.div(n).add(eps).sqrt())
		return r, r.mul(r).mul(r).div(n)
	}
	m := n.sub(one)
	sigma := m2.div(m).sqrt()
	r = one.div(sigma.add(eps))
	if sigma.hi == 0 {
		return r, dd{}
	}
	return r, r.mul(r).div(m.mul(sigma))
}

// rowFwd is y = (x − mean)·r·gamma + beta.
func rowFwd(x, gamma, beta []dd, p Rows) []value {
	mean, m2, sigma := spreadAbout(x, p)
	r, _ := factorOf(m2, p)
	y := make([]value, len(x))
	for i := range x {
		e := x[i].sub(mean)
		y[i].want = e.mul(r).mul(gamma[i]).add(beta[i])
		y[i].size = (e.abs()+sigma)*r.hi*gamma[i].abs() + beta[i].abs()
	}
	return y
}

// rowBwd is the gradient of rowFwd: dx by the chain rule, and for each element
// its contributions to dγ and dβ.
func rowBwd(x, gamma, dy []dd, p Rows) (dx, dgamma, dbeta []value) {
	mean, m2, sigma := spreadAbout(x, p)
	r, k := factorOf(m2, p)
	dx, dgamma, dbeta = make([]value, len(x)), make([]value, len(x)), make([]value, len(x))
	var su, se value // Σu and Σu·(x − mean)
	for i := range x {
		e, u := x[i].sub(mean), dy[i].mul(gamma[i])
		dgamma[i] = value{dy[i].mul(e).mul(r), dy[i].abs() * (e.abs() + sigma) * r.hi}
		dbeta[i] = value{dy[i], dy[i].abs()}
		su = su.add(value{u, u.abs()})
		se = se.add(value{u.mul(e), u.abs() * (e.abs() + sigma)})
	}
	n := num(float64(len(x)))
	for i := range x {
		e, u := x[i].sub(mean), dy[i].mul(gamma[i])
		if p.Uncentred {
			su.want = dd{}
		}
		dx[i].want = u.sub(su.want.div(n)).mul(r).sub(e.mul(k).mul(se.want))
		dx[i].size = r.hi*(u.abs()+su.size/n.hi) + k.hi*(e.abs()+sigma)*se.size
	}
	return dx, dgamma, dbeta
}

// fixedBwd is the gradient of a channel whose mean and r are constants.
func fixedBwd(x, dy []dd, gamma, mean, r dd) (dx, dgamma []value) {
	dx, dgamma = make([]value, len(x)), make([]value, len(x))
	for i := range x {
		d := gamma.mul(r).mul(dy[i])
		dx[i] = value{d, d.abs()}
		g := dy[i].mul(x[i].sub(mean)).mul(r)
		dgamma[i] = value{g, g.abs()}
	}
	return dx, dgamma
}

func normOf(v []dd) (s dd) {
	for _, x := range v {
		s = s.add(x.mul(x))
	}
	return s.sqrt()
}

// directionFwd is w = g·v/‖v‖.
func directionFwd(v []dd, g dd) []value {
	norm := normOf(v)
	w := make([]value, len(v))
	for i := range v {
		x := g.mul(v[i]).div(norm)
		w[i] = value{x, x.abs()}
	}
	return w
}

// directionBwd is the gradient of directionFwd, by the quotient rule:
// dv = g·dw/‖v‖ − g·v·Σ(dw·v)/‖v‖³.
func directionBwd(v, dw []dd, g dd) (dv []value, dg value) {
	norm := normOf(v)
	var along value
	for i := range v {
		p := dw[i].mul(v[i])
		along = along.add(value{p, p.abs()})
	}
	dg = value{along.want.div(norm), along.size / norm.hi}
	dv = make([]value, len(v))
	cube := norm.mul(norm).mul(norm)
	for i := range v {
		a, b := g.mul(dw[i]).div(norm), g.mul(v[i]).mul(along.want).div(cube)
		dv[i] = value{a.sub(b), a.abs() + g.mul(v[i]).abs()*along.size/cube.hi}
	}
	return dv, dg
}

func randomDD(r *rand.Rand, n int) []dd {
	x := make([]dd, n)
	for i := range x {
		x[i] = num(r.NormFloat64())
	}
	return x
}

// checkSlope compares d, the oracle's gradient of Σ dy·f with respect to x,
// with a central difference in double-double: its error is h² ≈ 10⁻²⁰ of the
// third derivative.
func checkSlope(t *testing.T, f func() []value, x, dy []dd, d func(i int) dd) {
	t.Helper()
	cost := func() (s dd) {
		for i, y := range f() {
			s = s.add(y.want.mul(dy[i]))
		}
		return s
	}
	h := num(0x1p-33)
	for i, v := range x {
		x[i] = v.add(h)
		up := cost()
		x[i] = v.sub(h)
		down := cost()
		x[i] = v
		require.InDelta(t, 0, up.sub(down).div(h.add(h)).sub(d(i)).hi, 1e-17)
	}
}

// The oracle's gradients are the derivatives of the oracle's forward formulas.
func TestOracleGradients(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const n = 6
	x, gamma, beta, dy := randomDD(r, n), randomDD(r, n), randomDD(r, n), randomDD(r, n)
	for _, p := range []Rows{
		{Rows: 1, Cols: n, Eps: 0.125}, {Rows: 1, Cols: n, Eps: 0.125, UnbiasedStd: true}, {Rows: 1, Cols: n, Eps: 0.125, Uncentred: true},
	} {
		f := func() []value { return rowFwd(x, gamma, beta, p) }
		dx, dgamma, dbeta := rowBwd(x, gamma, dy, p)
		checkSlope(t, f, x, dy, func(i int) dd { return dx[i].want })
		checkSlope(t, f, gamma, dy, func(i int) dd { return dgamma[i].want })
		checkSlope(t, f, beta, dy, func(i int) dd { return dbeta[i].want })
	}
	g := randomDD(r, 1)
	f := func() []value { return directionFwd(x, g[0]) }
	dv, dg := directionBwd(x, dy, g[0])
	checkSlope(t, f, x, dy, func(i int) dd { return dv[i].want })
	checkSlope(t, f, g, dy, func(int) dd { return dg.want })
}
