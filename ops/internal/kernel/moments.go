package kernel

import "math"

// moments are the count, the mean hi + lo and the sum of squared deviations
// m2 = Σ(x − mean)² of some values.
type moments struct{ n, hi, lo, m2 float64 }

// momentsOf finishes a pass over n values: with any m near the mean,
// d = Σ(x − m) and q = Σ(x − m)².
//
// Chan, Golub, LeVeque, "Algorithms for computing the sample variance:
// analysis and recommendations", The American Statistician 37 (1983),
// equation 1.7.
func momentsOf(n, m, d, q float64) moments {
	r := d / n
	s := moments{n: n, m2: q - r*d}
	if s.m2 < 0 {
		s.m2 = 0
	}
	s.hi, s.lo = twoSum(m, r)
	return s
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

// chainLen is how many elements the two passes of runMoments go over before
// the result is merged: the first-level cache keeps them for the second pass.
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

// Moments gives for each channel of x the mean, as the unevaluated sum
// mean + residual, and m2 = Σ(x − mean)². Of a variance that is nothing beside
// eps, squares may be lost below the range of T.
//
// It goes over x once, with the mean of the first few values of a channel for a
// guess. Where a guess turns out to be far from the mean, by more than
// 1.4 standard deviations, squares and their correction cancel: then all is done again
// from the means just found, and what that cannot mend (overflow, or a mean that
// is large beyond the precision of T) is done in float64.
func Moments[T Float](x []T, v View, eps float64, mean, residual, m2 []float64) {
	m := Borrow[T](padded(v.Channels))
	defer m.Release()
	guessMeans(m.Data, x, v)
	n := float64(v.Count())
	for range 2 {
		sum := sumPass[T]{loop: centredPass, x: x, m: m.Data}.over(v)
		d, q := sum.of(0)[:v.Channels], sum.of(1)[:v.Channels]
		m, mean, residual, m2 := m.Data[:v.Channels], mean[:v.Channels], residual[:v.Channels], m2[:v.Channels]
		good := true
		for c := range m {
			s := momentsOf(n, float64(m[c]), d[c], q[c])
			mean[c], residual[c], m2[c] = s.hi, s.lo, s.m2
			if !trusted[T](n, d[c], q[c], eps) {
				good = false
				m2[c] = math.NaN()
				m[c] = T(s.hi)
			}
		}
		sum.release()
		if good {
			return
		}
	}
	for c, q := range m2 {
		if q != q {
			s := channelMoments(x, v, c)
			mean[c], residual[c], m2[c] = s.hi, s.lo, s.m2
		}
	}
}

// trusted says whether q − d²/n has the digits of q: the correction is at most
// two thirds of q, and no squares that count beside eps are out of the range of T.
func trusted[T Float](n, d, q, eps float64) bool {
	return d*d <= q*n*(2.0/3) && (inRange[T](n, q) || q < n && eps >= negligible)
}

// negligible is the eps beside which all squares that are lost below the range of
// float32, and the more of float64, are nothing: each is less than 2⁻¹²⁶.
const negligible = 0x1p-64

// inRange says whether a sum of n squares has its digits.
func inRange[T Float](n, q float64) bool {
	if is32[T]() {
		return q >= n*0x1p-100 && q < math.MaxFloat32
	}
	return q >= n*0x1p-960 && q < math.MaxFloat64
}

// guessLen is how many values of a channel a guess of its mean is made of.
const (
	guessRows = 16
	guessLen  = 256
)

// guessMeans sets m to about the mean of each channel.
func guessMeans[T Float](m, x []T, v View) {
	b := block{
		channels: v.Channels, rows: 1, stride: v.Channels * v.Inner,
		inner: min(v.Inner, guessLen), pitch: v.Inner,
	}
	if b.columns() {
		b.rows = min(v.Outer, guessRows)
	}
	s := Borrow[float64](padded(v.Channels))
	defer s.Release()
	clear(s.Data)
	sums(s.Data, x, b)
	n := float64(b.rows * b.inner)
	for c, t := range s.Data {
		m[c] = T(t / n)
	}
}

// channelMoments returns the moments of one channel, in float64.
func channelMoments[T Float](x []T, v View, c int) moments {
	var m moments
	for o := range v.Outer {
		m.merge(runMoments(x[(o*v.Channels+c)*v.Inner:][:v.Inner]))
	}
	return m
}
