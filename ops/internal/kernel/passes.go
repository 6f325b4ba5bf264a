package kernel

import "unsafe"

// A sumPass adds up, for each channel of a view, what its loop says. x, dy and m are the
// operands of the loop; it need not have all of them.
type sumPass[T Float] struct {
	loop     sumLoop
	x, dy, m []T
}

type sumLoop int

const (
	plainSums   sumLoop = iota // Σx
	centredPass                // Σ(x−m), Σ(x−m)²
	gradPass                   // Σdy, Σdy·(x−m), Σdy²
	squaresPass                // Σx²
	dotsPass                   // Σx², Σx·dy
)

// results is how many sums a loop has.
func (l sumLoop) results() int { return [...]int{1, 2, 3, 1, 2}[l] }

// work is the work of sums over n elements.
func (p sumPass[T]) work(n int) int { return passWork(n, p.dy) }

// add adds the sums over one block to s.
func (p *sumPass[T]) add(s [3][]float64, b block) {
	switch p.loop {
	case plainSums:
		sums(s[0], p.x, b)
	case centredPass:
		centredSums(s[0], s[1], p.x, p.m, b)
	case gradPass:
		gradSums(s[0], s[1], s[2], p.x, p.dy, p.m, b)
	case squaresPass:
		squares(s[0], p.x, b)
	case dotsPass:
		dots(s[0], s[1], p.x, p.dy, b)
	}
}

// over returns the sums over all blocks of the view.
func (p sumPass[T]) over(v View) totals {
	if f, narrow := folded[T](v); narrow {
		return p.folded(f)
	}
	g, count, n := v.sumsGrid(), p.loop.results(), padded(v.Channels)
	parts := totals{Borrow[float64](g.parts() * count * n), n}
	split(g.tasks(), p.work(v.Len()), sumTasks[T]{p, g, parts})
	return parts.merged(g.parts(), count)
}

// merged adds up parts, of count arrays each, and releases them.
func (t totals) merged(parts, count int) totals {
	if parts == 1 {
		return t
	}
	defer t.release()
	n := count * t.padded
	all := totals{Borrow[float64](n), t.padded}
	clear(all.scratch.Data)
	// The parts are the rows of a matrix, whose columns are added up.
	sums(all.scratch.Data, t.scratch.Data, block{rows: parts, stride: n, channels: n, inner: 1, pitch: 1})
	return all
}

type sumTasks[T Float] struct {
	pass  sumPass[T]
	g     grid
	parts totals
}

func (t *sumTasks[T]) run(first, last int) {
	count := t.pass.loop.results()
	for task := first; task < last; task++ {
		b := t.g.block(task)
		var s [3][]float64
		for i := range count {
			s[i] = t.parts.of(b.part*count + i)
			clear(s[i][b.channel : b.lastChannel()+1])
		}
		t.pass.add(s, b)
	}
}

// A mapPass sets each element of out from those of x and dy and the constants of
// its channel, as its loop says.
type mapPass[T Float] struct {
	loop       mapLoop
	out, x, dy []T
	k          constants[T]
	stream     bool
	plain      bool // all constants fit, see extremes.go
}

type mapLoop int

const (
	normalizePass mapLoop = iota // (x−k0)·k1 + k2
	normGradPass                 // ((dy·k2−k3) − (x−k0)·k4)·k1
	scaledPass                   // x·k0 + k1
	scaleGradPass                // (dy−x·(k1+k2))·k0
)

// arrays is how many arrays a loop moves.
func (l mapLoop) arrays() int { return [...]int{2, 3, 2, 3}[l] }

// fast does the pass over a block, but for channels that the assembly cannot do: see block.
func (p *mapPass[T]) fast(b block) {
	switch p.loop {
	case normalizePass:
		normalize(p.out, p.x, p.k, b, p.stream)
	case normGradPass:
		normGrad(p.out, p.x, p.dy, p.k, b, p.stream)
	case scaledPass:
		scaled(p.out, p.x, p.k, b, p.stream)
	case scaleGradPass:
		scaleGrad(p.out, p.x, p.dy, p.k, b, p.stream)
	}
}

// over does the pass over all blocks of the view.
func (p mapPass[T]) over(v View) {
	p.stream = streams(p.loop, p.out, v)
	p.plain = is32[T]() && p.usual(0, v.Channels)
	if f, narrow := folded[T](v); narrow && isa != generic && (p.plain || !is32[T]()) {
		p.folded(f)
		return
	}
	g, moved := v.mapGrid(), work[T](p.loop.arrays(), v.Len())
	if !sharesMap(moved) {
		moved = 0
	}
	split(g.tasks(), moved, mapTasks[T]{p, g})
}

type mapTasks[T Float] struct {
	pass mapPass[T]
	g    grid
}

func (t *mapTasks[T]) run(first, last int) {
	for task := first; task < last; task++ {
		t.pass.block(t.g.block(task))
	}
}

// streamBytes is how much a pass must read and write for its result to be written past
// the caches, in which it would no longer be by the time it is read. Measured on Zen 5
// with 32 MiB of L3, passes of 24 to 29 MiB along runs gain up to 17 %, and those of 16 to
// 19 MiB lose up to 25 %; down columns, on Zen 3, all passes from here on gain.
const streamBytes = 24 << 20

// pastCaches says whether a pass that moves so many arrays of n elements writes its
// result past the caches; out is the result or a part of it. Only whole, aligned vectors
// can be written so: pastCaches checks that out begins at one, and callers check that runs
// begin and end at one.
func pastCaches[T Float](arrays, n int, out []T) bool {
	return arrays*n*sizeOf[T]() >= streamBytes && uintptr(unsafe.Pointer(unsafe.SliceData(out)))%64 == 0
}

// streams says whether a map writes past the caches. Bands of columns begin at whole
// vectors; slices of runs do if all of them are equal.
func streams[T Float](l mapLoop, out []T, v View) bool {
	run, parts := v.Inner, v.mapGrid().slices
	if run == 1 {
		run, parts = v.Channels, 1
	}
	return pastCaches(l.arrays(), len(out), out) && run*sizeOf[T]()%(64*parts) == 0
}
