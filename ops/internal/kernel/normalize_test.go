package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// normalizeCase is the input of one Normalize, whose groups lie along the axis of
// the channels of a view.
type normalizeCase[T Float] struct {
	view  View
	p     Lp
	x, dy []T
}

func newNormalizeCase[T Float](v View, p Lp, c condition) normalizeCase[T] {
	d := newData[T]()
	return normalizeCase[T]{view: v, p: p, x: d.normal(v.Len(), c.ratio, c.scale), dy: d.normal(v.Len(), 0, 1)}
}

func (c normalizeCase[T]) run() (y, dx []T) {
	var g guards[T]
	x, dy := g.in(c.x), g.in(c.dy)
	y, dx = g.out(len(x)), g.out(len(x))
	NormalizeFwd(y, x, c.view, c.p)
	NormalizeBwd(dx, x, dy, c.view, c.p)
	g.check()
	return y, dx
}

// group returns the elements of a group, which have the same indices before and after the
// axis.
func (c normalizeCase[T]) group(outer, inner int) (at []int) {
	for k := range c.view.Channels {
		at = append(at, (outer*c.view.Channels+k)*c.view.Inner+inner)
	}
	return at
}

// cbrt is the cube root, by Newton's iteration.
func (a dd) cbrt() dd {
	if a.hi == 0 {
		return dd{}
	}
	r := num(math.Cbrt(a.hi))
	for range 2 {
		r = r.sub(r.mul(r).mul(r).sub(a).div(num(3).mul(r).mul(r)))
	}
	return r
}

// lpPowers are, for those p that go without logarithms, |x|^p, its inverse, and
// |x|^(p−1).
var lpPowers = map[float64]struct{ power, root, slope func(dd) dd }{
	1:   {func(a dd) dd { return a }, func(s dd) dd { return s }, func(dd) dd { return num(1) }},
	1.5: {func(a dd) dd { return a.mul(a.sqrt()) }, func(s dd) dd { return s.mul(s).cbrt() }, dd.sqrt},
	2:   {func(a dd) dd { return a.mul(a) }, dd.sqrt, func(a dd) dd { return a }},
	3:   {func(a dd) dd { return a.mul(a).mul(a) }, dd.cbrt, func(a dd) dd { return a.mul(a) }},
	4: {
		func(a dd) dd { return a.mul(a).mul(a.mul(a)) }, func(s dd) dd { return s.sqrt().sqrt() },
		func(a dd) dd { return a.mul(a).mul(a) },
	},
}

// lpOf returns the norm of x and its derivatives.
func lpOf(x []dd, p float64) (norm dd, slopes []dd) {
	signed := func(v, a dd) dd {
		if v.hi < 0 {
			return a.neg()
		}
		return a
	}
	positive := func(v dd) dd { return signed(v, v) }
	slopes = make([]dd, len(x))
	if math.IsInf(p, 1) {
		ties := 0.0
		for _, v := range x {
			if a := v.abs(); a > norm.hi {
				norm, ties = positive(v), 1
			} else if a == norm.hi {
				ties++
			}
		}
		for i, v := range x {
			if v.abs() == norm.hi {
				slopes[i] = signed(v, num(1).div(num(ties)))
			}
		}
		return norm, slopes
	}
	f := lpPowers[p]
	for _, v := range x {
		norm = norm.add(f.power(positive(v)))
	}
	norm = f.root(norm)
	for i, v := range x {
		if v.hi != 0 {
			slopes[i] = signed(v, f.slope(positive(v).div(norm)))
		}
	}
	return norm, slopes
}

// lpFwd and lpBwd are the definitions.
func lpFwd(x []dd, p Lp) []value {
	n, _ := lpOf(x, p.P)
	if n.hi < p.Eps {
		n = num(p.Eps)
	}
	y := make([]value, len(x))
	for i, v := range x {
		y[i] = value{v.div(n), v.abs() / n.hi}
	}
	return y
}

func lpBwd(x, dy []dd, p Lp) []value {
	n, slopes := lpOf(x, p.P)
	dx := make([]value, len(x))
	if n.hi < p.Eps {
		for i, d := range dy {
			dx[i] = value{d.div(num(p.Eps)), d.abs() / p.Eps}
		}
		return dx
	}
	var along value
	for i, v := range x {
		t := dy[i].mul(v)
		along = along.add(value{t, t.abs()})
	}
	for i, d := range dy {
		a, b := d.div(n), along.want.div(n).div(n).mul(slopes[i])
		dx[i] = value{a.sub(b), a.abs() + along.size/n.hi/n.hi*slopes[i].abs()}
	}
	return dx
}

// compareGroups compares results with the oracle, group by group.
func (c normalizeCase[T]) compareGroups(t *testing.T, what string, y, dx []T) {
	t.Helper()
	for o := range c.view.Outer {
		for i := range c.view.Inner {
			at := c.group(o, i)
			x, dy := wide(c.x, at), wide(c.dy, at)
			compare(t, what+" y", gather(y, at), lpFwd(x, c.p), len(at))
			compare(t, what+" dx", gather(dx, at), lpBwd(x, dy, c.p), len(at))
		}
	}
}

var lpNorms = []float64{1, 1.5, 2, 3, 4, math.Inf(1)}

// normalizeViews reach each loop, and each way to cut.
var normalizeViews = []View{
	{7, 5, 1}, {3, 5, 4}, {1, 6, 70}, {1, 1, 1}, {2, 1, 3}, {300, 70, 1}, {2, 600, 70}, {1, 5000, 3}, {9000, 3, 1},
	{2, 3, 9000}, {300, 5, 16}, {1, 20000, 1}, {33, 130, 17}, {1, 3, 40000},
}

