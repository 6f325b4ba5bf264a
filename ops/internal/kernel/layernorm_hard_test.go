package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// hardRows are rows in which float32 arithmetic, or a mean that is guessed from the
// first elements, could lose more than it may: x, dy and gamma are drawn from N(0, 1),
// and then changed.
var hardRows = []struct {
	name   string
	change func(r *rand.Rand, x, dy, gamma []float64)
}{
	{"outlier", func(r *rand.Rand, x, dy, gamma []float64) { x[r.IntN(len(x))] = 1e4 }},
	{"first is an outlier", func(r *rand.Rand, x, dy, gamma []float64) { x[0] = -1e4 }},
	{"outlier whose squares just count", func(r *rand.Rand, x, dy, gamma []float64) { x[r.IntN(len(x))] = 5793 }},
	{"outlier in both", func(r *rand.Rand, x, dy, gamma []float64) {
		i := r.IntN(len(x))
		x[i], dy[i] = 1e4, 3
	}},
	{"large dy at an outlier", func(r *rand.Rand, x, dy, gamma []float64) {
		i := r.IntN(len(x))
		x[i], dy[i] = 1e3, 1e4
	}},
	{"one dy", func(r *rand.Rand, x, dy, gamma []float64) {
		clear(dy)
		dy[r.IntN(len(dy))] = 1
	}},
	{"no dy", func(r *rand.Rand, x, dy, gamma []float64) { clear(dy) }},
	{"constant dy", func(r *rand.Rand, x, dy, gamma []float64) {
		set(dy, func(int) float64 { return 1 })
		set(gamma, func(int) float64 { return 1 })
	}},
	{"nearly constant dy", func(r *rand.Rand, x, dy, gamma []float64) {
		set(dy, func(i int) float64 { return 1 + dy[i]/4 })
		set(gamma, func(int) float64 { return 1 })
	}},
	{"dy along x", func(r *rand.Rand, x, dy, gamma []float64) {
		copy(dy, x)
		set(gamma, func(int) float64 { return 1 })
	}},
	{"dy nearly along x", func(r *rand.Rand, x, dy, gamma []float64) {
		set(dy, func(i int) float64 { return x[i] + dy[i]/4 })
		set(gamma, func(int) float64 { return 1 })
	}},
	{"mixed scale", func(r *rand.Rand, x, dy, gamma []float64) {
		set(x, func(i int) float64 { return x[i] * math.Pow(10, float64(r.IntN(6)-3)) })
	}},
	{"two values", func(r *rand.Rand, x, dy, gamma []float64) { set(x, func(int) float64 { return float64(r.IntN(2)) }) }},
	{"trend", func(r *rand.Rand, x, dy, gamma []float64) {
		set(x, func(i int) float64 { return x[i]/10 + 10*float64(i)/float64(len(x)) })
	}},
	{"step", func(r *rand.Rand, x, dy, gamma []float64) {
		set(x[len(x)/2:], func(i int) float64 { return x[len(x)/2+i] + 1000 })
	}},
	{"long tail", func(r *rand.Rand, x, dy, gamma []float64) {
		set(x, func(i int) float64 { return math.Exp(3 * x[i]) })
	}},
	{"tiny variance", func(r *rand.Rand, x, dy, gamma []float64) { set(x, func(i int) float64 { return 1 + x[i]*1e-6 }) }},
	{"subnormal", func(r *rand.Rand, x, dy, gamma []float64) { set(x, func(i int) float64 { return x[i] * 1e-41 }) }},
	{"subnormal dy", func(r *rand.Rand, x, dy, gamma []float64) { set(dy, func(i int) float64 { return dy[i] * 1e-41 }) }},
	{"tiny both", func(r *rand.Rand, x, dy, gamma []float64) {
		set(x, func(i int) float64 { return x[i] * 1e-14 })
		set(dy, func(i int) float64 { return dy[i] * 1e-28 })
	}},
	{"huge", func(r *rand.Rand, x, dy, gamma []float64) { set(x, func(i int) float64 { return x[i] * 1e30 }) }},
	{"huge dy", func(r *rand.Rand, x, dy, gamma []float64) { set(dy, func(i int) float64 { return dy[i] * 1e30 }) }},
	{"squares near the end of the range", func(r *rand.Rand, x, dy, gamma []float64) {
		set(x, func(i int) float64 { return x[i] * 1e18 })
	}},
}

func set(x []float64, f func(i int) float64) {
	for i := range x {
		x[i] = f(i)
	}
}

func TestLayerNormHardRows(t *testing.T) { both(t, layerNormHard[float32], layerNormHard[float64]) }

