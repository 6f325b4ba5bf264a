package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// maskOf returns a mask of n positions in which a run of them counts, by turns,
// and fewer do not; seed chooses where they begin.
func maskOf[T Float](n, run, seed int) []T {
	m := make([]T, n)
	for i := range m {
		if (i+seed)%(run+run/2+1) < run {
			m[i] = 1
		}
	}
	return m
}

// counting are the positions that count.
func counting[T Float](mask []T) (at []int) {
	for i, f := range mask {
		if f != 0 {
			at = append(at, i)
		}
	}
	return at
}

// elementAt is the element of a channel at a position, by the definition of a mask.
func elementAt(v View, channel, p int) int {
	return (p/v.Inner*v.Channels+channel)*v.Inner + p%v.Inner
}

// elementsAt are the elements of a channel at positions.
func elementsAt(v View, channel int, positions []int) []int {
	at := make([]int, len(positions))
	for i, p := range positions {
		at[i] = elementAt(v, channel, p)
	}
	return at
}

// poison sets all elements that do not count to one value.
func poison[T Float](x, mask []T, v View, with float64) {
	for p, f := range mask {
		if f == 0 {
			for c := range v.Channels {
				x[elementAt(v, c, p)] = T(with)
			}
		}
	}
}

// maskedViews lie around the ends of runs, of bands and of tasks.
var maskedViews = []View{
	{1, 1, 1}, {5, 3, 1}, {1, 3, 7}, {4, 3, 5}, {3, 2, 64}, {2, 7, 129}, {200, 70, 1}, {1000, 130, 1}, {300, 200, 1},
	{3, 100, 200}, {2, 3, 40000}, {9, 33, 61}, {1, 132, 1000}, {70000, 3, 1},
}

// maskedData is all that the kernels take.
type maskedData[T Float] struct {
	v                    View
	mask, x, dy, ux      []T
	gamma, beta, ug, ub  []T
	s                    Stats
	y, dx, sx, sdy       []T
	dgamma, dbeta, sgama []T
}

func newMaskedData[T Float](v View, mask []T) *maskedData[T] {
	d, n, c := newData[T](), v.Len(), v.Channels
	m := &maskedData[T]{
		v: v, mask: mask, x: d.normal(n, 3, 1), dy: d.normal(n, 0.2, 1), ux: d.normal(n, -0.3, 1),
		gamma: d.normal(c, 1, 1), beta: d.normal(c, 0, 1), ug: d.normal(c, 0, 1), ub: d.normal(c, 0, 1), s: newStats(c),
	}
	m.blank()
	return m
}

// blank makes new results, of NaN.
func (m *maskedData[T]) blank() {
	for _, r := range []*[]T{&m.y, &m.dx, &m.sx, &m.sdy} {
		*r = repeatedNaN[T](m.v.Len())
	}
	for _, r := range []*[]T{&m.dgamma, &m.dbeta, &m.sgama} {
		*r = repeatedNaN[T](m.v.Channels)
	}
}

func repeatedNaN[T Float](n int) []T {
	x := make([]T, n)
	for i := range x {
		x[i] = T(math.NaN())
	}
	return x
}

func (m *maskedData[T]) second() (SecondGrads[T], SecondArgs[T]) {
	return SecondGrads[T]{X: m.sx, Gamma: m.sgama, DY: m.sdy},
		SecondArgs[T]{X: m.x, Gamma: m.gamma, DY: m.dy, UX: m.ux, UGamma: m.ug, UBeta: m.ub}
}

// runBatch runs the kernels of batch norm.
func (m *maskedData[T]) runBatch(n int, batch bool) {
	Moments(m.x, m.mask, m.v, 1e-5, m.s.Mean, m.s.Residual, m.s.Rstd)
	for c, q := range m.s.Rstd {
		m.s.Rstd[c] = 1 / math.Sqrt(q/float64(n)+1e-5)
	}
	BatchNormFwd(m.y, m.x, m.mask, m.gamma, m.beta, m.v, m.s)
	BatchNormBwd(m.dx, m.dgamma, m.dbeta, m.x, m.mask, m.gamma, m.dy, m.v, m.s, batch)
	out, in := m.second()
	BatchNormSecond(out, in, m.mask, m.v, m.s, batch)
}

// runGroups runs the kernels of group norm.
func (m *maskedData[T]) runGroups(groups int) {
	p := GroupShape{m.v.Outer, m.v.Channels, groups, m.v.Inner, 1e-5}
	GroupNormFwd(m.y, m.x, m.mask, m.gamma, m.beta, p)
	GroupNormBwd(m.dx, m.dgamma, m.dbeta, m.x, m.mask, m.gamma, m.dy, p)
	out, in := m.second()
	GroupNormSecond(out, in, m.mask, p)
}

