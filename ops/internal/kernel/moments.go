package kernel

import "math"

// moments are the count, the mean hi + lo and the sum of squared deviations
// m2 = Σ(x − mean)² of some values.
type moments struct{ n, hi, lo, m2 float64 }

// momentsOf returns the moments of n values from d = Σ(x − m) and q = Σ(x − m)², with any
// m near the mean.
//
// Chan, Golub, LeVeque, "Algorithms for computing the sample variance:
// analysis and recommendations", The American Statistician 37 (1983),
// equation 1.7.
func momentsOf(n, m, d, q float64) moments {
	r := d / n
	s := moments{n: n, m2: q - float64(r*d)}
	if s.m2 < 0 {
		s.m2 = 0
	}
	s.hi, s.lo = twoSum(m, r)
	return s
}

// merge adds the values of b to m, by the pairwise formulas of the same paper, with
// the mean carried as a sum of two.
func (m *moments) merge(b moments) {
	if m.n == 0 {
		*m = b
		return
	}
	n := m.n + b.n
	w := b.n / n
	delta := (b.hi - m.hi) + (b.lo - m.lo)
	m.m2 += b.m2 + delta*delta*m.n*w
	m.hi, m.lo = twoSum(m.hi, m.lo+delta*w)
	m.n = n
}

// twoSum returns a + b rounded, and the rounding error (Knuth).
func twoSum(a, b float64) (s, e float64) {
	s = a + b
	t := s - a
	return s, (a - (s - t)) + (b - t)
}

// rstd returns 1/√(variance + eps) with the biased variance m2/n.
func (m moments) rstd(eps float64) float64 { return 1 / math.Sqrt(m.m2/m.n+eps) }

// chainLen is how many elements the two passes of runMoments go over before the result
// is merged: so few that the L1 cache keeps them for the second pass.
const chainLen = 4096

// runMoments returns the moments of one run, by two passes in float64.
func runMoments[T Float](x []T) moments {
	var m moments
	for len(x) > 0 {
		part := x[:min(chainLen, len(x))]
		n := float64(len(part))
		m0 := sumGo(part) / n
		d, q := centredGo(part, m0)
		m.merge(momentsOf(n, m0, d, q))
		x = x[len(part):]
	}
	return m
}

// rstdGo is the definition of Rstd.
func rstdGo(rstd, m2 []float64, n, eps float64) {
	perValue := 1 / n
	rstd = rstd[:len(m2)]
	for c, q := range m2 {
		rstd[c] = 1 / math.Sqrt(q*perValue+eps)
	}
}

// Moments gives for each channel of x the mean, as the unevaluated sum
// mean + residual, and m2 = Σ(x − mean)², of the elements that the mask says count, at
// least one; the mask may be nil. If the variance is negligible beside eps, squares below
// the range of T may be lost.
func Moments[T Float](x, mask []T, v View, eps float64, mean, residual, m2 []float64) {
	m := Borrow[T](padded(v.Channels))
	defer m.Release()
	a := validOf(mask, v)
	defer a.release()
	p := momentsPass[T]{x: x, eps: eps, m: m.Data, mean: mean, residual: residual, m2: m2, valid: a}
	whole := v.whole()
	guessMeans(p.m, x, a.largest(whole))
	for range 2 {
		sum := sumPass[T]{loop: centredPass, x: x, m: p.m}.overValid(a)
		good := p.settle(sum.of(0), sum.of(1), a.counted(whole))
		sum.release()
		if good {
			return
		}
	}
	p.mend(whole)
}

// A momentsPass gives the moments of channels.
//
// It goes over x once, guessing the mean of a channel from its first few values. If a
// guess turns out to be more than 1.4 standard deviations from the mean, squares and
// their correction cancel: then everything is done again from the means just found,
// and what that cannot mend (overflow, or a mean so large that T cannot resolve the
// spread) is done in float64.
type momentsPass[T Float] struct {
	x                  []T
	eps                float64
	m                  []T // guesses of the means
	mean, residual, m2 []float64
	valid              valid // which of the blocks' elements count
}

// block is Moments for a block, whose channels are counted from 0. d and q are
// scratch.
func (p *momentsPass[T]) block(d, q []float64, b block) {
	guessMeans(p.m, p.x, p.valid.largest(b))
	for range 2 {
		clear(d[:b.lastChannel()+1])
		clear(q[:b.lastChannel()+1])
		for part := range (parts{p.valid, b}).each {
			centredSums(d, q, p.x, p.m, part)
		}
		if p.settle(d, q, p.valid.counted(b)) {
			return
		}
	}
	p.mend(b)
}

