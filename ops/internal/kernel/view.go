package kernel

import "iter"

// View sees a row-major tensor as [Outer, Channels, Inner], where each channel
// has statistics, a scale and the like: batch norm of (N,C,H,W) is
// View{N, C, H·W}, a norm of the rows of a matrix View{1, rows, cols}, one of
// its columns View{rows, cols, 1}.
type View struct{ Outer, Channels, Inner int }

// Len is the number of elements.
func (v View) Len() int { return v.Outer * v.Channels * v.Inner }

// Count is the number of elements of one channel.
func (v View) Count() int { return v.Outer * v.Inner }

// A block is a part of a view. Its rows begin stride elements apart; in each row the
// channels begin pitch elements apart, and have inner contiguous elements. Where inner
// and pitch are 1, channels lie down columns.
type block struct {
	at                int // the first element
	channel, channels int // the first channel, and how many
	rows, stride      int
	inner, pitch      int
	part              int // where sums over the block go, see grid
}

func (b block) columns() bool { return b.pitch == 1 }

// count is the number of elements of each channel.
func (b block) count() int { return b.rows * b.inner }

// one is the block of channel number i of b.
func (b block) one(i int) block {
	b.at, b.channel, b.channels = b.at+i*b.pitch, b.channel+i, 1
	return b
}

// split sees each channel of a block, which lies in one run, as n channels.
func (b block) split(n int) block {
	b.channel, b.channels = b.channel*n, b.channels*n
	b.inner, b.pitch = b.inner/n, b.pitch/n
	return b
}

// fewLen is how many elements the cache keeps from one pass to the next.
const fewLen = taskLen / 4

// pieceLen is how many elements are read before their results are written. Results that
// go past the caches are written in longer turns: where two processors share the memory
// this takes 0.8 to 0.95 of the time (4096 rows of 4096, Zen 3).
func pieceLen(stream bool) int {
	if stream {
		return 4 * fewLen
	}
	return fewLen
}

// few is how many channels n elements make, at least one.
func (b block) few(n int) int { return min(b.channels, max(1, n/b.count())) }

// pieces gives a block some channels at a time: as many as have up to n elements together,
// or one.
func (b block) pieces(n int) iter.Seq[block] {
	return func(yield func(block) bool) {
		few := b.few(n)
		for i := 0; i < b.channels; i += few {
			p := b.one(i)
			p.channels = min(few, b.channels-i)
			if !yield(p) {
				return
			}
		}
	}
}

// last is the index of the last element of the block.
func (b block) last() int {
	return b.at + (b.rows-1)*b.stride + (b.channels-1)*b.pitch + b.inner - 1
}

// lastChannel is the last index that is touched in arrays with an element for each
// channel.
func (b block) lastChannel() int {
	if b.columns() {
		return padded(b.channel+b.channels) - 1
	}
	return b.channel + b.channels - 1
}

const (
	// taskLen is how many elements make a task worth its hand-over. A view is
	// cut into at most maxTasks, enough for some cores to share it evenly, or
	// more where columns are longer than maxRows, to keep chains of additions
	// short. Rows are cut where there would be fewer than fewTasks otherwise.
	taskLen  = 1 << 14
	maxTasks = 16
	fewTasks = 8
	maxRows  = 512

	// manyTasks is the most tasks for work without partial results, see finer.
	manyTasks = 64

	// sumsLen is how many elements of a channel a block has at least, if its
	// sums are to be stored.
	sumsLen = 64

	// bandLen bounds the columns of a block: L1 and L2 keep the constants and sums
	// of so many from row to row.
	bandLen = 1024

	// pad is the length of the longest vector. Arrays with an element for each
	// channel are padded to a multiple of it, and blocks of columns begin at one.
	pad = 16
)

// padded rounds up to a multiple of pad.
func padded(n int) int { return (n + pad - 1) &^ (pad - 1) }

// A grid cuts a view into blocks, a task each. It depends on the view alone, so
// sums do not depend on the number of processors.
type grid struct {
	v                   View
	rows, bands, slices int // pieces along Outer, Channels and Inner
	channelsOfBand      int
}

// sumsGrid is for sums over channels: each block of a channel has its own part of the
// results.
func (v View) sumsGrid() grid { return v.grid(ceilDiv(sumsLen, v.Inner)) }

// mapGrid is for maps over all elements.
func (v View) mapGrid() grid { return v.grid(1) }

// places is for work that needs all channels of a place, one of the Outer·Inner positions
// of a view. The tasks of mapGrid then share places and not blocks. places gives the
// element of the first channel at each place of the tasks [first, last).
func (v View) places(first, last int) iter.Seq[int] {
	return func(yield func(at int) bool) {
		n, tasks := v.Outer*v.Inner, v.mapGrid().tasks()
		for i := first * n / tasks; i < last*n/tasks; i++ {
			if !yield(i/v.Inner*v.Channels*v.Inner + i%v.Inner) {
				return
			}
		}
	}
}

