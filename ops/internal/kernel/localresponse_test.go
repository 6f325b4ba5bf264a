package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// localCase is the input of one local response norm.
type localCase[T Float] struct {
	view  View
	p     LocalResponse
	x, dy []T
}

func newLocalCase[T Float](v View, p LocalResponse, c condition) localCase[T] {
	d := newData[T]()
	return localCase[T]{view: v, p: p, x: d.view(v, c), dy: d.normal(v.Len(), 0, 1)}
}

func (c localCase[T]) run() (y, dx []T) {
	var g guards[T]
	x, dy := g.in(c.x), g.in(c.dy)
	y, dx = g.out(len(x)), g.out(len(x))
	LocalResponseNormFwd(y, x, c.view, c.p)
	LocalResponseNormBwd(dx, x, dy, c.view, c.p)
	g.check()
	return y, dx
}

// localPowers are d^−β for those β that go without logarithms.
var localPowers = map[float64]func(d dd) dd{
	0.5:  func(d dd) dd { return num(1).div(d.sqrt()) },
	0.75: func(d dd) dd { return num(1).div(d.sqrt().mul(d.sqrt().sqrt())) },
	1:    func(d dd) dd { return num(1).div(d) },
	2:    func(d dd) dd { return num(1).div(d.mul(d)) },
	0.25: func(d dd) dd { return num(1).div(d.sqrt().sqrt()) },
}

// window returns the channels of the window of channel c.
func (c localCase[T]) window(ch int) (chs []int) {
	first := ch - c.p.Size/2
	if c.p.Mirrored {
		first = ch - (c.p.Size-1)/2
	}
	for i := first; i < first+c.p.Size; i++ {
		if i >= 0 && i < c.view.Channels {
			chs = append(chs, i)
		}
	}
	return chs
}

// oracle gives y and dx for the channels of one place, by the definition: each
// y depends on each x of its window.
func (c localCase[T]) oracle(x, dy []dd) (y, dx []value) {
	share := num(c.p.Alpha).div(num(float64(c.p.Size)))
	y, dx = make([]value, len(x)), make([]value, len(x))
	for ch := range x {
		d := num(c.p.K)
		for _, i := range c.window(ch) {
			d = d.add(share.mul(x[i].mul(x[i])))
		}
		f := localPowers[c.p.Beta](d)
		own := x[ch].mul(f)
		y[ch] = value{own, own.abs()}
		own = dy[ch].mul(f)
		dx[ch] = dx[ch].add(value{own, own.abs()})
		for _, i := range c.window(ch) {
			g := num(-2 * c.p.Beta).mul(share).mul(dy[ch]).mul(x[ch]).mul(x[i]).mul(f).div(d)
			dx[i] = dx[i].add(value{g, g.abs()})
		}
	}
	return y, dx
}

func (c localCase[T]) check(t *testing.T, what string) {
	t.Helper()
	y, dx := c.run()
	for o := range c.view.Outer {
		for i := range c.view.Inner {
			at := make([]int, c.view.Channels)
			for ch := range at {
				at[ch] = (o*c.view.Channels+ch)*c.view.Inner + i
			}
			wantY, wantDX := c.oracle(wide(c.x, at), wide(c.dy, at))
			compare(t, what+" y", gather(y, at), wantY, c.p.Size)
			compare(t, what+" dx", gather(dx, at), wantDX, c.p.Size)
		}
	}
}

var localViews = []View{
	{1, 1, 1}, {2, 5, 3}, {3, 7, 1}, {2, 6, 16}, {1, 13, 17}, {2, 96, 55}, {1, 300, 33}, {1, 2, 5000}, {40, 3, 30},
}

func TestLocalResponseNorm(t *testing.T) {
	both(t, localResponseNorm[float32], localResponseNorm[float64])
}

func localResponseNorm[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, v := range localViews {
		for _, size := range []int{1, 2, 3, 4, 5, 8, 9, 13, 40} {
			for _, mirrored := range []bool{false, true} {
				p := LocalResponse{size, 1.5, 0.75, 1, mirrored}
				newLocalCase[T](v, p, condition{ratio: 1, scale: 1}).check(t, label("", v, p))
			}
		}
	}
	for beta := range localPowers {
		p := LocalResponse{3, 0.5, beta, 2, false}
		newLocalCase[T](localViews[1], p, condition{scale: 1}).check(t, label("", p))
	}
	many := View{1, windowLen + 1, 2} // more than a window has elements
	newLocalCase[T](many, LocalResponse{3, 0.5, 0.75, 2, false}, condition{scale: 1}).check(t, label("", many))
	for _, c := range conditions {
		for _, k := range []float64{0, 1} {
			if k == 0 && c.scale < 1 {
				continue // dx is beyond the range of float32
			}
			p := LocalResponse{4, 0.5, 0.75, k, false}
			newLocalCase[T](View{2, 9, 5}, p, c).check(t, label("", p, c))
		}
	}
}

// Beyond the size of a task each place gives what it gives by itself.
func TestLocalResponseNormCuts(t *testing.T) {
	both(t, localResponseNormCuts[float32], localResponseNormCuts[float64])
}

func localResponseNormCuts[T Float](t *testing.T) {
	for _, v := range []View{{1, 2, 40003}, {3, 7, 5001}, {2, 2500, 35}} {
		for _, beta := range []float64{0.75, 0.5, 0.6} {
			c := newLocalCase[T](v, LocalResponse{5, 0.7, beta, 1.5, false}, condition{scale: 1})
			y, dx := c.run()
			for i := 0; i < v.Inner; i += 1 + i/40 {
				at := c.place(v.Outer-1, i)
				one := localCase[T]{View{1, v.Channels, 1}, c.p, gather(c.x, at), gather(c.dy, at)}
				oneY, oneDX := one.run()
				require.True(t, sameBits(oneY, gather(y, at)) && sameBits(oneDX, gather(dx, at)), label("", v, beta, i))
			}
		}
	}
}

// A value that is large or not finite changes the windows that it is in, and no bit of
// those after them.
func TestLocalResponseNormIsolation(t *testing.T) {
	p := LocalResponse{5, 1, 0.75, 1, false}
	for _, v := range []View{{1, 40, 7}, {2, 12, 1}} {
		c := newLocalCase[float64](v, p, condition{scale: 1})
		y, dx := c.run()
		for _, poison := range append(poisons, 1e100) {
			at := 3 * v.Inner // channel 3
			kept := c.x[at]
			c.x[at] = poison
			gotY, gotDX := c.run()
			c.x[at] = kept
			for i := range y {
				ch, near := i/v.Inner%v.Channels, i < v.Channels*v.Inner && i%v.Inner == 0
				require.Equal(t, !(near && ch >= 1 && ch <= 5), bits(y[i]) == bits(gotY[i]), label("", v, poison, i))
				if !near || ch > 3+4 {
					require.Equal(t, bits(dx[i]), bits(gotDX[i]), label("", v, poison, i))
				}
			}
		}
	}
}

// A window of nothing but zeros divides by k^β; where k is 0 too, it is NaN.
func TestLocalResponseNormOfZeros(t *testing.T) {
	c := localCase[float64]{View{1, 3, 1}, LocalResponse{3, 1, 0.75, 16, false}, make([]float64, 3), []float64{1, 2, 3}}
	y, dx := c.run()
	require.Equal(t, []float64{0, 0, 0}, y)
	require.InDeltaSlice(t, []float64{0.125, 0.25, 0.375}, dx, 1e-16)
	c.p.K = 0
	y, _ = c.run()
	require.True(t, math.IsNaN(y[1]))
}
