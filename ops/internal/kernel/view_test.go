package kernel

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// geometries are views for the properties of the cuts, which need no data.
func geometries() []View {
	vs := views()
	for _, inner := range []int{
		guessLen - 1, guessLen + 1, 4095, 4097, taskLen - 1, taskLen, taskLen + 1, 3*taskLen + 5,
	} {
		vs = append(vs, View{1, 1, inner}, View{3, 5, inner})
	}
	for _, channels := range []int{pad - 1, pad + 1, 5 * pad, bandLen + 1, taskLen - 1, taskLen + 1} {
		vs = append(vs, View{sumsLen + 1, channels, 1}, View{1, channels, 1}, View{2, channels, 3})
	}
	return append(vs, View{100000, 1, 1}, View{8192, 64, 1}, View{32, 64, 56 * 56},
		View{1, 9, taskLen}) // fewer bands than tasks
}

// The blocks of a grid cover every element once; those of a channel have a part
// each for their sums.
func TestBlocksCoverOnce(t *testing.T) {
	for _, v := range geometries() {
		grids := []grid{v.sumsGrid(), v.mapGrid()}
		if g, ok := v.wholeGrid(); ok {
			grids = append(grids, g, g.finer())
		}
		if g, ok := keptGrid[float32](v); ok {
			grids = append(grids, g)
		}
		for _, g := range grids {
			seen := make([]uint8, v.Len())
			parts := map[[2]int]bool{}
			for task := range g.tasks() {
				b := g.block(task)
				cover(t, v, b, seen)
				for c := range b.channels {
					at := [2]int{b.part, b.channel + c}
					require.False(t, parts[at], "%+v: two blocks for part and channel %v", v, at)
					parts[at] = true
				}
				require.True(t, 0 <= b.part && b.part < g.parts(), "%+v: part %d", v, b.part)
				if b.columns() { // of whole vectors
					require.Zero(t, b.channel%pad)
				}
			}
			requireOnce(t, v, seen)
			require.Len(t, parts, g.parts()*v.Channels)
		}
		seen := make([]uint8, v.Len())
		for c := range v.Channels {
			cover(t, v, v.channel(c), seen)
		}
		requireOnce(t, v, seen)
	}
}

// Tasks that share places cover every one once, with all of its channels.
func TestPlacesCoverOnce(t *testing.T) {
	for _, v := range geometries() {
		seen := make([]uint8, v.Len())
		for task := range v.mapGrid().tasks() {
			for at := range v.places(task, task+1) {
				for c := range v.Channels {
					seen[at+c*v.Inner]++
				}
			}
		}
		requireOnce(t, v, seen)
	}
}

func cover(t *testing.T, v View, b block, seen []uint8) {
	t.Helper()
	last := 0
	for r := range b.rows {
		for c := range b.channels {
			for i := range b.inner {
				last = b.at + r*b.stride + c*b.pitch + i
				if last/v.Inner%v.Channels != b.channel+c {
					t.Fatalf("%+v: element %d is not of channel %d", v, last, b.channel+c)
				}
				seen[last]++
			}
		}
	}
	require.Equal(t, last, b.last())
}

func requireOnce(t *testing.T, v View, seen []uint8) {
	t.Helper()
	for i, n := range seen {
		if n != 1 {
			t.Fatalf("%+v: element %d is covered %d times", v, i, n)
		}
	}
}

// Blocks of columns begin at whole vectors of the channels' arrays, chains of
// additions are short, and there are enough blocks for a few cores but not so
// many that the sums outweigh the data.
func TestGridIsBounded(t *testing.T) {
	for _, v := range geometries() {
		g := v.sumsGrid()
		for task := range g.tasks() {
			b := g.block(task)
			require.Positive(t, b.rows*b.channels*b.inner)
			if b.columns() {
				require.Zero(t, b.channel%pad)
				require.LessOrEqual(t, b.rows, maxRows)
				require.LessOrEqual(t, b.channels, bandLen)
			}
		}
		require.LessOrEqual(t, (g.parts()-1)*v.Channels*sumsLen/2, v.Len(), "%+v", v)
		if v.Len() >= 2*taskLen*maxTasks {
			require.GreaterOrEqual(t, g.tasks(), 4, "%+v", v)
		}
	}
}

// The tasks of layer norm cover every row once, and are so few that their
// partial sums stay small.
func TestRowTasksCoverOnce(t *testing.T) {
	for _, p := range []Rows{{Rows: 1, Cols: 1}, {Rows: 3, Cols: 40000}, {Rows: 66000, Cols: 3}, {Rows: 8192, Cols: 4096},
		{Rows: 65, Cols: 16384}, {Rows: 129, Cols: 16385}, {Rows: 1001, Cols: 129}, {Rows: 63, Cols: 70}} {
		next := 0
		for task := range p.tasks() {
			first, last := p.task(task)
			require.Equal(t, next, first)
			require.Less(t, first, last)
			next = last
		}
		require.Equal(t, p.Rows, next)
		require.LessOrEqual(t, p.tasks(), 4*maxTasks)
	}
}