func TestNormalizeSizes(t *testing.T) { both(t, normalizeSizes[float32], normalizeSizes[float64]) }

func normalizeSizes[T Float](t *testing.T) {
	skipUnderRace(t)
	vs := normalizeViews
	for _, n := range lengths() {
		vs = append(vs, View{3, n, 1}, View{2, n, 3})
	}
	for _, p := range lpNorms {
		for _, v := range vs {
			c := newNormalizeCase[T](v, Lp{p, 1e-12}, condition{ratio: 1, scale: 1})
			y, dx := c.run()
			c.compareGroups(t, label("", p, v), y, dx)
		}
	}
}

func TestNormalizeConditions(t *testing.T) {
	both(t, normalizeConditions[float32], normalizeConditions[float64])
}

func normalizeConditions[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, p := range lpNorms {
		for _, cond := range conditions {
			for _, v := range []View{{2, 40, 1}, {2, 7, 3}, {1, 600, 5}} {
				c := newNormalizeCase[T](v, Lp{p, 1e-35}, cond)
				y, dx := c.run()
				c.compareGroups(t, label("", p, cond, v), y, dx)
			}
		}
	}
}

// Powers that leave the range of float64 change nothing: from 2ᵏ·x follow the
// same y, and dx/2ᵏ.
func TestNormalizeExtremes(t *testing.T) {
	for _, p := range lpNorms {
		for _, v := range []View{{3, 40, 1}, {2, 7, 3}} {
			for _, k := range []int{-900, -665, -500, -330, 330, 510, 665, 900} {
				c := newNormalizeCase[float64](v, Lp{p, 0x1p-1000}, condition{scale: 1})
				scaled := c
				scaled.x = make([]float64, len(c.x))
				for i, x := range c.x {
					scaled.x[i] = math.Ldexp(x, k)
				}
				y, dx := scaled.run()
				for i := range dx {
					dx[i] = math.Ldexp(dx[i], k)
				}
				c.compareGroups(t, label("", p, v, k), y, dx)
			}
		}
	}
}

func TestNormalizeBelowEps(t *testing.T) {
	both(t, normalizeBelowEps[float32], normalizeBelowEps[float64])
}

// Below eps, and at 0, y = x/eps and dx = dy/eps; the other groups do not notice.
func normalizeBelowEps[T Float](t *testing.T) {
	for _, p := range lpNorms {
		for _, v := range []View{{3, 40, 1}, {2, 7, 3}, {1, 5, 70}} {
			for _, small := range []float64{0, 1e-9} {
				c := newNormalizeCase[T](v, Lp{p, 1e-3}, condition{scale: 1})
				for _, i := range c.group(0, v.Inner-1) {
					c.x[i] *= T(small)
				}
				y, dx := c.run()
				c.compareGroups(t, label("", p, v, small), y, dx)
			}
		}
	}
}

// A group at eps is not below it.
func TestNormalizeAtEps(t *testing.T) {
	for _, p := range lpNorms {
		c := normalizeCase[float64]{View{1, 2, 1}, Lp{p, 0.5}, []float64{0.5, 0}, []float64{3, 5}}
		y, dx := c.run()
		require.Equal(t, []float64{1, 0}, y)
		require.Equal(t, []float64{0, 10}, dx, "p = %v", p)
	}
}

// At 0 the derivative of |x| is 0, and several largest share that of their
// maximum.
func TestNormalizeSubgradients(t *testing.T) {
	x, dy := []float64{2, 0, -2, 1}, []float64{1, 1, 3, 2}
	_, dx := normalizeCase[float64]{View{1, 4, 1}, Lp{1, 1e-12}, x, dy}.run()
	along := (1.0*2 - 3*2 + 2*1) / 25
	require.InDeltaSlice(t, []float64{1.0/5 - along, 1.0 / 5, 3.0/5 + along, 2.0/5 - along}, dx, 1e-15)

	_, dx = normalizeCase[float64]{View{1, 4, 1}, Lp{math.Inf(1), 1e-12}, x, dy}.run()
	along = (1.0*2 - 3*2 + 2*1) / 4
	require.InDeltaSlice(t, []float64{1.0/2 - along/2, 1.0 / 2, 3.0/2 + along/2, 2.0 / 2}, dx, 1e-15)
}

func TestNormalizeIsolation(t *testing.T) {
	both(t, normalizeIsolation[float32], normalizeIsolation[float64])
}

// A NaN or an infinity spoils its own group, and no bit of any other. In the group, a norm
// that is NaN makes all elements NaN, and one that is infinite makes the others 0.
func normalizeIsolation[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, p := range lpNorms {
		for _, v := range []View{{3, 40, 1}, {2, 7, 3}, {2, 5, 70}} {
			c := newNormalizeCase[T](v, Lp{p, 1e-12}, easy)
			y, dx := c.run()
			for _, poison := range poisons {
				bad := c.group(1, 0)
				i := bad[len(bad)/2]
				kept := c.x[i]
				c.x[i] = T(poison)
				gotY, gotDX := c.run()
				c.x[i] = kept
				for _, j := range bad {
					switch {
					case j == i || math.IsNaN(poison):
						require.True(t, allNaN(gotY[j:j+1]), label("", p, v, poison))
					default:
						require.Zero(t, gotY[j], label("", p, v, poison))
					}
				}
				require.True(t, allNaN(gather(gotDX, bad)), label("", p, v, poison))
				for o := range v.Outer {
					for k := range v.Inner {
						at := c.group(o, k)
						same := sameBits(gather(y, at), gather(gotY, at)) && sameBits(gather(dx, at), gather(gotDX, at))
						require.Equal(t, o != 1 || k != 0, same, label("", p, v, poison, o, k))
					}
				}
			}
		}
	}
}
