package kernel

// A view is narrow where a channel has few elements in a row: most of the time would go
// into getting from one channel to the next. So its rows, or several of them as one, are
// taken for the rows of a matrix, each column of which belongs to a channel:
//
//	View{1000, 3, 1}: 31 rows of 32·3 columns, and 8 rows of the view are left over
//
// Passes go over the matrix, with constants repeated for its columns and the sums of
// columns added up.
const (
	narrowBytes = 64 // runs of fewer bytes are narrow, or rows where Inner is 1
	wideLen     = 64 // elements that a row of the matrix has at least
	wideRows    = 8  // rows that the matrix has at least, to be worth the repetition
)

// A folding is a narrow view as a matrix.
type folding struct {
	v          View
	rows       int  // of v in a row of the matrix
	wide, rest View // the matrix, and what is left over
}

// folded returns the matrix of a view that is narrow.
func folded[T Float](v View) (f folding, narrow bool) {
	row := v.Channels * v.Inner
	run := v.Inner
	if run == 1 {
		run = row
	}
	if run*sizeOf[T]() >= narrowBytes {
		return f, false
	}
	f = folding{v: v, rows: 1}
	if row < wideLen {
		whole := 1 // rows that make whole vectors
		for whole*row%pad != 0 {
			whole *= 2
		}
		f.rows = whole * ceilDiv(wideLen, whole*row)
	}
	f.wide = View{v.Outer / f.rows, f.rows * row, 1}
	f.rest = View{v.Outer % f.rows, v.Channels, v.Inner}
	return f, f.wide.Outer >= wideRows
}

// left is the block of what is left over.
func (f folding) left() block {
	b := f.rest.whole()
	b.at = f.wide.Len()
	return b
}

// repeatInto sets each element of wide, one for each column, to that of its channel in k.
func repeatInto[T Float](wide, k []T, f folding) {
	row := f.v.Channels * f.v.Inner
	repeatEach(wide[:row], k[:f.v.Channels], f.v.Inner)
	for at := row; at < f.wide.Channels; at += copy(wide[at:f.wide.Channels], wide[:at]) {
	}
}

// repeatEach sets dst to the elements of k, each of them n times.
func repeatEach[T Float](dst, k []T, n int) {
	for c, x := range k {
		run := dst[c*n:][:n]
		for i := range run {
			run[i] = x
		}
	}
}

// folded is over for a narrow view.
func (p sumPass[T]) folded(f folding) totals {
	wide := p
	if p.m != nil {
		m := Borrow[T](padded(f.wide.Channels))
		defer m.Release()
		repeatInto(m.Data, p.m, f)
		wide.m = m.Data
	}
	columns := wide.over(f.wide)
	defer columns.release()
	count, n := p.loop.results(), padded(f.v.Channels)
	all := totals{Borrow[float64](count * n), n}
	clear(all.scratch.Data)
	row := View{f.rows, f.v.Channels, f.v.Inner}
	var s [3][]float64
	for i := range count {
		s[i] = all.of(i)
		sums(s[i], columns.of(i), row.whole())
	}
	if f.rest.Outer > 0 {
		p.add(s, f.left())
	}
	return all
}

// folded is over for a narrow view, in the assembly.
func (p mapPass[T]) folded(f folding) {
	arrays, n := p.k.arrays(), padded(f.wide.Channels)
	wide := p
	wide.k = constants[T]{rounded: Borrow[T](arrays * n), padded: n}
	defer wide.k.rounded.Release()
	for i := range arrays {
		repeatInto(wide.k.data(i), p.k.data(i), f)
	}
	wide.over(f.wide)
	if f.rest.Outer > 0 {
		p.block(f.left())
	}
}