func layerNormHard[T Float](t *testing.T) {
	skipUnderRace(t)
	for k, h := range hardRows {
		for _, n := range []int{5, 16, 64, 100, 256, 771, 4096} {
			for seed := range uint64(6) {
				r := rand.New(rand.NewPCG(seed, uint64(k)))
				p := Rows{Rows: 13, Cols: n, Eps: []float64{1e-5, 1e-12, 1e-30}[seed%3], UnbiasedStd: seed%2 == 1}
				c := newLayerNormCase[T](p, condition{scale: 1})
				gamma := make([]float64, n)
				draw := func(int) float64 { return r.NormFloat64() }
				set(gamma, draw)
				for i := range p.Rows {
					x, dy := make([]float64, n), make([]float64, n)
					set(x, draw)
					set(dy, draw)
					if i != 3 && i != 6 { // two ordinary rows stay among the others
						h.change(r, x, dy, gamma)
					}
					from, to := p.row(i)
					store(c.x[from:to], x)
					store(c.dy[from:to], dy)
				}
				store(c.gamma, gamma)
				c.check(t, label(h.name, p, seed))
			}
		}
	}
}

// Results that are large enough to be written past the caches have the bits that their
// parts have, which are not.
func TestLayerNormStreams(t *testing.T) {
	both(t, layerNormStreams[float32], layerNormStreams[float64])
}

func layerNormStreams[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, n := range []int{128, 1024} {
		layerNormStreamsOf[T](t, n)
	}
}

func layerNormStreamsOf[T Float](t *testing.T, n int) {
	const parts = 8
	p := Rows{Rows: (streamBytes/4/n + parts) / parts * parts, Cols: n, Eps: 1e-5}
	c := newLayerNormCase[T](p, easy)
	run := func(c layerNormCase[T]) (y, dx, plain []T) {
		y, dx, plain = make([]T, len(c.x)), make([]T, len(c.x)), make([]T, len(c.x))
		dgamma := make([]T, n)
		LayerNormFwd(y, c.x, c.gamma, c.beta, c.p)
		LayerNormBwd(dx, dgamma, nil, c.x, c.gamma, c.dy, c.p)
		LayerNormBwd(plain, nil, nil, c.x, nil, c.dy, c.p)
		return y, dx, plain
	}
	y, dx, plain := run(c)
	p.Rows /= parts
	for i := range parts {
		from, to := i*p.Rows*n, (i+1)*p.Rows*n
		py, pdx, pplain := run(layerNormCase[T]{p, c.x[from:to], c.gamma, c.beta, c.dy[from:to]})
		require.True(t, sameBits(y[from:to], py))
		require.True(t, sameBits(dx[from:to], pdx))
		require.True(t, sameBits(plain[from:to], pplain))
	}
}

// A gradient that is not finite, which leaves a row without a dx, reaches dγ and dβ.
func TestLayerNormInfiniteGradients(t *testing.T) {
	both(t, layerNormInfinite[float32], layerNormInfinite[float64])
}

func layerNormInfinite[T Float](t *testing.T) {
	paths(func(path string) {
		p := Rows{Rows: 8, Cols: 64, Eps: 1e-5}
		c := newLayerNormCase[T](p, easy)
		for r := range p.Rows {
			c.dy[r*p.Cols+r] = T(math.Inf(1))
		}
		dx, dgamma, dbeta := make([]T, len(c.x)), make([]T, p.Cols), make([]T, p.Cols)
		LayerNormBwd(dx, dgamma, dbeta, c.x, c.gamma, c.dy, p)
		for j := range p.Cols {
			require.Equal(t, j < p.Rows, math.IsInf(float64(dbeta[j]), 1), "%s, column %d", path, j)
			require.Equal(t, j >= p.Rows, dgamma[j]-dgamma[j] == 0, "%s, column %d", path, j)
		}
	})
}

// y may be x.
func TestLayerNormFwdInPlace(t *testing.T) {
	both(t, layerNormInPlace[float32], layerNormInPlace[float64])
}

func layerNormInPlace[T Float](t *testing.T) {
	for _, p := range []Rows{{Rows: 7, Cols: 5, Eps: 1e-5}, {Rows: 9, Cols: 64, Eps: 1e-5, UnbiasedStd: true}, {Rows: 6, Cols: 1000, Eps: 1e-5}, {Rows: 3, Cols: 5001, Eps: 1e-5}} {
		c := newLayerNormCase[T](p, easy)
		c.x[p.Cols/2] = T(math.Inf(1)) // a row that is left out
		y := make([]T, len(c.x))
		LayerNormFwd(y, c.x, c.gamma, c.beta, p)
		LayerNormFwd(c.x, c.x, c.gamma, c.beta, p)
		require.True(t, sameBits(y[p.Cols:], c.x[p.Cols:]), label("", p))
		require.True(t, allNaN(c.x[:p.Cols]))
	}
}

