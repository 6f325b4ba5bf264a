//go:build amd64 && !purego && !noasm

package kernel

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// As with TestOrdinaryRowsAreNotLeftOut: moments that the assembly does not trust are taken
// again, one element after the other.
func TestOrdinaryChannelsAreNotLeftOut(t *testing.T) {
	both(t, ordinaryChannels[float32], ordinaryChannels[float64])
}

func ordinaryChannels[T Float](t *testing.T) {
	if isa == generic {
		t.Skip("no assembly")
	}
	for _, c := range []condition{easy, {scale: 1}, {ratio: 1e4, scale: 1}, {ratio: 1e4, scale: 1e-3}, {ratio: 1, scale: 1e6}} {
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
	}
}