// compact returns what counts of some samples of a view as data without padding.
func (m *maskedData[T]) compact(samples []int) *maskedData[T] {
	positions := m.positions(samples)
	c := newMaskedData[T](View{1, m.v.Channels, len(positions)}, nil)
	c.gamma, c.beta, c.ug, c.ub = m.gamma, m.beta, m.ug, m.ub
	for ch := range m.v.Channels {
		at := elementsAt(m.v, ch, positions)
		for _, row := range [][2][]T{{c.x, m.x}, {c.dy, m.dy}, {c.ux, m.ux}} {
			copy(row[0][ch*len(positions):], gather(row[1], at))
		}
	}
	return c
}

func (m *maskedData[T]) positions(samples []int) (all []int) {
	for _, s := range samples {
		for _, p := range counting(m.mask[s*m.v.Inner:][:m.v.Inner]) {
			all = append(all, s*m.v.Inner+p)
		}
	}
	return all
}

// requireCompact requires the results of compact data in what counts of the samples,
// and zeros elsewhere. Sums over channels are added to totals.
func (m *maskedData[T]) requireCompact(t *testing.T, what string, c *maskedData[T], samples []int) {
	t.Helper()
	positions := m.positions(samples)
	for i, row := range [][2][]T{{m.y, c.y}, {m.dx, c.dx}, {m.sx, c.sx}, {m.sdy, c.sdy}} {
		for ch := range m.v.Channels {
			got := gather(row[0], elementsAt(m.v, ch, positions))
			near(t, fmt.Sprintf("%s: result %d, channel %d", what, i, ch), got, row[1][ch*len(positions):][:len(positions)])
		}
	}
}

func (m *maskedData[T]) requireZeros(t *testing.T, what string) {
	t.Helper()
	for i, r := range [][]T{m.y, m.dx, m.sx, m.sdy} {
		for p, f := range m.mask {
			for ch := range m.v.Channels {
				if v := r[elementAt(m.v, ch, p)]; f == 0 && v != 0 {
					t.Fatalf("%s: result %d is %v in the padding", what, i, v)
				}
			}
		}
	}
}

// near requires equal numbers but for the order of additions.
func near[T Float](t *testing.T, what string, got, want []T) {
	t.Helper()
	limit := 1e-12
	if is32[T]() {
		limit = 2e-5
	}
	require.Len(t, got, len(want), what)
	for i := range want {
		if g, w := float64(got[i]), float64(want[i]); !(math.Abs(g-w) <= limit*(1+math.Abs(w))) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, g, w)
		}
	}
}

// Spans are as long as the mask allows, but no longer than a task or, if that is less than
// a vector, than a vector. Means are guessed from the longest one that counts.
func TestSpans(t *testing.T) {
	v := View{8, 3, 1}
	a := validOf([]float32{0, 0, 0, 0, 1, 1, 0, 1}, v)
	require.Equal(t, []span{{0, 4, false}, {4, 2, true}, {6, 1, false}, {7, 1, true}}, a.spans.Data)
	require.Equal(t, 3, a.n)
	b := a.largest(v.whole())
	require.Equal(t, []int{4 * 3, 2}, []int{b.at, b.rows})
	a.release()

	wide := View{2*pad + 1, taskLen + 1, 1}
	a = validOf(append(make([]float32, pad), slices.Repeat([]float32{1}, pad+1)...), wide)
	require.Equal(t, []span{{0, pad, false}, {pad, pad, true}, {2 * pad, 1, true}}, a.spans.Data)
	a.release()

	// Tasks take each channel of each span once, and begin at whole vectors of columns.
	v = View{40, 3000, 1}
	a = validOf(maskOf[float32](v.Count(), 7, 0), v)
	defer a.release()
	seen := map[[2]int]bool{}
	for g, task := a.grid(), 0; task < g.tasks(); task++ {
		spans, chunk, b := a.task(g, task)
		require.Less(t, chunk, g.chunks)
		require.Zero(t, b.channel%pad)
		require.LessOrEqual(t, b.channels, bandLen)
		for _, s := range spans {
			for c := range b.channels {
				at := [2]int{s.from, b.channel + c}
				require.False(t, seen[at], "twice: %v", at)
				seen[at] = true
			}
		}
	}
	require.Len(t, seen, len(a.spans.Data)*v.Channels)
}

func TestMaskedBatchNorm(t *testing.T) {
	both(t, testMaskedBatchNorm[float32], testMaskedBatchNorm[float64])
}

