package kernel

import (
	"math"
	"testing"
)

// Float32 data near the ends of the range, where float32 arithmetic overflows or loses
// digits that data and results have. Each case was found by a fuzz target.
func TestExtremeFloat32(t *testing.T) {
	const top = math.MaxFloat32
	skipUnderRace(t)
	for _, v := range []View{{18, 2, 16}, {66, 14, 1}, {1, 3, 5000}, {40, 20, 1}} {
		c := newBatchNormCase[float32](v, 1e-5, condition{scale: 1})
		far := newStats(v.Channels)
		for ch := range v.Channels {
			far.Mean[ch], far.Rstd[ch] = 0, 1
		}
		far.Mean[0], far.Rstd[0] = -top/1.5, 1/top
		c.x[0], c.dy[0] = top, 3
		paths(func(path string) {
			c.checkFixed(t, label("x − mean and dy·(x − mean) overflow "+path, v), far)
			c.checkBatch(t, label("one largest value "+path, v))
		})

		large := newWeightNormCase[float32](v, condition{scale: 1})
		large.v[0], large.dw[0] = top, 3
		small := newWeightNormCase[float32](v, condition{scale: 1e-42})
		for ch := range v.Channels {
			small.v[ch*v.Inner] = 1e-42
		}
		paths(func(path string) {
			large.check(t, label("g/‖v‖ is denormal, dw·v overflows "+path, v))
			small.check(t, label("g/‖v‖ overflows "+path, v))
		})

		unit := newNormalizeCase[float32](v, Lp{2, 1e-45}, condition{scale: 1e-42})
		paths(func(path string) {
			y, dx := unit.run()
			unit.compareGroups(t, label("1/‖x‖ overflows "+path, v), y, dx)
		})
	}
}

// Where the definitions take over, they do so for one channel: the others keep their
// bits.
func TestExtremesAreIsolated(t *testing.T) {
	for _, v := range []View{{18, 5, 16}, {66, 14, 1}, {1, 3, 5000}} {
		c := newBatchNormCase[float32](v, 1e-5, condition{scale: 1})
		clean := c.run(nil)
		c.x[indices(v, 1)[0]] = math.MaxFloat32
		got := c.run(nil)
		channel := func(i int) bool { return i/v.Inner%v.Channels == 1 }
		for i := range clean.y {
			if !channel(i) && (bits(clean.y[i]) != bits(got.y[i]) || bits(clean.dx[i]) != bits(got.dx[i])) {
				t.Fatal(v, i)
			}
		}
	}
}

// The gradients of column norms have the same bits whatever scratch memory held before.
func TestColumnNormIgnoresOldMemory(t *testing.T) {
	p := Columns{Outer: 2, Rows: 3, Cols: 20, Eps: 1e-5, Uncentred: true}
	c := newColumnNormCase[float32](p, easy)
	want := c.run()
	for _, old := range []float64{0, 1, math.NaN(), 1e300} {
		for range 8 {
			var all []*Scratch[float64]
			for range 8 {
				s := Borrow[float64](4096)
				for i := range s.Data {
					s.Data[i] = old
				}
				all = append(all, s)
			}
			for _, s := range all {
				s.Release()
			}
			if got := c.run(); !sameBits(want.dgamma, got.dgamma) || !sameBits(want.dx, got.dx) {
				t.Fatal(old, want.dgamma, got.dgamma)
			}
		}
	}
}
