package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// runSecond returns the gradients of ⟨u, dx⟩ by x and dy.
func (c normalizeCase[T]) runSecond(u []T) (sx, sdy []T) {
	var g guards[T]
	n := len(c.x)
	sx, sdy = g.out(n), g.out(n)
	NormalizeSecond(sx, sdy, g.in(c.x), g.in(c.dy), g.in(u), c.view, c.p)
	g.check()
	return sx, sdy
}

// secondValues are results with one size of the terms.
func secondValues(want []dd, size float64) []value {
	v := make([]value, len(want))
	for i, w := range want {
		v[i] = value{w, size}
	}
	return v
}

// sizes bounds the terms of the gradients by x and by dy.
func (p Lp) sizes(x, dy, u []dd) (byX, byDY float64) {
	norm, _ := lpOf(x, p.P)
	n, bend, sumU, sumDY := max(norm.hi, p.Eps), 0.0, 0.0, 0.0
	for i, v := range x {
		bend = max(bend, p.bend(v.abs()/n))
		sumU, sumDY = sumU+u[i].abs(), sumDY+dy[i].abs()
	}
	if math.IsInf(p.P, 1) {
		p.P = 1
	}
	return (3 + p.P + bend) * sumU * sumDY / n / n, 2 * sumU / n
}

func TestNormalizeSecond(t *testing.T) {
	both(t, testNormalizeSecond[float32], testNormalizeSecond[float64])
}

// The second derivative agrees with differences of the first, also for a group whose norm
// is below eps and, where |x|^p is a polynomial, for an element that is 0.
func testNormalizeSecond[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, p := range lpNorms {
		for _, scale := range []float64{1, 1e-12, 1e12} {
			for _, view := range secondViews {
				c := newNormalizeCase[T](view, Lp{p, 1e-4 * scale}, condition{0.3, scale, false})
				u := newData[T]().normal(view.Len(), -0.3, 2)
				if (p == 2 || p == 4) && view.Channels > 1 {
					c.x[view.Inner] = 0
				}
				last := c.group(view.Outer-1, view.Inner-1)
				if view.Outer*view.Inner > 1 {
					for _, i := range last {
						c.x[i] *= 1e-6
					}
				}
				sx, sdy := c.runSecond(u)
				for o := range view.Outer {
					for i := range view.Inner {
						at := c.group(o, i)
						x, dy, ug := wide(c.x, at), wide(c.dy, at), wide(u, at)
						s := func() (sum dd) {
							for j, d := range lpBwd(x, dy, c.p) {
								sum = sum.add(d.want.mul(ug[j]))
							}
							return sum
						}
						byX, byDY := c.p.sizes(x, dy, ug)
						what := label("", p, scale, view, o, i)
						strictly(t, what+" x", gather(sx, at), secondValues(slopes(s, x, scale*1e-3), byX), len(at))
						strictly(t, what+" dy", gather(sdy, at), secondValues(slopes(s, dy, 1), byDY), len(at))
					}
				}
			}
		}
	}
}

// For p = +Inf ∂n/∂x is shared by the largest, and constant: with n = 2, q = (½, 0, −½),
// d = ⟨dy, x/n⟩ = −1½ and h = ⟨u, q⟩ = −2, the terms are those of the definition.
func TestNormalizeSecondOfTies(t *testing.T) {
	x, dy, u := []float64{2, 1, -2}, []float64{1, 3, 4}, []float64{3, 5, 7}
	c := normalizeCase[float64]{View{1, 3, 1}, Lp{math.Inf(1), 1e-12}, x, dy}
	sx, sdy := c.runSecond(u)
	const d, h, both = -1.5, -2, 3 + 15 + 28
	require.InDeltaSlice(t, []float64{((2*d*h-both)*0.5 + 2*1) / 4, 2.0 * 3 / 4, (-(2*d*h-both)*0.5 + 2*4) / 4}, sx, 1e-15)
	require.InDeltaSlice(t, []float64{(3 + 2) / 2.0, (5 + 1) / 2.0, (7 - 2) / 2.0}, sdy, 1e-15)
}

// At 0 |x|^p has no second derivative for p < 2, and 0 is taken; a group at eps is not
// below it.
func TestNormalizeSecondAtZeroAndEps(t *testing.T) {
	for _, p := range []float64{1, 1.5, 3} {
		c := normalizeCase[float64]{View{1, 2, 1}, Lp{p, 0.5}, []float64{0.5, 0}, []float64{3, 5}}
		sx, sdy := c.runSecond([]float64{7, 11})
		// n = ½, q = x̂ = (1, 0), d = 3, h = 7, ⟨u, dy⟩ = 76
		require.InDeltaSlice(t, []float64{4 * (2*3*7 - 76 - 3*7), 4 * (-5 * 7)}, sx, 1e-13, "p = %v", p)
		require.InDeltaSlice(t, []float64{0, 22}, sdy, 1e-15, "p = %v", p)
	}
}

// With p = 1 and n = 1, q = (1, 1), d = 3, h = 18 and ⟨u, dy⟩ = 76, however small the
// second element is.
func TestNormalizeSecondOfTinyElement(t *testing.T) {
	c := normalizeCase[float64]{View{1, 2, 1}, Lp{1, 1e-12}, []float64{1, 1e-310}, []float64{3, 5}}
	sx, sdy := c.runSecond([]float64{7, 11})
	require.InDeltaSlice(t, []float64{2*3*18 - 76 - 3*18, 2*3*18 - 76 - 5*18}, sx, 1e-13)
	require.InDeltaSlice(t, []float64{7 - 18, 11}, sdy, 1e-13)
}

// The gradient by x is of degree −2 in x and of degree 1 in dy and u, also where ‖x‖² leaves the
// range of float64.
func TestNormalizeSecondExtremes(t *testing.T) {
	for _, p := range lpNorms {
		c := newNormalizeCase[float64](View{2, 5, 3}, Lp{p, 1e-200}, condition{scale: 1})
		u := newData[float64]().normal(c.view.Len(), -0.3, 2)
		want, _ := c.runSecond(u)
		for _, k := range []int{-530, 530} {
			scaled := func(x []float64, k int) []float64 {
				y := make([]float64, len(x))
				for i, v := range x {
					y[i] = math.Ldexp(v, k)
				}
				return y
			}
			by := c
			by.x, by.dy = scaled(c.x, k), scaled(c.dy, k)
			got, _ := by.runSecond(scaled(u, k*9/10))
			require.True(t, sameBits(scaled(want, -k+k*9/10), got), label("", p, k))
		}
	}
}

// Beyond the size of a task each group gives what it gives by itself.
func TestNormalizeSecondCuts(t *testing.T) {
	for _, view := range []View{{90, 5, 100}, {20000, 3, 1}} {
		c := newNormalizeCase[float32](view, Lp{3, 1e-12}, condition{scale: 1})
		u := newData[float32]().normal(view.Len(), -0.3, 2)
		sx, sdy := c.runSecond(u)
		for o := 0; o < view.Outer; o += 7 {
			at := c.group(o, o%view.Inner)
			one := normalizeCase[float32]{View{1, view.Channels, 1}, c.p, gather(c.x, at), gather(c.dy, at)}
			x, dy := one.runSecond(gather(u, at))
			require.True(t, sameBits(x, gather(sx, at)) && sameBits(dy, gather(sdy, at)), label("", view, o))
		}
	}
}
