package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// weightNormCase is the input of one weight norm.
type weightNormCase[T Float] struct {
	view     View
	v, g, dw []T
}

// newWeightNormCase has a g of either sign.
func newWeightNormCase[T Float](view View, c condition) weightNormCase[T] {
	d := newData[T]()
	return weightNormCase[T]{
		view: view,
		v:    d.view(view, c),
		g:    d.normal(view.Channels, 0, 1),
		dw:   d.normal(view.Len(), 0, 1),
	}
}

// weightNormResult is what the kernels give for a case.
type weightNormResult[T Float] struct {
	norm, scale []float64
	w, dv, dg   []T
}

func (c weightNormCase[T]) run() weightNormResult[T] {
	var guard guards[T]
	var wide guards[float64]
	n, v, g, dw := c.view.Channels, guard.in(c.v), guard.in(c.g), guard.in(c.dw)
	r := weightNormResult[T]{
		norm: wide.out(n), scale: wide.out(n), w: guard.out(len(v)), dv: guard.out(len(v)), dg: guard.out(n),
	}
	Norms(v, c.view, r.norm)
	WeightScales(r.scale, v, g, c.view)
	WeightNormFwd(r.w, v, g, c.view)
	WeightNormBwd(r.dv, r.dg, v, g, dw, c.view)
	guard.check()
	wide.check()
	return r
}

// check compares the kernels with the oracle.
func (c weightNormCase[T]) check(t *testing.T, what string) {
	t.Helper()
	c.compare(t, what, c.run())
}

// compare compares r with the oracle, channel by channel.
func (c weightNormCase[T]) compare(t *testing.T, what string, r weightNormResult[T]) {
	t.Helper()
	n := c.view.Count()
	for ch := range c.view.Channels {
		at := indices(c.view, ch)
		v, dw, g := wide(c.v, at), wide(c.dw, at), num(float64(c.g[ch]))
		norm := normOf(v)
		scale := g.div(norm)
		compareSums[T](t, what+" norm", r.norm[ch:ch+1], []value{{norm, norm.hi}}, n)
		compareSums[T](t, what+" scale", r.scale[ch:ch+1], []value{{scale, scale.abs()}}, n)
		compare(t, what+" w", gather(r.w, at), directionFwd(v, g), n)
		dv, dg := directionBwd(v, dw, g)
		compare(t, what+" dv", gather(r.dv, at), dv, n)
		compare(t, what+" dg", r.dg[ch:ch+1], []value{dg}, n)
	}
}

// In channels of a few values often little of dw is left across v, and of one value
// nothing. dv has only the errors of float64 arithmetic and its own rounding.
func TestWeightNormGradientOfFew(t *testing.T) {
	for _, view := range []View{{1, 300, 1}, {1, 300, 2}, {2, 300, 1}, {1, 40, 3}, {3, 40, 1}, {1, 7, 4}, {4, 70000, 1}, {1, 70000, 4}, {2, 50, 2}} {
		c := newWeightNormCase[float32](view, condition{ratio: 1, scale: 1})
		for i, v := range c.v {
			if i%3 != 0 {
				c.dw[i] = v + 1e-3*c.dw[i] // nearly along v
			}
		}
		r := c.run()
		for ch := range view.Channels {
			at := indices(view, ch)
			v, dw := wide(c.v, at), wide(c.dw, at)
			want, _ := directionBwd(v, dw, num(float64(c.g[ch])))
			for i, w := range want {
				bound := 0x1p-24*math.Abs(w.want.hi) + 0x1p-50*w.size
				require.InDelta(t, w.want.hi, float64(r.dv[at[i]]), bound, "%v: dv[%d]", view, at[i])
			}
		}
	}
}

