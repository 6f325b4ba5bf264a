package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// Float32 data near the ends of the range, where float32 arithmetic overflows or loses
// digits that data and results have. Each case was found by a fuzz target.
func TestExtremeFloat32(t *testing.T) {
	const top = math.MaxFloat32
	skipUnderRace(t)
	for _, v := range []View{{18, 2, 16}, {66, 14, 1}, {1, 3, 5000}, {40, 20, 1}, {100, 10, 3}} {
		c := newBatchNormCase[float32](v, 1e-5, condition{scale: 1})
		far := newStats(v.Channels)
		for ch := range v.Channels {
			far.Mean[ch], far.Rstd[ch] = 0, 1
		}
		c.x[0], c.dy[0] = top, 3
		for _, rstd := range []float64{1 / top, 1e-20} { // the first is denormal as a float32
			far.Mean[0], far.Rstd[0] = -top/1.5, rstd
			paths(func(path string) {
				c.checkFixed(t, label("x − mean and dy·(x − mean) overflow "+path, v, rstd), far)
			})
		}
		paths(func(path string) { c.checkBatch(t, label("one largest value "+path, v)) })

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
	for _, uncentred := range []bool{false, true} {
		p := Columns{Outer: 2, Rows: 30, Cols: 20, Eps: 1e-5, Uncentred: uncentred}
		c := newColumnNormCase[float32](p, condition{scale: 1e25})
		paths(func(path string) { c.check(t, label("x² overflows "+path, p)) })
	}
}

// Where the definitions take over, they do so for that channel alone: the others keep
// their bits.
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

// Data and gradients whose products are denormal or less, while they themselves are far
// from it. Results have rstd or 1/‖v‖ for a factor, which brings them back into the range.
func TestTinyProducts(t *testing.T) {
	skipUnderRace(t)
	tiny := condition{scale: 1e-16}
	for _, v := range []View{{18, 2, 16}, {66, 14, 1}, {1, 3, 5000}, {1000, 300, 1}, {40, 33, 100}} {
		c := newBatchNormCase[float32](v, 0, tiny)
		multiply(c.dy, 1e-26)
		paths(func(path string) { c.checkBatch(t, label("batch "+path, v)) })
	}
	for _, p := range []GroupShape{{N: 2, Channels: 6, Groups: 2, Inner: 1}, {N: 2, Channels: 6, Groups: 2, Inner: 33}, {N: 1, Channels: 2, Groups: 1, Inner: 140000}} {
		c := newGroupNormCase[float32](p, tiny)
		multiply(c.dy, 1e-26)
		paths(func(path string) { c.check(t, label("groups "+path, p)) })
	}
	for _, v := range []View{{1, 2, 64}, {1, 3, 5000}, {64, 3, 1}, {3, 2, 64}, {100, 10, 3}} {
		for _, scale := range [][2]float32{
			{1e-10, 1e-36}, // products below the smallest float32, which are lost in it
			{1e-20, 1e-20}, // and of fewer digits
		} {
			c := newWeightNormCase[float32](v, condition{scale: float64(scale[0])})
			multiply(c.dw, scale[1])
			paths(func(path string) { c.check(t, label("weights "+path, v, scale)) })
		}
	}
	for _, p := range []Columns{{Outer: 2, Rows: 30, Cols: 20}, {Outer: 2, Rows: 30, Cols: 20, Uncentred: true}} {
		c := newColumnNormCase[float32](p, tiny)
		multiply(c.dy, 1e-26)
		paths(func(path string) { c.check(t, label("columns "+path, p)) })
	}
	v := View{3, 4, 50}
	m := newMaskedData[float32](v, maskOf[float32](150, 5, 0))
	multiply(m.x, 1e-13)
	multiply(m.dy, 1e-26)
	whole := m.compact([]int{0, 1, 2})
	paths(func(path string) {
		whole.runBatch(whole.v.Inner, true)
		m.runBatch(whole.v.Inner, true)
		relative(t, "masked dgamma "+path, m.dgamma, whole.dgamma)
	})
}

// Products dy·x̂ that overflow, whose sum does not.
func TestHugeProducts(t *testing.T) {
	p := Columns{Outer: 1, Rows: 4, Cols: 66, Eps: 1e-5}
	c := newColumnNormCase[float32](p, condition{scale: 1e3})
	c.x[0], c.x[1] = 1e5, -1e5
	c.dy[0], c.dy[1] = math.MaxFloat32, math.MaxFloat32
	for d := range c.gamma {
		c.gamma[d] = 0.25
	}
	paths(func(path string) { c.check(t, path) })
}

// Products γ·dy out of the range, where dx is in it.
func TestProductsWithGamma(t *testing.T) {
	skipUnderRace(t)
	for _, f := range []struct {
		x, gamma, dy float32
		eps          float64
	}{{1e10, 1e30, 1e9, 1e-5}, {1e15, 1e25, 1e15, 1e-5}, {1e-15, 1e-30, 1e-15, 1e-30}, {1e-12, 1e-25, 1e-15, 1e-24}} {
		for _, v := range []View{{32, 3, 1}, {4, 3, 40}, {4, 3, 9000}} {
			c := newBatchNormCase[float32](v, f.eps, condition{scale: float64(f.x)})
			multiply(c.gamma, f.gamma)
			multiply(c.dy, f.dy)
			paths(func(path string) { c.checkBatch(t, label(path, v, f)) })
		}
	}
}

// Sums of a few rows that overflow, where the sum of all rows does not.
func TestLayerNormHugeGradients(t *testing.T) {
	p := Rows{Rows: 48, Cols: 33, Eps: 1e-5}
	c := newLayerNormCase[float32](p, condition{scale: 1})
	clear(c.gamma)
	overflowing(c.x, c.dy, 8*p.Cols)
	paths(func(path string) {
		c.check(t, path)
		want, dgamma, dbeta := c.run(), make([]float32, p.Cols), make([]float32, p.Cols)
		LayerNormBwd(want.dx, dgamma, nil, c.x, c.gamma, c.dy, p)
		LayerNormBwd(want.dx, nil, dbeta, c.x, c.gamma, c.dy, p)
		require.Equal(t, want.dgamma, dgamma, path+": without dbeta")
		require.Equal(t, want.dbeta, dbeta, path+": without dgamma")
		flat := c
		flat.x = make([]float32, len(c.x))
		flat.check(t, path+": sums for dbeta alone")
	})
}

// The same for a group of each sample, in batches that are done by rows.
func TestGroupNormHugeGradients(t *testing.T) {
	p := GroupShape{N: 48, Channels: 3, Groups: 1, Inner: 11, Eps: 1e-5}
	c := newGroupNormCase[float32](p, condition{scale: 1})
	clear(c.gamma)
	overflowing(c.x, c.dy, 8*p.Channels*p.Inner)
	paths(func(path string) { c.check(t, path) })
}

// Gradients near the ends of the range.
func TestRangeOfGradients(t *testing.T) {
	skipUnderRace(t)
	for _, v := range []View{{18, 2, 16}, {66, 14, 1}, {1, 3, 5000}, {64, 5, 1}} {
		for _, s := range []float32{1e-36, 1e-31, 1e37, 8e37} {
			c := newBatchNormCase[float32](v, 1e-5, condition{scale: 1})
			multiply(c.dy, s)
			w := newWeightNormCase[float32](v, condition{scale: 1})
			multiply(w.dw, s)
			paths(func(path string) {
				c.checkBatch(t, label("batch "+path, v, s))
				w.check(t, label("weights "+path, v, s))
			})
		}
	}
}

// In float64, where no better arithmetic is left, sums of γ·dy may leave the range while
// their means do not. Scaling by a power of two changes no digit.
func TestHugeMeansOfGradients(t *testing.T) {
	const scale = 0x1p1010
	c := newBatchNormCase[float64](View{200, 5, 1}, 1e-5, condition{scale: 1})
	for i := range c.gamma {
		c.gamma[i] = 1000
	}
	huge := c
	huge.dy = make([]float64, len(c.dy))
	for i := range c.dy {
		c.dy[i] += 3
		huge.dy[i] = c.dy[i] * scale
	}
	paths(func(path string) {
		want, got := c.run(nil).dx, huge.run(nil).dx
		for i, v := range want {
			require.Equal(t, v*scale, got[i], "%s, element %d", path, i)
		}
	})
}

// Gradients dw near the largest number, of which little is left in dv: dw − v·b overflows.
func TestHugeGradientsAlongWeights(t *testing.T) {
	for _, v := range []View{{1, 3, 40}, {1, 2, 5000}, {64, 5, 1}, {3, 2, 64}} {
		for _, scale := range []float64{1, 1e20} {
			c := newWeightNormCase[float32](v, condition{scale: scale})
			for i := range c.dw {
				c.dw[i] = float32(math.Copysign(3.3e38, float64(c.v[i])))
			}
			paths(func(path string) { c.check(t, label(path, v, scale)) })
			n := newNormalizeCase[float32](v, Lp{2, 1e-12}, condition{scale: scale})
			copy(n.dy, c.dw)
			paths(func(path string) {
				y, dx := n.run()
				n.compareGroups(t, label("normalize "+path, v, scale), y, dx)
			})
		}
	}
}

// Where dy follows x, dx is what is left of large terms, and as exact as others.
func TestBatchNormCancelledGradient(t *testing.T) {
	for _, v := range []View{{18, 2, 16}, {66, 14, 1}, {1, 3, 5000}, {100, 10, 3}} {
		for _, noise := range []float32{0.3, 0.1, 1e-2, 1e-3} {
			c := newBatchNormCase[float32](v, 1e-5, condition{scale: 1})
			multiply(c.gamma, 0.1) // without γ the energy would be large enough
			for i := range c.dy {
				c.dy[i] = 2*c.x[i] + noise*c.dy[i]
			}
			exact := batchNormCase[float64]{v: v, eps: c.eps, x: doubles(c.x), gamma: doubles(c.gamma), beta: doubles(c.beta), dy: doubles(c.dy)}
			want := exact.run(nil).dx
			paths(func(path string) { closeToLargest(t, label(path, v, noise), c.run(nil).dx, want) })
		}
	}
}

// closeToLargest allows a few roundings, relative to the largest of the wanted values.
func closeToLargest(t *testing.T, what string, got []float32, want []float64) {
	t.Helper()
	var largest float64
	for _, w := range want {
		largest = max(largest, math.Abs(w))
	}
	for i, g := range got {
		if math.Abs(float64(g)-want[i]) > 4*0x1p-24*largest {
			t.Fatalf("%s: dx[%d] is %v, want %v", what, i, g, want[i])
		}
	}
}

// The same where γ·dy follows x, with a γ for each channel of a group or for each row of
// columns.
func TestGroupNormCancelledGradient(t *testing.T) {
	for _, p := range []GroupShape{{2, 6, 2, 33, 1e-5}, {2, 4, 4, 1000, 1e-5}, {1, 4, 2, 70000, 1e-5}} {
		for _, noise := range []float32{0.1, 1e-3} {
			c := newGroupNormCase[float32](p, condition{scale: 1})
			multiply(c.gamma, 0.1)
			for i := range c.dy {
				c.dy[i] = (2*c.x[i] + noise*c.dy[i]) / c.gamma[p.channelOf(i)]
			}
			exact := groupNormCase[float64]{p, doubles(c.x), doubles(c.gamma), doubles(c.beta), doubles(c.dy)}
			want := exact.run().dx
			paths(func(path string) { closeToLargest(t, label(path, p, noise), c.run().dx, want) })
		}
	}
}

func TestColumnNormCancelledGradient(t *testing.T) {
	for _, p := range []Columns{
		{Outer: 2, Rows: 7, Cols: 35}, {Outer: 1, Rows: 300, Cols: 70},
		{Outer: 2, Rows: 40, Cols: 20, UnbiasedStd: true}, {Outer: 2, Rows: 40, Cols: 20, Uncentred: true},
	} {
		for _, noise := range []float32{0.1, 1e-3} {
			p.Eps = 1e-5
			c := newColumnNormCase[float32](p, condition{scale: 1})
			for i := range c.dy {
				c.dy[i] = (2*c.x[i] + noise*c.dy[i]) / c.gamma[i/p.Cols%p.Rows]
			}
			exact := columnNormCase[float64]{p, doubles(c.x), doubles(c.gamma), doubles(c.beta), doubles(c.dy)}
			want := exact.run().dx
			paths(func(path string) { closeToLargest(t, label(path, p, noise), c.run().dx, want) })
		}
	}
}

// overflowing makes dy so large that sums over n elements overflow. The n elements after
// these have the same x and almost the opposite dy, so that sums over all of them do not.
func overflowing(x, dy []float32, n int) {
	for i := range dy {
		if i/n%2 == 0 {
			dy[i] = float32(math.Copysign(3e38, float64(dy[i])))
		} else {
			x[i], dy[i] = x[i-n], -0.99*dy[i-n]
		}
	}
}

func doubles(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

func multiply(x []float32, by float32) {
	for i := range x {
		x[i] *= by
	}
}
