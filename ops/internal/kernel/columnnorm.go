package kernel

import "math"

// Columns is the shape of a norm of columns, and says how their spread is measured. The
// data are a stack of Outer matrices of Rows × Cols. Each column is normalized, and each
// row has a scale and a shift. So a norm over the channels of (N, C, H, W) has Outer = N,
// Rows = C and Cols = H·W.
type Columns struct {
	Outer, Rows, Cols int
	Eps               float64
	UnbiasedStd       bool // as in Rows, and so is Uncentred
	Uncentred         bool
}

// asRows sees the columns as rows. Those of matrices of one column lie in memory as rows.
func (p Columns) asRows() Rows {
	return Rows{Rows: p.Outer, Cols: p.Rows, Eps: p.Eps, UnbiasedStd: p.UnbiasedStd, Uncentred: p.Uncentred}
}

// A tile is a piece of one matrix with all its rows and some of its columns. It
// holds about tileLen elements, which the cache keeps from the statistics to the
// map, or more where its rows would be shorter than tileCols.
const (
	tileLen  = 1 << 15
	tileCols = 64
)

// across is how many tiles a matrix has side by side, before width is rounded up.
func (p Columns) across() int {
	return ceilDiv(p.Cols, min(bandLen, max(tileCols, tileLen/p.Rows)))
}

// width is how many columns a tile has, but for the last one.
func (p Columns) width() int { return min(padded(ceilDiv(p.Cols, p.across())), padded(p.Cols)) }

func (p Columns) tiles() int { return p.Outer * ceilDiv(p.Cols, p.width()) }

// tile returns tile number t; its columns are counted from 0.
func (p Columns) tile(t int) block {
	n, w := ceilDiv(p.Cols, p.width()), p.width()
	c0 := t % n * w
	return block{
		at:       t/n*p.Rows*p.Cols + c0,
		channels: min(w, p.Cols-c0),
		rows:     p.Rows, stride: p.Cols, inner: 1, pitch: 1,
	}
}

// rowsOf sees the rows of a tile as its channels.
func (p Columns) rowsOf(b block) block {
	return block{
		at: b.at, channels: b.rows,
		rows: 1, stride: p.Cols, inner: b.channels, pitch: p.Cols,
	}
}

// tasks is how many tasks share the tiles. It depends on the shape alone, so sums do not
// depend on the number of processors.
func (p Columns) tasks() int {
	return max(1, min(p.tiles(), 2*maxTasks, p.Outer*p.Rows*p.Cols/taskLen))
}

// ColumnNormFwd sets y = (x − mean)·r·gamma + beta with the mean and the spread
// factor r of the column and the gamma and beta of the row.
func ColumnNormFwd[T Float](y, x, gamma, beta []T, p Columns) {
	if p.Cols == 1 {
		LayerNormFwd(y, x, gamma, beta, p.asRows())
		return
	}
	columnNorm[T]{out: y, x: x, gamma: gamma, beta: beta, p: p}.do()
}

// ColumnNormBwd gives the gradients of ColumnNormFwd from dy, the gradient of its
// output:
//
//	dx = r·(u − mean(u) − x̂·c·Σ(u·x̂)),  u = γ·dy,  dγ = Σ dy·x̂,  dβ = Σ dy
//
// with the terms of Rows.spread. The sums for dx are over a column; those for dγ and dβ
// are over a row in all matrices. With Uncentred there is no mean(u). dgamma and dbeta may
// be nil.
func ColumnNormBwd[T Float](dx, dgamma, dbeta, x, gamma, dy []T, p Columns) {
	if p.Cols == 1 {
		LayerNormBwd(dx, dgamma, dbeta, x, gamma, dy, p.asRows())
		return
	}
	a := columnNorm[T]{out: dx, x: x, gamma: gamma, dy: dy, dgamma: dgamma, dbeta: dbeta, p: p}
	if dgamma == nil && dbeta == nil {
		a.do()
		return
	}
	n := padded(p.Rows)
	a.grads = Borrow[float64](p.tasks() * 2 * n)
	defer a.grads.Release()
	clear(a.grads.Data)
	a.do()
	sumGrads(dgamma, dbeta, a.grads.Data, n, 2*n)
}

