package kernel

import "math"

// moments are the count, the mean hi + lo and the sum of squared deviations
// m2 = Σ(x − mean)² of some values.
type moments struct{ n, hi, lo, m2 float64 }

// momentsOf finishes the second of two passes: m0 is the mean as the first
// pass gave it, d = Σ(x − m0) and q = Σ(x − m0)². d would be 0 but for the
// rounding of m0, so it corrects both the mean and m2.
//
// Chan, Golub, LeVeque, "Algorithms for computing the sample variance:
// analysis and recommendations", The American Statistician 37 (1983),
// equation 1.7.
func momentsOf(n, m0, d, q float64) moments {
	r := d / n
	m := moments{n: n, m2: q - r*d}
	if m.m2 < 0 {
		m.m2 = 0
	}
	m.hi, m.lo = twoSum(m0, r)
	return m
}

// merge adds the values behind b to a: equations 2.1 of the same paper, with
// the mean carried as a sum of two.
func (a *moments) merge(b moments) {
	if a.n == 0 {
		*a = b
		return
	}
	n := a.n + b.n
	w := b.n / n
	delta := (b.hi - a.hi) + (b.lo - a.lo)
	a.m2 += b.m2 + delta*delta*a.n*w
	a.hi, a.lo = twoSum(a.hi, a.lo+delta*w)
	a.n = n
}

// twoSum returns a + b rounded, and the rounding error (Knuth).
func twoSum(a, b float64) (s, e float64) {
	s = a + b
	t := s - a
	return s, (a - (s - t)) + (b - t)
}

// rstd returns 1/√(variance + eps) with the biased variance m2/n.
func (m moments) rstd(eps float64) float64 { return 1 / math.Sqrt(m.m2/m.n+eps) }

// runMoments returns the moments of one run, read from memory once.
func runMoments[T Float](x []T) moments {
	var m moments
	for len(x) > blockLen {
		m.merge(blockMoments(x, block{0, 1, blockLen, 0}))
		x = x[blockLen:]
	}
	m.merge(blockMoments(x, block{0, 1, len(x), 0}))
	return m
}

// blockMoments returns the moments of all elements of a block.
func blockMoments[T Float](x []T, b block) moments {
	n := float64(b.count * b.length)
	var m0 float64
	for i, at := 0, b.off; i < b.count; i, at = i+1, at+b.stride {
		m0 += sum(x[at : at+b.length])
	}
	m0 /= n
	var d, q float64
	for i, at := 0, b.off; i < b.count; i, at = i+1, at+b.stride {
		di, qi := centred(x[at:at+b.length], m0)
		d += di
		q += qi
	}
	return momentsOf(n, m0, d, q)
}

// tileMoments holds the moments of up to tileCols columns; all have n values.
type tileMoments struct {
	n          float64
	hi, lo, m2 [tileCols]float64
}

// merge adds the values behind the columns of b, as moments.merge does.
func (a *tileMoments) merge(b *tileMoments, cols int) {
	if a.n == 0 {
		*a = *b
		return
	}
	n := a.n + b.n
	w := b.n / n
	for j := range cols {
		delta := (b.hi[j] - a.hi[j]) + (b.lo[j] - a.lo[j])
		a.m2[j] += b.m2[j] + delta*delta*a.n*w
		a.hi[j], a.lo[j] = twoSum(a.hi[j], a.lo[j]+delta*w)
	}
	a.n = n
}

// columnMoments sets t to the moments of each column of a block.
func columnMoments[T Float](t *tileMoments, x []T, b block) {
	var m0, d, q [tileCols]float64
	columnSums(m0[:b.length], x, b)
	t.n = float64(b.count)
	for j := range b.length {
		m0[j] /= t.n
	}
	columnCentred(d[:b.length], q[:b.length], x, b, m0[:b.length])
	for j := range b.length {
		m := momentsOf(t.n, m0[j], d[j], q[j])
		t.hi[j], t.lo[j], t.m2[j] = m.hi, m.lo, m.m2
	}
}

// Moments gives for each channel of x the mean, as the unevaluated sum
// mean + residual, and m2 = Σ(x − mean)².
func Moments[T Float](x []T, v View, mean, residual, m2 []float64) {
	segs := v.segments()
	part := Borrow[moments](segs * v.Channels)
	defer part.Release()
	split(v.units()*segs, v.Len(), momentsOfView[T]{x, v, segs, part.Data})
	for c := range v.Channels {
		var m moments
		for s := range segs {
			m.merge(part.Data[s*v.Channels+c])
		}
		mean[c], residual[c], m2[c] = m.hi, m.lo, m.m2
	}
}

type momentsOfView[T Float] struct {
	x    []T
	v    View
	segs int
	part []moments // of [segs, Channels]
}

func (a *momentsOfView[T]) run(first, last int) {
	for task := first; task < last; task++ {
		u, s := task/a.segs, task%a.segs
		b0, b1 := a.v.segment(s, a.segs)
		out := a.part[s*a.v.Channels:][:a.v.Channels]
		if !a.v.columns() {
			var m moments
			for i := b0; i < b1; i++ {
				m.merge(blockMoments(a.x, a.v.block(u, i)))
			}
			out[u] = m
			continue
		}
		var all, one tileMoments
		var b block
		for i := b0; i < b1; i++ {
			b = a.v.block(u, i)
			columnMoments(&one, a.x, b)
			all.merge(&one, b.length)
		}
		for j := range b.length {
			out[u*tileCols+j] = moments{all.n, all.hi[j], all.lo[j], all.m2[j]}
		}
	}
}
