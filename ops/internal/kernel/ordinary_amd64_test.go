//go:build amd64 && !purego && !noasm

package kernel

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Ordinary data is done in the assembly. What it leaves out is done elsewhere, with the same
// results, so without these tests only the time would tell if it left out too much.

// ordinary runs a test on each kind of ordinary data, where there is assembly.
func ordinary(t *testing.T, f func(c condition)) {
	if isa == generic {
		t.Skip("no assembly")
	}
	for _, c := range []condition{easy, {scale: 1}, {ratio: 1e4, scale: 1}, {ratio: 1e4, scale: 1e-3}, {ratio: 1, scale: 1e6}} {
		f(c)
	}
}

func TestOrdinaryRowsAreNotLeftOut(t *testing.T) {
	both(t, ordinaryRows[float32], ordinaryRows[float64])
}

func ordinaryRows[T Float](t *testing.T) {
	ordinary(t, func(c condition) {
		for _, p := range []Rows{
			{Rows: 1, Cols: 64}, {Rows: 4, Cols: 16}, {Rows: 9, Cols: 100}, {Rows: 32, Cols: 33}, {Rows: 6, Cols: 3000},
		} {
			for _, unbiased := range []bool{false, true} {
				p.Eps, p.UnbiasedStd = 1e-5, unbiased
				requireInAssembly(t, newLayerNormCase[T](p, c), label("", c, p, unbiased))
			}
		}
	})
}

func requireInAssembly[T Float](t *testing.T, d layerNormCase[T], what string) {
	t.Helper()
	p := d.p
	out, sums := make([]T, len(d.x)), make([]T, 2*padded(p.Cols))
	constants, head := rowConstantsOf[T](p, is32[T]())
	left, bad := layerNormGroups(out, d.x, d.gamma, d.beta, &constants, p.Rows, p, head, groupOf[T](p), 0)
	require.Zero(t, left, what)
	require.Zero(t, bad, what)
	k := gradKernel[T]{
		dx: out, dgamma: sums[:padded(p.Cols)], dbeta: sums[padded(p.Cols):],
		x: d.x, gamma: d.gamma, dy: d.dy, c: constants, head: head, group: gradGroupOf[T](p),
	}
	left, bad, again := k.groups(0, p.Rows, p)
	require.Zero(t, left, what)
	require.Zero(t, bad, what)
	require.Zero(t, again, what)
}

// Rows whose first elements are far from the mean of all are not left out either: a better
// guess is made.
func TestBadGuessesAreMended(t *testing.T) { both(t, badGuesses[float32], badGuesses[float64]) }

func badGuesses[T Float](t *testing.T) {
	if isa == generic {
		t.Skip("no assembly")
	}
	for _, p := range []Rows{{Rows: 9, Cols: 100, Eps: 1e-5}, {Rows: 6, Cols: 3000, Eps: 1e-5}} {
		c := newLayerNormCase[T](p, condition{scale: 1})
		for r := range p.Rows {
			from, to := p.row(r)
			for i := range c.x[from:to] {
				if i < p.Cols/2 {
					c.x[from+i] += 1000
				}
			}
		}
		requireInAssembly(t, c, label("", p))
	}
}

func TestOrdinaryChannelsAreNotLeftOut(t *testing.T) {
	both(t, ordinaryChannels[float32], ordinaryChannels[float64])
}

func ordinaryChannels[T Float](t *testing.T) {
	ordinary(t, func(c condition) {
		for _, v := range []View{{64, 5, 1}, {200, 70, 1}, {1, 9, 64}, {4, 33, 49}, {3, 2, 5000}} {
			x, n := newData[T]().view(v, c), padded(v.Channels)
			d, q := make([]float64, n), make([]float64, n)
			p := momentsPass[T]{x: x, eps: 1e-5, m: make([]T, n), mean: make([]float64, n), residual: make([]float64, n), m2: make([]float64, n)}
			guessMeans(p.m, x, v.whole())
			sums := func() bool {
				clear(d)
				clear(q)
				centredSums(d, q, x, p.m, v.whole())
				return p.settled(d, q, v.Channels, limitsOf[T](float64(v.Count()), p.eps))
			}
			if !sums() { // the second guess is the mean
				p.settle(d, q, v.whole())
				require.True(t, sums(), label("", c, v))
			}
		}
	})
}
