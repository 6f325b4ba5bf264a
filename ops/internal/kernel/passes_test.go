package kernel

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// Maps write past the caches what the caches would not keep, in whole lines, for
// channels in runs and down columns, with the bits that they have otherwise.
func TestMapsStream(t *testing.T) { both(t, mapsStream[float32], mapsStream[float64]) }

func mapsStream[T Float](t *testing.T) {
	skipUnderRace(t)
	const most = streamBytes/8 + 3*64*1024
	x, dy, out, want := make([]T, most), make([]T, most), make([]T, most), make([]T, most)
	for i := range x {
		x[i], dy[i] = T(i%83)/7-5, T(i%61)/9-3
	}
	for _, channels := range []int{64, 512, 1040, 1056} {
		for _, inner := range []int{1, 64} {
			for loop, arrays := range map[mapLoop]int{normalizePass: 2, normGradPass: 3, scaledPass: 2, scaleGradPass: 3} {
				name := fmt.Sprint(loop, channels, inner)
				bytes := arrays * channels * inner * int(unsafe.Sizeof(T(0))) // of a row
				v := View{Outer: ceilDiv(streamBytes, bytes), Channels: channels, Inner: inner}
				n := v.Len()
				k := borrowConstants[T](5, channels)
				for i := range 5 {
					for c := range channels {
						k.of(i)[c] = float64(c%7+i) / 3
					}
				}
				k.round()
				p := mapPass[T]{loop: loop, out: out[:n], x: x[:n], dy: dy[:n], k: k}
				require.True(t, streams(loop, p.out, v), name)
				require.False(t, streams(loop, out[1:1+n], v), name)
				fewer := v
				fewer.Outer--
				require.False(t, streams(loop, out[:fewer.Len()], fewer), name)
				odd := v
				odd.Channels, odd.Outer = channels-1, v.Outer*2
				require.Equal(t, inner != 1, streams(loop, out[:min(odd.Len(), most)], odd), name)

				p.over(v)
				p.out = want[:n]
				p.fast(v.whole())
				require.True(t, sameBits(want[:n], out[:n]), name)
				k.release()
			}
		}
	}
}

// So do the groups of a matrix, also where they do not begin with a line.
func TestGroupNormStreams(t *testing.T) {
	both(t, groupNormStreams[float32], groupNormStreams[float64])
}

func groupNormStreams[T Float](t *testing.T) {
	skipUnderRace(t)
	const channels, parts = 768, 4
	n := ceilDiv(streamBytes, 2*channels*int(unsafe.Sizeof(T(0)))*parts)
	x := make([]T, parts*n*channels)
	for i := range x {
		x[i] = T(i%83)/7 - 5
	}
	whole, part := make([]T, len(x)), make([]T, n*channels)
	for _, per := range []int{1, 2, 12, 16, 48} {
		p := GroupShape{N: parts * n, Channels: channels, Groups: channels / per, Inner: 1, Eps: 1e-5}
		GroupNormFwd(whole, x, nil, nil, p)
		p.N = n
		for i := range parts {
			from, to := i*len(part), (i+1)*len(part)
			GroupNormFwd(part, x[from:to], nil, nil, p)
			require.True(t, sameBits(part, whole[from:to]), per)
		}
	}
}