// Where dw is nearly along v, dv is a small part of dw; where dw is nearly across v, dg is a
// small part of Σ|dw·v̂|. Both have a few roundings of float32, and otherwise the errors of
// float64 arithmetic.
func TestWeightNormGradientCancels(t *testing.T) {
	skipUnderRace(t)
	paths(func(path string) {
		for _, view := range append(weightViews, View{1, 3, 5}, View{9, 40, 1}) {
			for _, left := range []float64{0, 1e-6, 1e-3, 0.1} {
				along, across := cancelling(view, left)
				r := along.run()
				for ch := range view.Channels {
					at := indices(view, ch)
					want, _ := directionBwd(wide(along.v, at), wide(along.dw, at), num(float64(along.g[ch])))
					var top float64
					for _, w := range want {
						top = max(top, math.Abs(w.want.hi))
					}
					for i, w := range want {
						require.InDelta(t, w.want.hi, float64(r.dv[at[i]]), 4*0x1p-24*top+0x1p-49*w.size, "%s %v, %v left: dv[%d]", path, view, left, at[i])
					}
				}
				r = across.run()
				for ch := range view.Channels {
					at := indices(view, ch)
					_, want := directionBwd(wide(across.v, at), wide(across.dw, at), num(float64(across.g[ch])))
					require.InDelta(t, want.want.hi, float64(r.dg[ch]), 0x1p-24*math.Abs(want.want.hi)+0x1p-50*want.size, "%s %v, %v left: dg[%d]", path, view, left, ch)
				}
			}
		}
	})
}

// cancelling returns cases whose dw is along v and across v, but for a part of it.
func cancelling(view View, part float64) (along, across weightNormCase[float32]) {
	along = newWeightNormCase[float32](view, condition{scale: 1})
	across = newWeightNormCase[float32](view, condition{scale: 1})
	for ch := range view.Channels {
		at := indices(view, ch)
		var squares, dots float64
		for _, i := range at {
			squares += float64(across.v[i]) * float64(across.v[i])
			dots += float64(across.v[i]) * float64(across.dw[i])
		}
		for _, i := range at {
			along.dw[i] = float32(1.7*float64(along.v[i]) + part*float64(along.dw[i]))
			across.dw[i] = float32(float64(across.dw[i]) - (1-part)*dots/squares*float64(across.v[i]))
		}
	}
	return along, across
}

func TestWeightNormSizes(t *testing.T) { both(t, weightNormSizes[float32], weightNormSizes[float64]) }

func weightNormSizes[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, v := range views() {
		newWeightNormCase[T](v, condition{scale: 1}).check(t, label("", v))
	}
}

func TestWeightNormConditions(t *testing.T) {
	both(t, weightNormConditions[float32], weightNormConditions[float64])
}

func weightNormConditions[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, c := range conditions {
		for _, v := range short {
			newWeightNormCase[T](v, c).check(t, label("", c, v))
		}
	}
}

// weightViews reach each loop, and each way to cut.
var weightViews = []View{{7, 5, 1}, {1, 5, 7}, {300, 70, 1}, {3, 5, 4}, {2, 3, 20000}, {1, 70, 1000}}

// Weight norm does not depend on the size of v: from 2ᵏ·v follow the same w and
// dg, and dv/2ᵏ. At k = ±665 (about 10^±200) the squares of v leave the range
// of float64, and from −530 to −480 they lose digits below its normal range;
// what the kernels give there is scaled back, which is exact, and compared with
// the oracle for v itself.
func TestWeightNormExtremes(t *testing.T) {
	for _, view := range weightViews {
		for _, k := range []int{-665, -530, -500, -480, -330, 330, 510, 665} {
			c := newWeightNormCase[float64](view, condition{scale: 1})
			scaled := c
			scaled.v = make([]float64, len(c.v))
			for i, x := range c.v {
				scaled.v[i] = math.Ldexp(x, k)
			}
			r := scaled.run()
			for i := range r.dv {
				r.dv[i] = math.Ldexp(r.dv[i], k)
			}
			for ch := range r.norm {
				r.norm[ch], r.scale[ch] = math.Ldexp(r.norm[ch], -k), math.Ldexp(r.scale[ch], k)
			}
			c.compare(t, label("", view, k), r)
		}
	}
}

