package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChannels(t *testing.T) { both(t, channels[float32], channels[float64]) }

// The kernels over arrays with an element for each channel give what their definitions
// give, bit for bit except for the fused multiplications of the constants, for all numbers
// of channels around the width of a vector, and touch nothing else.
func channels[T Float](t *testing.T) {
	skipUnderRace(t)
	const eps, count = 1e-3, 7.0
	for n := 1; n <= 2*pad+3; n++ {
		data := newData[float64]()
		d, q, rest := data.normal(n, 0, 1), data.normal(n, 0, 1), data.normal(n, 0, 1e-3)
		guess, gamma, beta := newData[T]().normal(n, 0, 1), newData[T]().normal(n, 0, 1), newData[T]().normal(n, 0, 1)
		for i := range q {
			q[i] = 1 + q[i]*q[i] + d[i]*d[i]
		}
		run := func() (all [][]float64, rounded [][]T, trusted bool) {
			var g guards[float64]
			var r guards[T]
			mean, residual, m2, rstd := g.out(n), g.out(n), g.out(n), g.out(n)
			p := momentsPass[T]{eps: eps, m: r.in(guess), mean: mean, residual: residual, m2: m2}
			trusted = p.settle(g.in(d), g.in(q), block{channels: n, rows: int(count), inner: 1, pitch: 1})
			Rstd(rstd, m2, count, eps)

			exact, out := g.out(2*padded(n)+n), r.out(2*padded(n)+n)
			for i := range exact { // the padding may hold anything
				exact[i], out[i] = 0, 0
			}
			k := constants[T]{&Scratch[float64]{Data: exact}, &Scratch[T]{Data: out}, padded(n)}
			k.setBatchNorm(r.in(gamma), r.in(beta), Stats{g.in(mean), g.in(rest), g.in(rstd)}, n)

			narrow := r.out(n)
			storeTimes(narrow, g.in(d), 1.0/3)
			g.check()
			r.check()
			return [][]float64{mean, residual, m2, rstd, exact}, [][]T{out, narrow}, trusted
		}
		restore := useISA(generic)
		want, wantRounded, trusted := run()
		restore()
		require.True(t, trusted)
		paths(func(path string) {
			got, gotRounded, trusted := run()
			require.True(t, trusted, path)
			for i := range want {
				require.InDeltaSlice(t, want[i], got[i], 0x1p-50, "%s, %d channels, array %d", path, n, i)
			}
			for i := range wantRounded {
				for j, v := range wantRounded[i] {
					require.InEpsilon(t, 1, 1+float64(gotRounded[i][j]-v), 0x1p-22, "%s, %d channels, array %d", path, n, i)
				}
			}
			require.True(t, sameBits(want[2], got[2]), "m2, which others must not show in")
		})
	}
}

func TestBatchNormGradConstants(t *testing.T) {
	both(t, batchNormGradConstants[float32], batchNormGradConstants[float64])
}

// The constants of batch norm's gradient are those of Go, and so are the channels of float32
// that are left to float64. Channels that are not asked for stay as they are.
func batchNormGradConstants[T Float](t *testing.T) {
	skipUnderRace(t)
	const count = 7.0
	least, most := energyRange(count)
	small := math.Sqrt(least / count) // a power of two
	kinds := []struct {
		gamma, sum, squares float64 // γ, Σdy, Σdy²
		cancelled           bool
	}{
		{1, 0.5, 1, false}, {1, 0.5, 0.15, false}, {1, 0.5, 0.08, false}, {1, 0.5, 0.045, true}, {1, 0.5, 0, true}, {1, 0, 0, false},
		{4 * small, 0, 1, false}, {small, 0, 1, true}, {small, 0, 0, false},
		{1, 0.5, most, true}, {1, 0.5, math.Nextafter(most, 0), false}, {1, 0.5, math.Inf(1), true}, {1, 0.5, math.NaN(), true},
	}
	for n := 1; n <= 2*pad+3; n++ {
		for first := range min(n, 3) {
			last := max(first+1, n-1)
			data := newData[float64]()
			mean, residual := data.normal(n, 0, 1), data.normal(n, 0, 1e-3)
			rstd, gamma := make([]float64, n), make([]T, n)
			sums := make([]float64, 3*padded(n))
			db, dg, e := sums[:n], sums[padded(n):][:n], sums[2*padded(n):][:n]
			want := make([]bool, n)
			for c := range n {
				kind := kinds[(c+n)%len(kinds)]
				rstd[c], gamma[c] = 1+float64(c)/64, T(kind.gamma)
				db[c], dg[c], e[c], want[c] = kind.sum, kind.sum*float64(c%5-2)/4, kind.squares, kind.cancelled
			}
			run := func() (exact []float64, rounded []T, marks []bool, all []float64) {
				var g guards[float64]
				var r guards[T]
				k := constants[T]{&Scratch[float64]{Data: make([]float64, 5*padded(n))}, &Scratch[T]{Data: make([]T, 5*padded(n))}, padded(n)}
				all = slices.Clone(sums)
				p := batchNormGrad[T]{
					gamma: r.in(gamma), v: View{int(count), n, 1}, k: k, sum: totals{&Scratch[float64]{Data: all}, padded(n)},
					s: Stats{g.in(mean), g.in(residual), g.in(rstd)}, valid: valid{n: int(count)},
				}
				p.setConstants(first, last)
				g.check()
				r.check()
				for _, v := range all[2*padded(n):][:n] {
					marks = append(marks, v == cancelled)
				}
				return k.exact.Data, k.rounded.Data, marks, all
			}
			restore := useISA(generic)
			exact, rounded, marks, all := run()
			restore()
			for c := range n {
				asked := c >= first && c < last
				require.Equal(t, asked && want[c] && is32[T](), marks[c], "%d of %d", c, n)
			}
			paths(func(path string) {
				exact2, rounded2, marks2, all2 := run()
				what := fmt.Sprintf("%s, channels %d to %d of %d", path, first, last, n)
				require.Equal(t, marks, marks2, what)
				requireNear(t, exact, exact2, 0x1p-50, what)
				requireNear(t, rounded, rounded2, 0x1p-22, what)
				requireNear(t, all, all2, 0x1p-50, what)
			})
		}
	}
}

