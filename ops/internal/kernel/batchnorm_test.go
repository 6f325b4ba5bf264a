package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// batchNormCase is the input of one batch norm; gamma and beta may be nil.
type batchNormCase[T Float] struct {
	v                  View
	eps                float64
	x, gamma, beta, dy []T
}

func newBatchNormCase[T Float](v View, eps float64, c condition) batchNormCase[T] {
	d := newData[T]()
	return batchNormCase[T]{
		v: v, eps: eps,
		x:     d.view(v, c),
		gamma: d.normal(v.Channels, 1, 1),
		beta:  d.normal(v.Channels, 0, 1),
		dy:    d.normal(v.Len(), 0, 1),
	}
}

// batchNormResult is what the kernels give for a case.
type batchNormResult[T Float] struct {
	s                    Stats
	m2                   []float64
	y, dx, dgamma, dbeta []T
}

func newStats(n int) Stats {
	return Stats{make([]float64, n), make([]float64, n), make([]float64, n)}
}

// run takes the statistics from s, or from the batch where s is nil.
func (c batchNormCase[T]) run(s *Stats) batchNormResult[T] {
	var g guards[T]
	var wide guards[float64]
	n, x, gamma, beta, dy := c.v.Channels, g.in(c.x), g.in(c.gamma), g.in(c.beta), g.in(c.dy)
	r := batchNormResult[T]{y: g.out(len(x)), dx: g.out(len(x)), dgamma: g.out(n), dbeta: g.out(n)}
	if s != nil {
		r.s = Stats{wide.in(s.Mean), wide.in(s.Residual), wide.in(s.Rstd)}
	} else {
		r.s = Stats{wide.out(n), wide.out(n), wide.out(n)}
		r.m2 = wide.out(n)
		Moments(x, nil, c.v, c.eps, r.s.Mean, r.s.Residual, r.m2)
		for ch, q := range r.m2 {
			r.s.Rstd[ch] = 1 / math.Sqrt(q/float64(c.v.Count())+c.eps)
		}
	}
	BatchNormFwd(r.y, x, nil, gamma, beta, c.v, r.s)
	BatchNormBwd(r.dx, r.dgamma, r.dbeta, x, nil, gamma, dy, c.v, r.s, s == nil)
	g.check()
	wide.check()
	return r
}

// checkBatch compares the kernels with the oracle, by the statistics of the
// batch.
func (c batchNormCase[T]) checkBatch(t *testing.T, what string) {
	t.Helper()
	got, n := c.run(nil), c.v.Count()
	p := Rows{Rows: 1, Cols: n, Eps: c.eps}
	for ch := range c.v.Channels {
		at := indices(c.v, ch)
		x, dy := wide(c.x, at), wide(c.dy, at)
		gamma, beta := constantDD(c.gamma, ch, 1, n), constantDD(c.beta, ch, 0, n)
		c.checkMoments(t, what, got, ch, x)
		compare(t, what+" y", gather(got.y, at), rowFwd(x, gamma, beta, p), n)
		dx, dgamma, dbeta := rowBwd(x, gamma, dy, p)
		compare(t, what+" dx", gather(got.dx, at), dx, n)
		compare(t, what+" dgamma", got.dgamma[ch:ch+1], []value{sumOf(dgamma)}, n)
		compare(t, what+" dbeta", got.dbeta[ch:ch+1], []value{sumOf(dbeta)}, n)
	}
}

