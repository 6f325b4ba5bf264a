package kernel

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMergeOfParts(t *testing.T) { both(t, mergeOfParts[float32], mergeOfParts[float64]) }

// Moments of parts that lie one after the other, merged, are those of the whole
// in double-double arithmetic.
func mergeOfParts[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, c := range conditions {
		const channels, rows = 3, 500
		v := View{rows, channels, 1}
		x := newData[T]().view(v, c)
		all := NewChannelMoments(channels)
		for _, cut := range [][2]int{{0, 1}, {1, 3}, {3, 3}, {3, 260}, {260, rows}} {
			part := NewChannelMoments(channels)
			if n := cut[1] - cut[0]; n > 0 {
				part.N = float64(n)
				Moments(x[cut[0]*channels:cut[1]*channels], nil, View{n, channels, 1}, 0, part.Mean, part.Residual, part.M2)
			}
			all.Merge(part)
		}
		require.Equal(t, float64(rows), all.N)
		for ch := range channels {
			mean, m2, sigma := spreadOf(wide(x, indices(v, ch)))
			diff := mean.sub(exactSum(all.Mean[ch], all.Residual[ch])).abs()
			require.LessOrEqual(t, diff, (growth(rows)+slack[T]())*sigma+growth(rows)*mean.abs()*0x1p-53)
			compareSums[T](t, label("m2", c), all.M2[ch:ch+1], []value{{m2, m2.hi}}, rows)
		}
	}
}