// A norm below the normal range counts as 0, as 1/‖v‖ might overflow.
func TestWeightNormBelowRange(t *testing.T) {
	v, norm, w := []float64{3e-310, 4e-310, 3e-308, 4e-308}, make([]float64, 2), make([]float64, 4)
	Norms(v, View{1, 2, 2}, norm)
	require.InDeltaSlice(t, []float64{0, 5}, []float64{norm[0] * 0x1p1000, norm[1] * 1e308}, 1e-14)
	WeightNormFwd(w, v, []float64{2, 2}, View{1, 2, 2})
	require.InDeltaSlice(t, []float64{0, 0, 1.2, 1.6}, w, 1e-14)
}

func TestWeightNormZero(t *testing.T) { both(t, weightNormZero[float32], weightNormZero[float64]) }

// A channel of zeros gives zeros, and the others what they give without it.
func weightNormZero[T Float](t *testing.T) {
	for _, view := range weightViews {
		c := newWeightNormCase[T](view, condition{scale: 1})
		clean := c.run()
		zero := indices(view, 1)
		for _, i := range zero {
			c.v[i] = 0
		}
		got := c.run()
		for ch := range view.Channels {
			if ch != 1 {
				require.True(t, c.sameChannel(clean, got, ch), label("", view, ch))
			}
		}
		require.Zero(t, got.norm[1])
		require.Zero(t, got.scale[1])
		require.Zero(t, got.dg[1])
		for _, i := range zero {
			require.Zero(t, got.w[i])
			require.Zero(t, got.dv[i])
		}
	}
}

// A zero g: w = 0 and dv = 0, but dg is there, so that g can leave 0.
func TestWeightNormZeroG(t *testing.T) {
	for _, view := range weightViews {
		c := newWeightNormCase[float32](view, condition{scale: 1})
		c.g[2] = 0
		c.check(t, label("", view))
		require.NotZero(t, c.run().dg[2])
	}
}

// sameChannel says whether two results have the same bits in channel ch.
func (c weightNormCase[T]) sameChannel(a, b weightNormResult[T], ch int) bool {
	at := indices(c.view, ch)
	return sameBits(a.norm[ch:ch+1], b.norm[ch:ch+1]) &&
		sameBits(a.scale[ch:ch+1], b.scale[ch:ch+1]) &&
		sameBits(gather(a.w, at), gather(b.w, at)) &&
		sameBits(gather(a.dv, at), gather(b.dv, at)) &&
		sameBits(a.dg[ch:ch+1], b.dg[ch:ch+1])
}

func TestWeightNormIsolation(t *testing.T) {
	both(t, weightNormIsolation[float32], weightNormIsolation[float64])
}

// A NaN or an infinity spoils its own channel, and no bit of any other.
func weightNormIsolation[T Float](t *testing.T) {
	for _, view := range weightViews {
		c := newWeightNormCase[T](view, condition{scale: 1})
		clean := c.run()
		for _, poison := range poisons {
			at := indices(view, 1)
			i := at[len(at)/2]
			kept := c.v[i]
			c.v[i] = T(poison)
			got := c.run()
			c.v[i] = kept
			for ch := range view.Channels {
				require.Equal(t, ch != 1, c.sameChannel(clean, got, ch), label("", view, poison, ch))
			}
			require.True(t, allNaN(got.w[i:i+1]) && allNaN(got.dg[1:2]))
			if poison != poison {
				require.True(t, allNaN(gather(got.w, at)) && allNaN(gather(got.dv, at)))
			} else {
				require.True(t, math.IsInf(got.norm[1], 1))
			}
		}
	}
}

func TestWeightNormBwdInPlace(t *testing.T) {
	both(t, weightNormInPlace[float32], weightNormInPlace[float64])
}

// dv may be dw.
func weightNormInPlace[T Float](t *testing.T) {
	for _, view := range append(weightViews, View{600, 200, 1}, View{4, 3, 9000}) {
		c := newWeightNormCase[T](view, easy)
		want := c.run()
		dg := make([]T, view.Channels)
		WeightNormBwd(c.dw, dg, c.v, c.g, c.dw, view)
		require.True(t, sameBits(want.dv, c.dw))
		require.True(t, sameBits(want.dg, dg))
	}
}