func (v View) grid(leastRows int) grid {
	tasks := max(1, min(v.Len()/taskLen, maxTasks))
	g := grid{v: v, rows: max(1, min(tasks, v.Outer/leastRows)), slices: 1}
	unit := 1 // channels that a band cannot divide
	if v.Inner == 1 {
		unit = pad
		g.rows = max(g.rows, ceilDiv(v.Outer, maxRows))
		g.bands = ceilDiv(v.Channels, bandLen)
	}
	g.bands = max(g.bands, min(ceilDiv(min(tasks, fewTasks), g.rows), ceilDiv(v.Channels, unit)))
	g.channelsOfBand = ceilDiv(ceilDiv(v.Channels, g.bands), unit) * unit
	g.bands = ceilDiv(v.Channels, g.channelsOfBand)
	g.slices = max(1, min(tasks/(g.rows*g.bands), v.Inner/taskLen))
	return g
}

func (g grid) tasks() int { return g.rows * g.bands * g.slices }

// parts is how many blocks a channel has.
func (g grid) parts() int { return g.rows * g.slices }

// block returns the block of a task.
func (g grid) block(task int) block {
	slice, band, row := task%g.slices, task/g.slices%g.bands, task/g.slices/g.bands
	r0, r1 := g.v.Outer*row/g.rows, g.v.Outer*(row+1)/g.rows
	c0, c1 := band*g.channelsOfBand, min((band+1)*g.channelsOfBand, g.v.Channels)
	i0, i1 := g.v.Inner*slice/g.slices, g.v.Inner*(slice+1)/g.slices
	return block{
		at:      (r0*g.v.Channels+c0)*g.v.Inner + i0,
		channel: c0, channels: c1 - c0,
		rows: r1 - r0, stride: g.v.Channels * g.v.Inner,
		inner: i1 - i0, pitch: g.v.Inner,
		part: row*g.slices + slice,
	}
}

// whole is the block of all elements.
func (v View) whole() block {
	return block{channels: v.Channels, rows: v.Outer, stride: v.Channels * v.Inner, inner: v.Inner, pitch: v.Inner}
}

// channel is the block of all elements of one channel.
func (v View) channel(c int) block { return v.whole().one(c) }

// wholeGrid cuts a view between channels only, for work that goes over each of them more
// than once. ok is false where channels do not lie in one run, or are large and too few
// to be shared whole.
func (v View) wholeGrid() (g grid, ok bool) {
	g = v.mapGrid()
	if v.Channels >= fewTasks {
		g.slices = 1
	}
	return g, v.Outer == 1 && g.slices == 1
}

// finer cuts the channels of a wholeGrid into more tasks, for work without partial
// results. They even out processors that are slower, or begin later, than others.
// Channels of one element are in more bands already.
func (g grid) finer() grid {
	if most := min(manyTasks, g.v.Len()/taskLen, g.v.Channels); most > g.bands {
		g.channelsOfBand = ceilDiv(g.v.Channels, most)
		g.bands = ceilDiv(g.v.Channels, g.channelsOfBand)
	}
	return g
}

// bandGrid has all elements of a channel in one task.
func (v View) bandGrid() grid {
	g := v.mapGrid()
	g.bands *= g.rows * g.slices
	g.rows, g.slices = 1, 1
	g.channelsOfBand = ceilDiv(v.Channels, g.bands)
	g.bands = ceilDiv(v.Channels, g.channelsOfBand)
	return g
}

const (
	// keptBytes is the size of an array of which the L2 cache keeps two
	// from one pass to the next. Bands of larger arrays were slower: rows of the
	// usual sizes lie powers of two apart, so a band of them falls into a few sets
	// of the cache.
	keptBytes = 1 << 18

	// bandBytes is the least width of a band of columns.
	bandBytes = 256
)

// keptGrid cuts a small view between channels only, for work that goes over each
// of them more than once; ok is false where the cache does not keep it, where it
// is narrow, or where chains of additions would be longer than those of sumsGrid.
func keptGrid[T Float](v View) (g grid, ok bool) {
	size := sizeOf[T]()
	unit := 1
	if v.Inner == 1 {
		unit = bandBytes / size
	}
	tasks := max(1, min(v.Len()/taskLen, fewTasks))
	g = grid{v: v, rows: 1, slices: 1, channelsOfBand: ceilDiv(ceilDiv(v.Channels, tasks), unit) * unit}
	g.bands = ceilDiv(v.Channels, g.channelsOfBand)
	_, narrow := folded[T](v)
	return g, !narrow && v.Len()*size <= keptBytes && v.Outer <= maxRows && v.Inner <= taskLen
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