// columnNorm is ColumnNormFwd, or with dy ColumnNormBwd.
type columnNorm[T Float] struct {
	out, x, gamma, beta, dy []T // dy is nil in the forward pass
	dgamma, dbeta           []T
	p                       Columns
	affine                  constants[T]      // of the rows
	grads                   *Scratch[float64] // of [tasks, 2, padded Rows]: the sums for dγ and dβ, if wanted
}

func (a columnNorm[T]) do() {
	a.affine = borrowConstants[T](2, a.p.Rows)
	defer a.affine.release()
	scale, shift := a.affine.of(0), a.affine.of(1)
	gamma, beta := ones(a.gamma, a.p.Rows), zeros(a.beta, a.p.Rows)
	for d := range a.p.Rows {
		scale[d], shift[d] = float64(gamma[d]), float64(beta[d])
	}
	a.affine.round()
	split(a.p.tasks(), passWork(len(a.x), a.dy), a)
}

func (a *columnNorm[T]) run(first, last int) {
	w := a.borrow()
	defer w.release()
	tiles, tasks := a.p.tiles(), a.p.tasks()
	for task := first; task < last; task++ {
		if a.grads != nil {
			w.grads = a.grads.part(task, 2*padded(a.p.Rows))
		}
		for t := tiles * task / tasks; t < tiles*(task+1)/tasks; t++ {
			b := a.p.tile(t)
			a.moments(&w, b)
			switch {
			case a.dy == nil && isa == generic:
				a.forwardGo(&w, b)
			case a.dy == nil:
				a.forward(&w, b)
			case isa == generic:
				a.backwardGo(&w, b, w.grads)
			default:
				a.backward(&w, b)
			}
		}
	}
}

// columnWork holds what is known of the columns of a tile while it is worked on.
type columnWork[T Float] struct {
	guess *Scratch[T]  // of the means
	stats totals       // mean, residual, and m2 or, in the end, the coefficient of Rows.spread
	sums  totals       // Σu, Σu·(x−m), Σu²
	k     constants[T] // of normalizePass, then of normGradPass
	grads []float64    // where the sums for dγ and dβ go
}

func (a *columnNorm[T]) borrow() columnWork[T] {
	n := padded(a.p.width())
	return columnWork[T]{
		guess: Borrow[T](n),
		stats: totals{Borrow[float64](3 * n), n},
		sums:  totals{Borrow[float64](3 * n), n},
		k:     borrowConstants[T](5, n),
	}
}

func (w *columnWork[T]) release() {
	w.guess.Release()
	w.stats.release()
	w.sums.release()
	w.k.release()
}

// moments makes the constants of normalizePass for a tile:
// x̂ = (x − k0)·k1 + k2.
func (a *columnNorm[T]) moments(w *columnWork[T], b block) {
	mean, residual, m2 := w.stats.of(0)[:b.channels], w.stats.of(1)[:b.channels], w.stats.of(2)[:b.channels]
	if a.p.Uncentred {
		a.squares(w, b)
	} else {
		p := momentsPass[T]{x: a.x, eps: a.p.Eps, m: w.guess.Data, mean: mean, residual: residual, m2: m2}
		p.block(w.sums.of(0), w.sums.of(1), b)
	}
	rows := Rows{Cols: a.p.Rows, Eps: a.p.Eps, UnbiasedStd: a.p.UnbiasedStd, Uncentred: a.p.Uncentred}
	m, scale, shift := w.k.of(0)[:b.channels], w.k.of(1)[:b.channels], w.k.of(2)[:b.channels]
	for c := range m {
		hi, lo := centre[T](mean[c], residual[c])
		r, coefficient := rows.spread(moments{n: float64(a.p.Rows), m2: m2[c]})
		m[c], residual[c], m2[c] = hi, lo, coefficient
		scale[c], shift[c] = normalizeConstants(lo, r, 1, 0)
	}
	w.k.round()
}

