package kernel

import (
	"math"
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
			for i := range exact { // the rest of the vectors is for anything
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

// One channel that cannot be trusted, wherever it is, is seen, and the moments of the
// others keep their bits.
func TestUntrustedChannels(t *testing.T) {
	skipUnderRace(t)
	const count = 7
	for n := 1; n <= pad+3; n++ {
		for at := range n {
			for name, bad := range map[string][2]float64{
				"a mean far from the guess": {10, 15}, "an overflow": {1, math.Inf(1)}, "a NaN": {1, math.NaN()}, "beyond float32": {1, 1e39},
			} {
				d, q, m := make([]float64, n), make([]float64, n), make([]float32, n)
				for i := range d {
					d[i], q[i] = float64(i)/8, 3+float64(i*i)
				}
				d[at], q[at] = bad[0], bad[1]
				b := block{channels: n, rows: count, inner: 1, pitch: 1}
				paths(func(path string) {
					p := momentsPass[float32]{eps: 1e-5, m: m, mean: make([]float64, n), residual: make([]float64, n), m2: make([]float64, n)}
					require.False(t, p.settle(d, q, b), "%s: %s in channel %d of %d", path, name, at, n)
					for i := range d {
						want := momentsOf(count, float64(m[i]), d[i], q[i]).m2
						require.True(t, i == at && math.IsNaN(p.m2[i]) || i != at && p.m2[i] == want, "%s: %s, channel %d of %d", path, name, i, n)
					}
					m[at] = 0
				})
			}
		}
	}
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
