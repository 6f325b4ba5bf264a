package kernel

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// Maps write results that the caches would not keep past them, in whole lines, for channels
// in runs and down columns. The bits are those of ordinary stores.
func TestMapsStream(t *testing.T) { both(t, mapsStream[float32], mapsStream[float64]) }

func mapsStream[T Float](t *testing.T) {
	skipUnderRace(t)
	size := int(unsafe.Sizeof(T(0)))
	const most = streamBytes/8 + 3*64*1056 // room for the last rows of any view
	x, dy, out, want := make([]T, most), make([]T, most), make([]T, most), make([]T, most)
	for i := range x {
		x[i], dy[i] = T(i%83)/7-5, T(i%61)/9-3
	}
	var views []View // rows of whole lines, to be repeated
	for _, channels := range []int{64, 512, 1040, 1056} {
		views = append(views, View{1, channels, 1}, View{1, channels, 64})
	}
	for loop := range mapLoop(len(factors)) {
		for _, v := range views {
			v.Outer = ceilDiv(streamBytes, loop.arrays()*size*v.Len())
			name := fmt.Sprint(loop, v)
			require.True(t, streams(loop, out[:v.Len()], v), name)
			require.False(t, streams(loop, out[1:1+v.Len()], v), name)
			mapBoth(t, mapPass[T]{loop: loop, out: out, x: x, dy: dy}, want, v)
			fewer := v
			fewer.Outer--
			require.False(t, streams(loop, out[:fewer.Len()], fewer), name)
			odd := v
			odd.Channels--
			odd.Outer = ceilDiv(streamBytes, loop.arrays()*size*odd.Channels*odd.Inner)
			require.Equal(t, v.Inner != 1, streams(loop, out[:odd.Len()], odd), name) // whole lines only along runs
		}
		// One run in slices, all whole lines or not.
		for _, over := range []int{0, 8, 16, 128} {
			n := streamBytes/loop.arrays()/size + over
			v := View{1, 1, n}
			require.Equal(t, n*size%(64*v.mapGrid().slices) == 0, streams(loop, out[:n], v))
			mapBoth(t, mapPass[T]{loop: loop, out: out, x: x, dy: dy}, want, v)
		}
	}
}

// mapBoth compares a pass over a view with the same pass over all of it at once, with
// ordinary stores.
func mapBoth[T Float](t *testing.T, p mapPass[T], want []T, v View) {
	t.Helper()
	n := v.Len()
	p.k = borrowConstants[T](5, v.Channels)
	defer p.k.release()
	for i := range 5 {
		for c := range v.Channels {
			p.k.of(i)[c] = float64(c%7+i) / 3
		}
	}
	p.k.round()
	p.out, p.x, p.dy = p.out[:n], p.x[:n], p.dy[:n]
	p.over(v)
	got := p.out
	p.out, p.stream = want[:n], false
	p.fast(v.whole())
	require.True(t, sameBits(want[:n], got), "%v %v", p.loop, v)
}

// Groups are written past the caches where each stretch that is written at once is whole
// lines: a group, or where groups are not done by rows a channel.
func TestGroupNormStreams(t *testing.T) {
	both(t, groupNormStreams[float32], groupNormStreams[float64])
}

func groupNormStreams[T Float](t *testing.T) {
	skipUnderRace(t)
	const channels, parts = 768, 4
	size := int(unsafe.Sizeof(T(0)))
	n := ceilDiv(streamBytes, 2*channels*size*parts)
	x := make([]T, parts*(n+16)*channels)
	for i := range x {
		x[i] = T(i%83)/7 - 5
	}
	whole, part := make([]T, len(x)), make([]T, len(x)/parts)
	check := func(p GroupShape, gamma []T, want bool) {
		past := func(v View) bool { return streams(normalizePass, whole[:v.Len()], v) }
		require.Equal(t, want, past(p.groups()) && past(p.channels()), p)
		GroupNormFwd(whole, x[:p.groups().Len()], nil, gamma, nil, p)
		p.N /= parts
		for i, n := 0, p.groups().Len(); i < parts; i++ {
			from, to := i*n, (i+1)*n
			GroupNormFwd(part[:n], x[from:to], nil, gamma, nil, p)
			require.True(t, sameBits(part[:n], whole[from:to]), "%+v", p)
		}
	}
	for _, per := range []int{1, 2, 12, 16, 48} {
		check(GroupShape{N: parts * n, Channels: channels, Groups: channels / per, Inner: 1, Eps: 1e-5}, nil, per == 1 || per*size%64 == 0)
	}
	gamma := newData[T]().normal(channels, 1, 1)
	const groups = channels / 16
	check(GroupShape{N: parts, Channels: channels, Groups: groups, Inner: n, Eps: 1e-5}, gamma, true)
	check(GroupShape{N: parts, Channels: channels, Groups: groups, Inner: n + 5, Eps: 1e-5}, gamma, false)
	check(GroupShape{N: parts, Channels: groups * (16*n + 1), Groups: groups, Inner: 1, Eps: 1e-5}, nil, false)
}