// What counts gives what it gives without padding, whatever the padding holds.
func testMaskedBatchNorm[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, v := range maskedViews {
		for _, run := range []int{1, 5, 1000} {
			m := newMaskedData[T](v, maskOf[T](v.Outer*v.Inner, run, v.Inner/2))
			all := make([]int, v.Outer)
			for i := range all {
				all[i] = i
			}
			n := len(counting(m.mask))
			if n < 2 {
				continue
			}
			for _, batch := range []bool{true, false} {
				what := label("", v, run, batch)
				want := m.compact(all)
				want.runBatch(n, batch)
				for _, bad := range append(poisons, 1e30) {
					for _, x := range [][]T{m.x, m.dy, m.ux} {
						poison(x, m.mask, v, bad)
					}
					m.blank()
					m.runBatch(n, batch)
					m.requireCompact(t, what, want, all)
					m.requireZeros(t, what)
					for i, row := range [][2][]T{{m.dgamma, want.dgamma}, {m.dbeta, want.dbeta}, {m.sgama, want.sgama}} {
						scale(row[0], n)
						near(t, label(what, "sum", i), row[0], scaled1(row[1], n))
					}
					near(t, what+" mean", m.s.Mean, want.s.Mean)
					near(t, what+" rstd", m.s.Rstd, want.s.Rstd)
				}
			}
		}
	}
}

// scale divides sums by their number of terms, n, since they are compared relative to the
// size of a term.
func scale[T Float](x []T, n int) {
	for i := range x {
		x[i] /= T(n)
	}
}

func scaled1[T Float](x []T, n int) []T {
	y := append([]T(nil), x...)
	scale(y, n)
	return y
}

func TestMaskedGroupNorm(t *testing.T) {
	both(t, testMaskedGroupNorm[float32], testMaskedGroupNorm[float64])
}

func testMaskedGroupNorm[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, v := range []View{{5, 4, 1}, {1, 4, 7}, {4, 6, 5}, {3, 2, 64}, {9, 32, 61}, {3, 100, 200}, {2, 2, 40000}, {70, 12, 33}} {
		for _, groups := range []int{1, 2, v.Channels} {
			m := newMaskedData[T](v, maskOf[T](v.Outer*v.Inner, 5, 1))
			if v.Outer > 1 {
				clear(m.mask[v.Inner:][:v.Inner]) // a sample of nothing
			}
			for _, bad := range append(poisons, 1e30) {
				what := label("", v, groups)
				for _, x := range [][]T{m.x, m.dy, m.ux} {
					poison(x, m.mask, v, bad)
				}
				m.blank()
				m.runGroups(groups)
				var sums [3][]float64
				for i := range sums {
					sums[i] = make([]float64, v.Channels)
				}
				for s := range v.Outer {
					c := m.compact([]int{s})
					if c.v.Inner == 0 {
						continue
					}
					c.mask = nil
					c.runGroups(groups)
					m.requireCompact(t, label(what, "sample", s), c, []int{s})
					for i, r := range [][]T{c.dgamma, c.dbeta, c.sgama} {
						for ch, d := range r {
							sums[i][ch] += float64(d)
						}
					}
				}
				m.requireZeros(t, what)
				for i, r := range [][]T{m.dgamma, m.dbeta, m.sgama} {
					want := make([]T, v.Channels)
					for ch, s := range sums[i] {
						want[ch] = T(s)
					}
					n := len(counting(m.mask))
					scale(r, n)
					near(t, label(what, "sum", i), r, scaled1(want, n))
				}
			}
		}
	}
}

// With a mask without padding the results are those without a mask; with one that is all
// padding they are zeros.
func TestMaskedAllOrNothing(t *testing.T) {
	both(t, maskedAllOrNothing[float32], maskedAllOrNothing[float64])
}

func maskedAllOrNothing[T Float](t *testing.T) {
	for _, v := range []View{{4, 3, 1}, {4, 6, 5}} {
		m := newMaskedData[T](v, make([]T, v.Outer*v.Inner))
		for c := range v.Channels {
			m.s.Rstd[c] = 1
		}
		run := func() {
			BatchNormFwd(m.y, m.x, m.mask, m.gamma, m.beta, v, m.s)
			BatchNormBwd(m.dx, m.dgamma, m.dbeta, m.x, m.mask, m.gamma, m.dy, v, m.s, false)
			out, in := m.second()
			BatchNormSecond(out, in, m.mask, v, m.s, false)
		}
		for _, f := range []func(){run, func() { m.runGroups(3) }} {
			m.blank()
			f()
			m.requireZeros(t, label("", v))
			for _, sum := range [][]T{m.dgamma, m.dbeta, m.sgama} {
				require.Equal(t, make([]T, v.Channels), sum)
			}
		}
	}
}