// settle makes the moments from d = Σ(x − m) and q = Σ(x − m)². Where they cannot
// be trusted m2 is NaN, m is the mean just found, and the result is false.
func (p *momentsPass[T]) settle(d, q []float64, b block) (good bool) {
	n, good := float64(b.count()), true
	l := limitsOf[T](n, p.eps)
	if p.settled(d, q, b.channels, l) {
		return true
	}
	d, q = d[:b.channels], q[:b.channels]
	m, mean, residual, m2 := p.m[:b.channels], p.mean[:b.channels], p.residual[:b.channels], p.m2[:b.channels]
	for c := range m {
		s := momentsOf(n, float64(m[c]), d[c], q[c])
		mean[c], residual[c], m2[c] = s.hi, s.lo, s.m2
		if !l.trust(d[c], q[c]) {
			good = false
			m2[c] = math.NaN()
			m[c] = T(s.hi)
		}
	}
	return good
}

// mend computes in float64 the moments that could not be trusted.
func (p *momentsPass[T]) mend(b block) {
	for c, q := range p.m2[:b.channels] {
		if q != q {
			var s moments
			for part := range (parts{p.valid, b.one(c)}).each {
				s.merge(blockMoments(p.x, part))
			}
			if s.hi != s.hi {
				s.hi, s.lo = p.sum(b.one(c)), 0
			}
			p.mean[c], p.residual[c], p.m2[c] = s.hi, s.lo, s.m2
		}
	}
}

// sum returns the sum of one channel, for a mean that came out as NaN. Differences from an
// infinity do that, but the mean is that infinity, unless there is one of the other sign,
// or a NaN, in the data: then the sum is NaN too.
func (p *momentsPass[T]) sum(b block) (sum float64) {
	for part := range (parts{p.valid, b}).each {
		for row := range part.eachRow {
			sum += sumGo(p.x[row:][:part.inner])
		}
	}
	return sum
}

// limits are the conditions on d = Σ(x − m) and q = Σ(x − m)² of n values under which
// q − d²/n has the digits of q: d² ≤ q·bound, so that the correction is at most two
// thirds of q, and least ≤ q < most, so that no squares that count beside eps are out
// of the range of the data.
type limits struct{ n, bound, least, most float64 }

func limitsOf[T Float](n, eps float64) limits {
	least, most := rangeOf[T](n)
	if eps >= negligible {
		least = 0
	}
	return limits{n, n * (2.0 / 3), least, most}
}

func (l limits) trust(d, q float64) bool { return d*d <= q*l.bound && q >= l.least && q < l.most }

// negligible is the eps beside which squares that are lost below the range of float32,
// let alone of float64, do not matter: each is less than 2⁻¹²⁶.
const negligible = 0x1p-64

// rangeOf returns the bounds, least included, within which a sum of n squares has its
// digits.
func rangeOf[T Float](n float64) (least, most float64) {
	if is32[T]() {
		return n * 0x1p-100, math.MaxFloat32
	}
	return n * 0x1p-960, math.MaxFloat64
}

// inRange says whether a sum of n squares has its digits.
func inRange[T Float](n, q float64) bool {
	least, most := rangeOf[T](n)
	return q >= least && q < most
}

// A guess of the mean of a channel is made of at most guessRows values of a column. Of
// runs it is made of at most guessLen values of one, or of as many short ones as have
// guessRows values together.
const (
	guessRows = 16
	guessLen  = 256
)

// guessMeans sets m to about the mean of each channel of a block, counted from 0.
func guessMeans[T Float](m, x []T, b block) {
	if b.columns() {
		b.rows = min(b.rows, guessRows)
	} else {
		b.rows, b.inner = min(b.rows, ceilDiv(guessRows, b.inner)), min(b.inner, guessLen)
	}
	s := Borrow[float64](padded(b.channels))
	defer s.Release()
	clear(s.Data)
	sums(s.Data, x, b)
	storeTimes(m, s.Data, 1/float64(b.count()))
}

// channelMoments returns the moments of one channel, in float64.
func channelMoments[T Float](x []T, v View, c int) moments { return blockMoments(x, v.channel(c)) }

// blockMoments returns the moments of a block of one channel, in float64.
func blockMoments[T Float](x []T, b block) moments {
	var m moments
	for row := range b.eachRow {
		m.merge(runMoments(x[row:][:b.inner]))
	}
	return m
}

// channelSquares returns the moments of one channel about 0, in float64.
func channelSquares[T Float](x []T, v View, c int) moments {
	m := moments{n: float64(v.Count())}
	for o := range v.Outer {
		run := x[(o*v.Channels+c)*v.Inner:][:v.Inner]
		m.m2 += dotGo(run, run)
	}
	return m
}
