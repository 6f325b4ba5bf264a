package kernel

import "slices"

// Norms of data with padding. A mask has an entry for each of the Outer·Inner
// positions of a View, at which every channel has an element. An entry of 0 says that
// these are padding: they do not count, whatever they are, NaN included, and results are
// 0 there.

// valid says which positions of a view count.
type valid struct {
	v     View
	n     int            // how many count
	spans *Scratch[span] // of all positions; nil where all count
}

// A span is a run of positions that all count, or all do not.
type span struct {
	from, n int
	counts  bool
}

// all says that all positions of a view count.
func all(v View) valid { return valid{v: v, n: v.Count()} }

// validOf reads a mask, which may be nil. Spans end where a run of the view does.
func validOf[T Float](mask []T, v View) valid {
	if mask == nil {
		return all(v)
	}
	a := valid{v: v, spans: Borrow[span](0)}
	a.spans.Data = a.spans.all[:0]
	longest := a.longestSpan()
	for from := 0; from < len(mask); {
		end := min(len(mask), from+longest)
		if v.Inner > 1 {
			end = min(end, from-from%v.Inner+v.Inner)
		}
		s := span{from: from, counts: mask[from] != 0}
		for from < end && (mask[from] != 0) == s.counts {
			from++
		}
		s.n = from - s.from
		a.spans.append(s)
		if s.counts {
			a.n += s.n
		}
	}
	if a.n == len(mask) {
		a.release()
		return all(v)
	}
	return a
}

// longestSpan bounds the spans, and so the chains of additions, as grid does.
func (a valid) longestSpan() int {
	if a.v.Inner == 1 {
		return max(pad, min(maxRows, taskLen/a.v.Channels))
	}
	return taskLen
}

func (a valid) release() {
	if a.spans != nil {
		a.spans.Release()
	}
}

// at is the part of a block that lies in a span. The block has all positions.
func (a valid) at(b block, s span) block {
	if a.v.Inner == 1 {
		b.at, b.rows = b.at+s.from*b.stride, s.n
		return b
	}
	if a.v.Outer > 1 {
		b.at, b.rows = b.at+s.from/a.v.Inner*b.stride, 1
	}
	b.at, b.inner = b.at+s.from%a.v.Inner, s.n
	return b
}

// counted is a block with as many elements of each channel as count in b. Only its size
// means something, not where it is.
func (a valid) counted(b block) block {
	if a.spans != nil {
		b.rows, b.inner = b.rows/a.v.Outer, a.n
	}
	return b
}

// largest is the largest part of a block that counts.
func (a valid) largest(b block) block {
	if a.spans == nil {
		return b
	}
	return a.at(b, slices.MaxFunc(a.spans.Data, func(s, t span) int { return s.size() - t.size() }))
}

// size is how many positions count.
func (s span) size() int {
	if s.counts {
		return s.n
	}
	return 0
}

// parts are the parts of a block that count. The block has all positions.
type parts struct {
	valid
	b block
}

func (p parts) each(yield func(block) bool) {
	if p.spans == nil {
		yield(p.b)
		return
	}
	for _, s := range p.spans.Data {
		if s.counts && !yield(p.at(p.b, s)) {
			return
		}
	}
}

// clearRest sets those elements of a block to 0 that do not count.
func clearRest[T Float](x []T, a valid, b block) {
	if a.spans == nil {
		return
	}
	for _, s := range a.spans.Data {
		if !s.counts {
			clearBlock(x, a.at(b, s))
		}
	}
}

func clearBlock[T Float](x []T, b block) {
	for l := range b.lines {
		clear(x[l.at:][:l.n])
	}
}

// A validGrid cuts the spans into chunks and the channels into bands. Each pair of these
// is a task.
type validGrid struct{ chunks, bands, channels int } // channels of a band

func (a valid) grid() validGrid {
	tasks := max(1, min(a.n*a.v.Channels/taskLen, maxTasks))
	g := validGrid{chunks: max(1, min(tasks, len(a.spans.Data))), bands: 1}
	unit := 1
	if a.v.Inner == 1 {
		unit = pad
		g.bands = ceilDiv(a.v.Channels, bandLen)
	}
	g.bands = max(g.bands, min(ceilDiv(min(tasks, fewTasks), g.chunks), ceilDiv(a.v.Channels, unit)))
	g.channels = ceilDiv(ceilDiv(a.v.Channels, g.bands), unit) * unit
	g.bands = ceilDiv(a.v.Channels, g.channels)
	return g
}

func (g validGrid) tasks() int { return g.chunks * g.bands }

// task returns the spans of a task, the number of their chunk, and the block of its
// channels, which has all positions.
func (a valid) task(g validGrid, task int) (spans []span, chunk int, b block) {
	chunk = task / g.bands
	first := task % g.bands * g.channels
	b = a.v.whole().one(first)
	b.channels = min(g.channels, a.v.Channels-first)
	n := len(a.spans.Data)
	return a.spans.Data[n*chunk/g.chunks : n*(chunk+1)/g.chunks], chunk, b
}

// overValid is over for what counts in a view.
func (p sumPass[T]) overValid(a valid) totals {
	if a.spans == nil {
		return p.over(a.v)
	}
	g, count, n := a.grid(), p.loop.results(), padded(a.v.Channels)
	parts := totals{Borrow[float64](g.chunks * count * n), n}
	clear(parts.scratch.Data)
	split(g.tasks(), p.work(a.n*a.v.Channels), validSums[T]{p, a, g, parts})
	return parts.merged(g.chunks, count)
}

type validSums[T Float] struct {
	pass  sumPass[T]
	a     valid
	g     validGrid
	parts totals
}

func (t *validSums[T]) run(first, last int) {
	count := t.pass.loop.results()
	for task := first; task < last; task++ {
		spans, chunk, b := t.a.task(t.g, task)
		var sums [3][]float64
		for i := range count {
			sums[i] = t.parts.of(chunk*count + i)
		}
		for _, s := range spans {
			if s.counts {
				t.pass.add(sums, t.a.at(b, s))
			}
		}
	}
}

// overValid is over for what counts in a view, and sets the rest to 0.
func (p mapPass[T]) overValid(a valid) {
	if a.spans == nil {
		p.over(a.v)
		return
	}
	g := a.grid()
	split(g.tasks(), work[T](p.loop.arrays(), a.v.Len()), validMaps[T]{p, a, g})
}

type validMaps[T Float] struct {
	pass mapPass[T]
	a    valid
	g    validGrid
}

func (t *validMaps[T]) run(first, last int) {
	for task := first; task < last; task++ {
		spans, _, b := t.a.task(t.g, task)
		for _, s := range spans {
			if part := t.a.at(b, s); s.counts {
				t.pass.block(part)
			} else {
				clearBlock(t.pass.out, part)
			}
		}
	}
}