func (c batchNormCase[T]) checkMoments(t *testing.T, what string, got batchNormResult[T], ch int, x []dd) {
	mean, m2, sigma := spreadOf(x)
	hi, lo := got.s.Mean[ch], got.s.Residual[ch]
	// hi + lo may be off by the errors of deviations from it and the rounding of lo,
	// not by roundings of the mean.
	limit := (growth(len(x))+slack[T]())*sigma + growth(len(x))*mean.abs()*0x1p-53
	if diff := mean.sub(exactSum(hi, lo)).abs(); !(diff <= limit) {
		t.Fatalf("%s mean[%d] is %v + %v, want %v: error %.3g, limit %.3g", what, ch, hi, lo, mean.hi, diff, limit)
	}
	if hi+lo != hi {
		t.Fatalf("%s: residual %v reaches into the mean %v", what, lo, hi)
	}
	if m2.hi/float64(len(x)) < c.eps*0x1p-60 {
		return // squares may be lost where eps outweighs them so far
	}
	compareSums[T](t, what+" m2", got.m2[ch:ch+1], []value{{m2, m2.hi}}, len(x))
}

// checkFixed compares the kernels with the oracle, by the given statistics.
func (c batchNormCase[T]) checkFixed(t *testing.T, what string, s Stats) {
	t.Helper()
	got, n := c.run(&s), c.v.Count()
	for ch := range c.v.Channels {
		at := indices(c.v, ch)
		x, dy := wide(c.x, at), wide(c.dy, at)
		gamma, beta := constantDD(c.gamma, ch, 1, 1)[0], constantDD(c.beta, ch, 0, 1)[0]
		mean, r := exactSum(s.Mean[ch], s.Residual[ch]), num(s.Rstd[ch])
		y, dbeta := make([]value, n), make([]value, n)
		for i := range x {
			e := x[i].sub(mean).mul(r).mul(gamma)
			y[i] = value{e.add(beta), e.abs() + beta.abs()}
			dbeta[i] = value{dy[i], dy[i].abs()}
		}
		dx, dgamma := fixedBwd(x, dy, gamma, mean, r)
		compare(t, what+" y", gather(got.y, at), y, 1)
		compare(t, what+" dx", gather(got.dx, at), dx, 1)
		compare(t, what+" dgamma", got.dgamma[ch:ch+1], []value{sumOf(dgamma)}, n)
		compare(t, what+" dbeta", got.dbeta[ch:ch+1], []value{sumOf(dbeta)}, n)
	}
}

func TestBatchNormSizes(t *testing.T) { both(t, batchNormSizes[float32], batchNormSizes[float64]) }

func batchNormSizes[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, v := range views() {
		newBatchNormCase[T](v, 1e-5, easy).checkBatch(t, label("", v))
	}
}

func TestBatchNormConditions(t *testing.T) {
	both(t, batchNormConditions[float32], batchNormConditions[float64])
}

func batchNormConditions[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, c := range conditions {
		for _, v := range short {
			for _, eps := range []float64{0, 1e-12, 1e-5, 1} {
				newBatchNormCase[T](v, eps, c).checkBatch(t, label("", c, v, eps))
			}
		}
	}
}

func TestBatchNormFixed(t *testing.T) { both(t, batchNormFixed[float32], batchNormFixed[float64]) }

// Running statistics are not those of the batch: the mean of x̂ is not 0.
func batchNormFixed[T Float](t *testing.T) {
	skipUnderRace(t)
	vs := append([]View{{65, 129, 1}, {70, 3, 61}, {2, 3, 20000}, {4097, 1, 1}, {1, 5, 1}}, short...)
	for _, c := range conditions {
		for _, v := range vs {
			s, d := newStats(v.Channels), newData[float64]()
			for ch := range v.Channels {
				s.Mean[ch] = c.scale * (c.ratio + d.r.NormFloat64())
				s.Residual[ch] = s.Mean[ch] * d.r.Float64() * 0x1p-54
				s.Rstd[ch] = (0.5 + d.r.Float64()) / c.scale
			}
			newBatchNormCase[T](v, 0, c).checkFixed(t, label("", c, v), s)
		}
	}
}

func TestBatchNormOptionalParameters(t *testing.T) {
	both(t, batchNormOptional[float32], batchNormOptional[float64])
}

func batchNormOptional[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, v := range []View{{9, 70, 1}, {4, 3, 5}, {1000, 70, 1}, {4, 3, 9000}} {
		for i := range 4 {
			c := newBatchNormCase[T](v, 1e-5, easy)
			if i&1 != 0 {
				c.gamma = nil
			}
			if i&2 != 0 {
				c.beta = nil
			}
			c.checkBatch(t, label("absent", i, v))
		}
	}
}

