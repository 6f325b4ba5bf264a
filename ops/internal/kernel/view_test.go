package kernel

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// geometries are views for the properties of the cuts, which need no data.
func geometries() []View {
	vs := views()
	for _, inner := range []int{
		blockLen - 1, blockLen + 1, 2 * blockLen, taskLen - 1, taskLen, taskLen + 1, 3*taskLen + 5,
	} {
		vs = append(vs, View{1, 1, inner}, View{3, 5, inner})
	}
	for _, channels := range []int{tileCols - 1, tileCols + 1, 5 * tileCols, taskLen - 1, taskLen + 1} {
		vs = append(vs, View{tileRows + 1, channels, 1}, View{1, channels, 1}, View{2, channels, 3})
	}
	return append(vs, View{100000, 1, 1}, View{8192, 64, 1}, View{32, 64, 56 * 56})
}

// The blocks of all units cover every element of every channel once, and a
// block of a unit no element of another unit.
func TestBlocksCoverOnce(t *testing.T) {
	for _, v := range geometries() {
		seen := make([]uint8, v.Len())
		for u := range v.units() {
			for i := range v.blocks() {
				if !coverBlock(v, u, v.block(u, i), seen) {
					t.Fatalf("%+v: block %d of unit %d has another unit's elements", v, i, u)
				}
			}
		}
		requireOnce(t, v, seen)
	}
}

func coverBlock(v View, u int, b block, seen []uint8) bool {
	first, last := v.unit(u)
	for i := range b.count {
		for j := range b.length {
			at := b.off + i*b.stride + j
			if ch := at / v.Inner % v.Channels; ch < first || ch >= last {
				return false
			}
			seen[at]++
		}
	}
	return true
}

func requireOnce(t *testing.T, v View, seen []uint8) {
	t.Helper()
	for i, n := range seen {
		if n != 1 {
			t.Fatalf("%+v: element %d is covered %d times", v, i, n)
		}
	}
}

// Units follow each other and end at the last channel.
func TestUnitsCoverChannels(t *testing.T) {
	for _, v := range geometries() {
		next := 0
		for u := range v.units() {
			first, last := v.unit(u)
			require.Equal(t, next, first)
			require.Less(t, first, last)
			next = last
		}
		require.Equal(t, v.Channels, next)
	}
}

// Blocks are small enough for the first-level cache, and tiles for their
// accumulators.
func TestBlocksAreBounded(t *testing.T) {
	for _, v := range geometries() {
		for u := range v.units() {
			for i := range v.blocks() {
				b := v.block(u, i)
				require.LessOrEqual(t, b.count*b.length, blockLen)
				require.Positive(t, b.count*b.length)
				if v.columns() {
					require.LessOrEqual(t, b.length, tileCols)
				}
			}
			if u == 3 {
				break // the others differ by their offset
			}
		}
	}
}

// Segments follow each other, each has a block, and they end at the last one.
func TestSegmentsCoverBlocks(t *testing.T) {
	for _, v := range geometries() {
		segs, next := v.segments(), 0
		for s := range segs {
			first, last := v.segment(s, segs)
			require.Equal(t, next, first)
			require.Less(t, first, last)
			next = last
		}
		require.Equal(t, v.blocks(), next)
	}
}

// Lines cover every element once and name its channel, whether the tasks are
// asked for one by one or together.
func TestLinesCoverOnce(t *testing.T) {
	for _, v := range geometries() {
		seen := make([]uint8, v.Len())
		tasks := v.lineup().tasks()
		for task := range tasks {
			coverLines(t, v, task, task+1, seen)
		}
		requireOnce(t, v, seen)
		clear(seen)
		coverLines(t, v, 0, tasks, seen)
		requireOnce(t, v, seen)
	}
}

func coverLines(t *testing.T, v View, first, last int, seen []uint8) {
	t.Helper()
	l := v.lineup()
	for i, end := l.span(first, last); i < end; i++ {
		from, to, channel := l.at(i)
		for at := from; at < to; at++ {
			seen[at]++
			if !v.columns() && at/v.Inner%v.Channels != channel {
				t.Fatalf("%+v: line %d is not of channel %d", v, i, channel)
			}
		}
		if v.columns() && (from%v.Channels != 0 || to-from != v.Channels) {
			t.Fatalf("%+v: line %d from %d to %d is not a row", v, i, from, to)
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
		require.LessOrEqual(t, p.tasks(), 4*minTasks)
	}
}