// Kernels write all of their results and nothing around them, for every part of a
// vector and of a group.
func TestLayerNormGuardBands(t *testing.T) {
	both(t, layerNormGuards[float32], layerNormGuards[float64])
}

func layerNormGuards[T Float](t *testing.T) {
	skipUnderRace(t)
	for rows := 1; rows <= 13; rows++ {
		for n := 2; n <= 70; n++ {
			p := Rows{Rows: rows, Cols: n, Eps: 1e-5, UnbiasedStd: n&1 == 1}
			c := newLayerNormCase[T](p, easy)
			leftOut, some := map[int]int{6: 4, 12: 3, 13: 7}[rows]
			if some {
				c.x[leftOut*n] = T(math.NaN())
			}
			in := []fence[T]{fenced(c.x), fenced(c.gamma), fenced(c.beta), fenced(c.dy)}
			nan := func(n int) fence[T] {
				x := make([]T, n)
				for i := range x {
					x[i] = T(math.NaN())
				}
				return fenced(x)
			}
			y, dx, plain, dgamma, dbeta := nan(rows*n), nan(rows*n), nan(rows*n), nan(n), nan(n)
			LayerNormFwd(y.data(), in[0].data(), in[1].data(), in[2].data(), p)
			LayerNormBwd(dx.data(), dgamma.data(), dbeta.data(), in[0].data(), in[1].data(), in[3].data(), p)
			LayerNormBwd(plain.data(), nil, nil, in[0].data(), nil, in[3].data(), p)
			for _, f := range in {
				require.True(t, f.untouched(), label("", p))
			}
			for _, f := range []fence[T]{y, dx, plain, dgamma, dbeta} {
				require.True(t, f.marginsUntouched(), label("", p))
			}
			for _, f := range []fence[T]{y, dx, plain} {
				for i, v := range f.data() {
					require.Equal(t, some && i/n == leftOut, v != v, label("", p, i))
				}
			}
			require.Equal(t, some, allNaN(dgamma.data()))
			require.False(t, allNaN(dbeta.data()))
		}
	}
}

// Beside an eps far above all squares, intermediate values may lie below the range of
// float32 where results do not.
func TestLayerNormHugeEps(t *testing.T) {
	both(t, layerNormHugeEps[float32], layerNormHugeEps[float64])
}

func layerNormHugeEps[T Float](t *testing.T) {
	for _, c := range []struct{ eps, x, dy, gamma float64 }{
		{1e10, 1e3, 1, 1}, {1e13, 1e-30, 1e3, 1e8}, {1e34, 1e-13, 1, 1e8}, {1e46, 1e7, 1e23, 1}, {1e84, 1e5, 1e30, 1e8},
	} {
		for _, p := range []Rows{{Rows: 5, Cols: 40}, {Rows: 5, Cols: 40, UnbiasedStd: true}, {Rows: 5, Cols: 40, Uncentred: true}} {
			p.Eps = c.eps
			s := newLayerNormCase[T](p, easy)
			for i := range s.x {
				s.x[i], s.dy[i] = s.x[i]*T(c.x), s.dy[i]*T(c.dy)
			}
			for i := range s.gamma {
				s.gamma[i], s.beta[i] = T(c.gamma), 0
			}
			n := len(s.x)
			y, dx, wantY, wantDX := make([]T, n), make([]T, n), make([]T, n), make([]T, n)
			dgamma, dbeta := make([]T, p.Cols), make([]T, p.Cols)
			LayerNormFwd(y, s.x, s.gamma, s.beta, p)
			LayerNormBwd(dx, dgamma, dbeta, s.x, s.gamma, s.dy, p)
			layerNormRowsGo(wantY, s.x, s.gamma, s.beta, p)
			grads := make([]float64, 2*padded(p.Cols))
			layerNormGradRowsGo(wantDX, grads, s.x, s.gamma, s.dy, p)
			wantDG := make([]T, p.Cols)
			store(wantDG, grads[:p.Cols])
			for _, pair := range [][2][]T{{y, wantY}, {dx, wantDX}, {dgamma, wantDG}} {
				top := 0.0
				for _, v := range pair[1] {
					top = max(top, math.Abs(float64(v)))
				}
				for i, v := range pair[1] {
					require.InDelta(t, float64(v), float64(pair[0][i]), 1e-6*top+0x1p-149, "%v %v %d", c, p, i)
				}
			}
		}
	}
}