// Without dgamma, dbeta or both, the other gradients are the same.
func TestBatchNormBwdNilGradients(t *testing.T) {
	for _, v := range []View{{9, 70, 1}, {4, 3, 9000}} {
		c := newBatchNormCase[float32](v, 1e-5, easy)
		batch := c.run(nil)
		for _, all := range []batchNormResult[float32]{batch, c.run(&batch.s)} {
			run := func(dgamma, dbeta []float32) {
				dx := make([]float32, v.Len())
				BatchNormBwd(dx, dgamma, dbeta, c.x, nil, c.gamma, c.dy, v, all.s, all.m2 != nil)
				require.Equal(t, all.dx, dx)
			}
			dgamma, dbeta := make([]float32, v.Channels), make([]float32, v.Channels)
			run(nil, nil)
			run(dgamma, nil)
			run(nil, dbeta)
			require.Equal(t, all.dgamma, dgamma)
			require.Equal(t, all.dbeta, dbeta)
		}
	}
}

func TestBatchNormConstantChannel(t *testing.T) {
	both(t, batchNormConstant[float32], batchNormConstant[float64])
}

// In a constant channel the sum of mean and residual is its value, m2 is 0 and
// y is beta, bit for bit.
func batchNormConstant[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, value := range stubborn {
		for _, n := range stubbornLengths {
			for _, v := range []View{{n, 2, 1}, {1, 2, n}, {3, 2, n}, {n, 2, 3}} {
				c := newBatchNormCase[T](v, 1e-5, easy)
				at := indices(v, 1)
				for _, i := range at {
					c.x[i] = T(value)
				}
				got := c.run(nil)
				require.Equal(t, float64(T(value)), got.s.Mean[1], label("", v, value))
				require.Zero(t, got.s.Residual[1])
				require.Zero(t, got.m2[1])
				require.Zero(t, got.dgamma[1])
				for _, i := range at {
					require.Equal(t, c.beta[1], got.y[i])
				}
			}
		}
	}
}

func TestBatchNormIsolation(t *testing.T) {
	both(t, batchNormIsolation[float32], batchNormIsolation[float64])
}

// A NaN or an infinity spoils its own channel, and no bit of any other.
func batchNormIsolation[T Float](t *testing.T) {
	for _, v := range []View{{5, 7, 1}, {500, 70, 1}, {3, 7, 5}, {3, 5, 5000}, {2, 3, 20000}} {
		c := newBatchNormCase[T](v, 1e-5, easy)
		clean := c.run(nil)
		for _, poison := range poisons {
			at := indices(v, 2)
			i := at[len(at)/2]
			kept := c.x[i]
			c.x[i] = T(poison)
			got := c.run(nil)
			c.x[i] = kept
			for ch := range v.Channels {
				at := indices(v, ch)
				same := sameBits(clean.s.Mean[ch:ch+1], got.s.Mean[ch:ch+1]) &&
					sameBits(clean.s.Residual[ch:ch+1], got.s.Residual[ch:ch+1]) &&
					sameBits(clean.m2[ch:ch+1], got.m2[ch:ch+1]) &&
					sameBits(gather(clean.y, at), gather(got.y, at)) &&
					sameBits(gather(clean.dx, at), gather(got.dx, at)) &&
					sameBits(clean.dgamma[ch:ch+1], got.dgamma[ch:ch+1]) &&
					sameBits(clean.dbeta[ch:ch+1], got.dbeta[ch:ch+1])
				require.Equal(t, ch != 2, same, label("", v, poison, ch))
			}
			require.True(t, allNaN(gather(got.y, at)) && allNaN(gather(got.dx, at)))
			require.True(t, allNaN(got.m2[2:3]) && allNaN(got.dgamma[2:3]))
		}
	}
}
