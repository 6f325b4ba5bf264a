package kernel

const (
	// blockLen is how many elements of one run are summed before the result
	// is merged: 16 KiB of float32 or 32 KiB of float64, which the first-level
	// cache keeps for the second of two passes.
	blockLen = 4096

	// tileCols and tileRows bound a block of columns: one accumulator for each
	// column, and a block that the first-level cache keeps.
	tileCols = 64
	tileRows = 64

	// minTasks is into how many tasks a large reduction is cut at least, so
	// that a few cores share it evenly, and taskLen what a task is worth.
	minTasks = 16
	taskLen  = 1 << 14
)

// View sees a row-major tensor as [Outer, Channels, Inner] and reduces over
// Outer and Inner: batch norm of (N,C,H,W) is View{N, C, H·W}, a norm of the
// rows of a matrix View{1, rows, cols}, one of its columns View{rows, cols, 1}.
type View struct{ Outer, Channels, Inner int }

// Len is the number of elements.
func (v View) Len() int { return v.Outer * v.Channels * v.Inner }

// Count is the number of elements of one channel.
func (v View) Count() int { return v.Outer * v.Inner }

// A unit is what is reduced together: one channel where its elements lie in
// runs, a tile of neighbouring channels where each lies down a column.
func (v View) units() int {
	if v.columns() {
		return ceilDiv(v.Channels, tileCols)
	}
	return v.Channels
}

// unit returns the channels [first, last) of unit u.
func (v View) unit(u int) (first, last int) {
	if v.columns() {
		return u * tileCols, min((u+1)*tileCols, v.Channels)
	}
	return u, u + 1
}

// columns says that the elements of a channel lie down a column.
func (v View) columns() bool { return v.Inner == 1 }

// A block is count runs of length elements, stride apart, the first at off.
type block struct{ off, count, length, stride int }

// blocks is the number of blocks of each unit.
func (v View) blocks() int {
	switch {
	case v.columns():
		return ceilDiv(v.Outer, tileRows)
	case v.Inner > blockLen:
		return v.Outer * ceilDiv(v.Inner, blockLen)
	default:
		return ceilDiv(v.Outer, blockLen/v.Inner)
	}
}

// block returns block i of unit u.
func (v View) block(u, i int) block {
	switch {
	case v.columns():
		row, col := i*tileRows, u*tileCols
		return block{
			off:    row*v.Channels + col,
			count:  min(tileRows, v.Outer-row),
			length: min(tileCols, v.Channels-col),
			stride: v.Channels,
		}
	case v.Inner > blockLen:
		parts := ceilDiv(v.Inner, blockLen)
		outer, at := i/parts, i%parts*blockLen
		length := min(blockLen, v.Inner-at)
		return block{(outer*v.Channels+u)*v.Inner + at, 1, length, length}
	default:
		runs := blockLen / v.Inner
		outer := i * runs
		return block{
			off:    (outer*v.Channels + u) * v.Inner,
			count:  min(runs, v.Outer-outer),
			length: v.Inner,
			stride: v.Channels * v.Inner,
		}
	}
}

// segments is into how many tasks the blocks of each unit are cut.
func (v View) segments() int {
	units := v.units()
	bySize := v.Len() / (units * taskLen)
	return max(1, min(ceilDiv(minTasks, units), bySize, v.blocks()))
}

// segment returns the blocks [first, last) of segment s out of n.
func (v View) segment(s, n int) (first, last int) {
	b := v.blocks()
	return s * b / n, (s + 1) * b / n
}

// A lineup is the order of a map over all elements: lines of contiguous
// elements one after the other in memory. A line is a whole row where channels
// lie in columns, else the elements of one channel, or a part of them.
type lineup struct {
	lines, line  int // how many, and the length of one
	parts, whole int // how many lines make up the whole of one channel's run
	channels     int
	perTask      int // lines
}

func (v View) lineup() lineup {
	l := lineup{lines: v.Outer * v.Channels, line: v.Inner, parts: 1, whole: v.Inner, channels: v.Channels}
	switch {
	case v.columns():
		l.lines, l.line, l.whole = v.Outer, v.Channels, v.Channels
	case v.Inner > taskLen:
		l.line, l.parts = taskLen, ceilDiv(v.Inner, taskLen)
		l.lines *= l.parts
	}
	l.perTask = max(1, taskLen/l.line)
	return l
}

func (l lineup) tasks() int { return ceilDiv(l.lines, l.perTask) }

// span returns the lines [from, to) of the tasks [first, last).
func (l lineup) span(first, last int) (from, to int) {
	return first * l.perTask, min(last*l.perTask, l.lines)
}

// at returns the elements [from, to) of line i, and their channel.
func (l lineup) at(i int) (from, to, channel int) {
	run, part := i, 0
	if l.parts > 1 {
		run, part = i/l.parts, i%l.parts
	}
	from = run*l.whole + part*l.line
	return from, min(from+l.line, (run+1)*l.whole), run % l.channels
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
