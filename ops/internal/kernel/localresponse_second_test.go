package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// place returns the elements of all channels at one place.
func (c localCase[T]) place(outer, inner int) (at []int) {
	return normalizeCase[T]{view: c.view}.group(outer, inner)
}

// runSecond returns the gradients of ⟨u, dx⟩ by x and dy.
func (c localCase[T]) runSecond(u []T) (sx, sdy []T) {
	var g guards[T]
	n := len(c.x)
	sx, sdy = g.out(n), g.out(n)
	LocalResponseNormSecond(sx, sdy, g.in(c.x), g.in(c.dy), g.in(u), c.view, c.p)
	g.check()
	return sx, sdy
}

// sizes bounds the terms of the gradients by x and by dy, with K for d.
func (p LocalResponse) sizes(x, dy, u []dd) (byX, byDY float64) {
	var sx, sdy, su float64
	for i := range x {
		sx, sdy, su = sx+x[i].abs(), sdy+dy[i].abs(), su+u[i].abs()
	}
	power, k := math.Pow(p.K, -p.Beta), 2*p.Beta*p.share()
	byDY = power*su + k*sx*sx*su*power/p.K
	return (2*k*sdy*sx*su + 2*p.share()*sx*sdy*su*(k*(p.Beta+1)*sx*sx/p.K+p.Beta)) * power / p.K, byDY
}

func TestLocalResponseNormSecond(t *testing.T) {
	both(t, localResponseNormSecond[float32], localResponseNormSecond[float64])
}

// The second derivative agrees with differences of the first.
func localResponseNormSecond[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, v := range []View{{2, 1, 1}, {2, 5, 2}, {1, 8, 1}} {
		for beta := range localPowers {
			for _, size := range []int{1, 2, 3, 4, 9} {
				p := LocalResponse{size, 0.7, beta, 1.5, size&1 == 0 && beta < 1}
				c := newLocalCase[T](v, p, condition{ratio: 0.3, scale: 1})
				u := newData[T]().normal(v.Len(), -0.3, 2)
				sx, sdy := c.runSecond(u)
				for o := range v.Outer {
					for i := range v.Inner {
						at := c.place(o, i)
						x, dy, up := wide(c.x, at), wide(c.dy, at), wide(u, at)
						s := func() (sum dd) {
							_, dx := c.oracle(x, dy)
							for j, d := range dx {
								sum = sum.add(d.want.mul(up[j]))
							}
							return sum
						}
						byX, byDY := p.sizes(x, dy, up)
						what := label("", v, p, o, i)
						strictly(t, what+" x", gather(sx, at), secondValues(slopes(s, x, 1), byX), size)
						strictly(t, what+" dy", gather(sdy, at), secondValues(slopes(s, dy, 1), byDY), size)
					}
				}
			}
		}
	}
}

// Beyond the size of a task each place gives what it gives by itself.
func TestLocalResponseNormSecondCuts(t *testing.T) {
	v := View{90, 5, 100}
	c := newLocalCase[float32](v, LocalResponse{3, 0.7, 0.6, 1.5, false}, condition{scale: 1})
	u := newData[float32]().normal(v.Len(), -0.3, 2)
	sx, sdy := c.runSecond(u)
	for o := 0; o < v.Outer; o += 7 {
		at := c.place(o, o)
		one := localCase[float32]{View{1, v.Channels, 1}, c.p, gather(c.x, at), gather(c.dy, at)}
		x, dy := one.runSecond(gather(u, at))
		require.True(t, sameBits(x, gather(sx, at)) && sameBits(dy, gather(sdy, at)), label("", o))
	}
}