// squares sets the moments about 0: the mean to 0 and m2 to Σx².
func (a *columnNorm[T]) squares(w *columnWork[T], b block) {
	mean, residual, q := w.stats.of(0), w.stats.of(1), w.stats.of(2)
	clear(mean)
	clear(residual)
	clear(q)
	squares(q, a.x, b)
	n := float64(b.rows)
	for c := range b.channels {
		if !inRange[T](n, q[c]) {
			q[c] = 0
			squaresGo(q, a.x, b.one(c))
		}
	}
}

// forward goes over a few rows at a time, by columns to normalize and by rows to
// scale and shift.
func (a *columnNorm[T]) forward(w *columnWork[T], b block) {
	normalize := mapPass[T]{loop: normalizePass, out: a.out, x: a.x, k: w.k}
	scale := mapPass[T]{loop: scaledPass, out: a.out, x: a.out, k: a.affine}
	few := max(1, fewLen/b.channels)
	for d := 0; d < b.rows; d += few {
		band := b
		band.at, band.rows = b.at+d*b.stride, min(few, b.rows-d)
		normalize.block(band)
		if a.gamma == nil && a.beta == nil {
			continue
		}
		rows := a.p.rowsOf(band)
		rows.channel = d
		scale.block(rows)
	}
}

// backward keeps x̂, and then u = γ·dy, in the memory of dx, which is in the cache.
func (a *columnNorm[T]) backward(w *columnWork[T], b block) {
	rows := a.p.rowsOf(b)
	if a.dgamma != nil {
		normalized := mapPass[T]{loop: normalizePass, out: a.out, x: a.x, k: w.k}
		normalized.block(b)
		a.addDots(w, rows)
	}
	if a.dbeta != nil {
		sums(w.grads[padded(a.p.Rows):], a.dy, rows)
	}
	u := a.dy
	if a.gamma != nil {
		scaled := mapPass[T]{loop: scaledPass, out: a.out, x: a.dy, k: a.affine}
		scaled.block(rows)
		u = a.out
	}
	clear(w.sums.scratch.Data)
	gradSums(w.sums.of(0), w.sums.of(1), w.sums.of(2), a.x, u, w.k.data(0), b)
	a.gradConstants(w, b)
	grad := mapPass[T]{loop: normGradPass, out: a.out, x: a.x, dy: u, k: w.k}
	grad.block(b)
	if !is32[T]() {
		return
	}
	// Columns in which dx mostly cancels are done again in float64.
	energy := w.sums.of(2)
	for c := range b.channels {
		if energy[c] == cancelled {
			a.backwardGo(w, b.one(c), nil)
		}
	}
}

// addDots adds Σ dy·x̂ of the rows of a tile to the sums for dγ. x̂ is in dx.
func (a *columnNorm[T]) addDots(w *columnWork[T], rows block) {
	n := padded(rows.channels)
	s := Borrow[float64](2 * n)
	defer s.Release()
	clear(s.Data)
	p := s.part(1, n)
	dots(s.part(0, n), p, a.out, a.dy, rows)
	for d, dot := range p[:rows.channels] {
		w.grads[d] += dot
	}
}

// gradConstants sets the constants of normGradPass, and marks the columns in which dx
// mostly cancels.
func (a *columnNorm[T]) gradConstants(w *columnWork[T], b block) {
	s, p, energy := w.sums.of(0)[:b.channels], w.sums.of(1)[:b.channels], w.sums.of(2)[:b.channels]
	lo, coefficient := w.stats.of(1)[:b.channels], w.stats.of(2)[:b.channels]
	scale, factor := w.k.of(1)[:b.channels], w.k.of(2)[:b.channels]
	ka, kb := w.k.of(3)[:b.channels], w.k.of(4)[:b.channels]
	n := float64(a.p.Rows)
	for c, r := range scale {
		ux, u := (p[c]-lo[c]*s[c])*r, s[c]
		if a.p.Uncentred {
			u = 0
		}
		factor[c] = 1
		ka[c], kb[c] = normGradConstants(lo[c], r, u/n, ux*coefficient[c])
		if a.p.UnbiasedStd { // Σx̂² is about n−1, and n for cancels
			ux *= math.Sqrt(n * coefficient[c])
		}
		if cancels[T](n, energy[c], u, ux) {
			energy[c] = cancelled
		}
	}
	w.k.round()
}