// requireNear requires the same numbers but for a relative error, and the same bits where
// they are not finite.
func requireNear[T Float](t *testing.T, want, got []T, off float64, what string) {
	t.Helper()
	for i, w := range want {
		if w-w == 0 {
			require.InDelta(t, w, got[i], math.Abs(float64(w))*off, "%s, element %d", what, i)
		} else {
			require.Equal(t, bits(w), bits(got[i]), "%s, element %d", what, i)
		}
	}
}

// A channel that cannot be trusted is found wherever it is. Its guess becomes the mean just
// found, and the moments of the others keep their bits.
func TestUntrustedChannels(t *testing.T) {
	skipUnderRace(t)
	const count = 7
	for n := 1; n <= pad+3; n++ {
		for at := range n {
			for name, bad := range map[string]struct{ d, q, eps float64 }{
				"a mean far from the guess": {10, 15, 1e-5}, "an overflow": {1, math.Inf(1), 1e-5}, "a NaN": {1, math.NaN(), 1e-5},
				"beyond float32": {1, 1e39, 1e-5}, "below its range, and no eps": {0, 1e-31, 0},
			} {
				d, q, m := make([]float64, n), make([]float64, n), make([]float32, n)
				for i := range d {
					d[i], q[i] = float64(i)/8, 3+float64(i*i)
				}
				d[at], q[at] = bad.d, bad.q
				b := block{channels: n, rows: count, inner: 1, pitch: 1}
				paths(func(path string) {
					p := momentsPass[float32]{eps: bad.eps, m: m, mean: make([]float64, n), residual: make([]float64, n), m2: make([]float64, n)}
					require.False(t, p.settle(d, q, b), "%s: %s in channel %d of %d", path, name, at, n)
					for i := range d {
						want := momentsOf(count, float64(m[i]), d[i], q[i]).m2
						require.True(t, i == at && math.IsNaN(p.m2[i]) || i != at && p.m2[i] == want, "%s: %s, channel %d of %d", path, name, i, n)
					}
					require.Equal(t, float32(d[at]/count), m[at], "%s: %s, channel %d of %d", path, name, at, n)
					m[at] = 0
				})
			}
		}
	}
}

// If the mean of x, x, x is off by 2⁻⁵³⁸, its last digit, each (x − m)² is rounded to 0, and so
// is their sum, but d²/n is ¾ of the smallest number and is rounded up. The difference must
// not make m2 negative.
func TestMomentsAreNotNegative(t *testing.T) {
	x := math.Ldexp(0.1, -482)
	require.Equal(t, 0x1p-538, (x+x+x)/3-x)
	require.Equal(t, moments{n: 3, hi: x}, runMoments([]float64{x, x, x}))
}

func TestWithin(t *testing.T) {
	const least, most = 0x1p-126, 0x1p100
	nan := float32(math.NaN())
	for n := 1; n <= 2*pad+3; n++ {
		for at := range n {
			zeros := make([]float32, n)
			zeros[at] = nan
			paths(func(path string) {
				require.False(t, within(zeros, 0, math.MaxFloat32), "%s: NaN at %d of %d", path, at, n)
				require.True(t, within(zeros[:at], 0, math.MaxFloat32), "%s: %d zeros", path, at)
			})
			for v, want := range map[float32]bool{
				1: true, -least: true, math.Nextafter32(most, 0): true, 0: false, least / 2: false, most: false, -most: false,
				float32(math.Inf(1)): false, nan: false,
			} {
				k := make([]float32, n)
				for i := range k {
					k[i] = -3
				}
				k[at] = v
				paths(func(path string) {
					require.Equal(t, want, within(k, least, most), "%s: %v at %d of %d", path, v, at, n)
				})
			}
		}
	}
	paths(func(path string) { require.True(t, within([]float32{}, least, most), path) })
}
