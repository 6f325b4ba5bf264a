package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// spectralCase is the input of one spectral norm.
type spectralCase[T Float] struct {
	view  View
	w, dy []T
	u, v  []float64
}

func newSpectralCase[T Float](view View, scale float64) spectralCase[T] {
	d, vectors := newData[T](), newData[float64]()
	return spectralCase[T]{
		view: view, w: d.normal(view.Len(), 0.3, scale), dy: d.normal(view.Len(), 0, 1),
		u: vectors.normal(view.Channels, 0.5, 1), v: vectors.normal(view.Count(), 0.5, 1),
	}
}

// matrix returns the rows of W.
func (c spectralCase[T]) matrix(x []T) (rows [][]dd) {
	for ch := range c.view.Channels {
		rows = append(rows, wide(x, indices(c.view, ch)))
	}
	return rows
}

// productOf returns W·x, or Wᵀ·x.
func productOf(w [][]dd, x []dd, transposed bool) []value {
	n := len(w)
	if transposed {
		n = len(w[0])
	}
	out := make([]value, n)
	for i, row := range w {
		for j, a := range row {
			if transposed {
				p := a.mul(x[i])
				out[j] = out[j].add(value{p, p.abs()})
			} else {
				p := a.mul(x[j])
				out[i] = out[i].add(value{p, p.abs()})
			}
		}
	}
	return out
}

var spectralViews = []View{
	{1, 4, 6}, {1, 1, 1}, {6, 4, 1}, {3, 4, 5}, {1, 1, 70}, {1, 70, 1}, {70, 1, 1}, {2, 1, 3}, {3, 2, 1},
	{1, 300, 129}, {129, 300, 1}, {1, 3, 2500}, {5, 40, 90}, {2500, 3, 1}, {1, 9, 1025}, {2, 5, 17}, {3, 8, 16}, {1, 7, 31},
}

func TestSpectralNorm(t *testing.T) { both(t, spectralNorm[float32], spectralNorm[float64]) }

func spectralNorm[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, view := range spectralViews {
		for _, scale := range []float64{1, 1e-15, 1e15} {
			newSpectralCase[T](view, scale).check(t, label("", view, scale))
		}
	}
}

func (c spectralCase[T]) check(t *testing.T, what string) {
	t.Helper()
	n := len(c.w)
	w, dy := c.matrix(c.w), c.matrix(c.dy)
	u, v := rowDD(c.u, 0, len(c.u)), rowDD(c.v, 0, len(c.v))
	got := make([]float64, c.view.Channels)
	times(got, c.w, c.v, c.view)
	wv := productOf(w, v, false)
	compare(t, what+" Wv", got, wv, n)
	got = make([]float64, c.view.Count())
	timesTransposed(got, c.w, c.u, c.view)
	compare(t, what+" Wᵀu", got, productOf(w, u, true), n)

	var sigma, along value
	for i := range w {
		sigma = sigma.add(value{u[i].mul(wv[i].want), u[i].abs() * wv[i].size})
		for j := range w[i] {
			p := w[i][j].mul(dy[i][j])
			along = along.add(value{p, p.abs()})
		}
	}
	s := Sigma(c.w, c.view, c.u, c.v)
	compare(t, what+" σ", []float64{s}, []value{sigma}, n)

	// These start from the σ that was computed, whose own error the line above checks.
	var g guards[T]
	y, dw := g.out(n), g.out(n)
	SpectralNormFwd(y, g.in(c.w), s)
	SpectralNormBwd(dw, g.in(c.w), g.in(c.dy), c.view, c.u, c.v, s)
	g.check()
	one := num(s)
	for i := range w {
		at := indices(c.view, i)
		wantY, wantDW := make([]value, len(at)), make([]value, len(at))
		for j := range at {
			p := w[i][j].div(one)
			wantY[j] = value{p, p.abs()}
			a, b := dy[i][j].div(one), along.want.div(one).div(one).mul(u[i]).mul(v[j])
			wantDW[j] = value{a.sub(b), a.abs() + along.size/s/s*(u[i].abs()*v[j].abs())}
		}
		compare(t, what+" y", gather(y, at), wantY, n)
		compare(t, what+" dw", gather(dw, at), wantDW, n)
	}
}

func TestSpectralNormSecond(t *testing.T) {
	both(t, spectralNormSecond[float32], spectralNormSecond[float64])
}

// The second derivative agrees with differences of ⟨up, dw⟩, in which σ = u·Wv depends on w.
func spectralNormSecond[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, view := range []View{{1, 4, 6}, {6, 4, 1}, {3, 4, 5}, {1, 1, 33}, {1, 33, 1}} {
		for _, scale := range []float64{1, 1e-12, 1e12} {
			c, n := newSpectralCase[T](view, scale), view.Len()
			up := newData[T]().normal(n, -0.3, 2)
			var g guards[T]
			sw, sdy := g.out(n), g.out(n)
			sigma := Sigma(c.w, view, c.u, c.v)
			SpectralNormSecond(sw, sdy, g.in(c.w), g.in(c.dy), g.in(up), view, c.u, c.v, sigma)
			g.check()
			w, dy, u := rowDD(c.w, 0, n), rowDD(c.dy, 0, n), rowDD(up, 0, n)
			outer := make([]dd, n) // u·vᵀ
			for i := range outer {
				row, column := i/view.Inner%view.Channels, i/view.Inner/view.Channels*view.Inner+i%view.Inner
				outer[i] = num(c.u[row]).mul(num(c.v[column]))
			}
			dot := func(a, b []dd) (sum value) {
				for i, x := range a {
					p := x.mul(b[i])
					sum = sum.add(value{p, p.abs()})
				}
				return sum
			}
			s := func() dd {
				k := dot(outer, w).want
				return dot(u, dy).want.sub(dot(dy, w).want.mul(dot(u, outer).want).div(k)).div(k)
			}
			terms, k := dot(outer, w), math.Abs(sigma)
			loss := terms.size / k // by which cancelled terms of σ enlarge its error
			along, p := dot(dy, w).size/k, dot(u, outer).size/k
			bySW, bySDY := make([]value, n), make([]value, n)
			slopesW, slopesDY := slopes(s, w, scale), slopes(s, dy, 1)
			for i := range w {
				bySDY[i] = value{slopesDY[i], loss * (u[i].abs() + p*w[i].abs()) / k}
				bySW[i] = value{slopesW[i], loss * (p*dy[i].abs() + (dot(u, dy).size+2*along*p)*outer[i].abs()/k) / k}
			}
			what := label("", view, scale)
			compare(t, what+" by w", sw, bySW, n)
			compare(t, what+" by dy", sdy, bySDY, n)
		}
	}
}

// One iteration agrees with its definition. Many find the largest singular value of a
// matrix made with known ones, U·diag(s)·Vᵀ with reflections for U and V.
func TestPowerIteration(t *testing.T) {
	for _, view := range []View{{1, 4, 6}, {6, 4, 1}, {3, 4, 5}} {
		c := newSpectralCase[float64](view, 1)
		w := c.matrix(c.w)
		unitOf := func(x []value) []dd {
			v := make([]dd, len(x))
			for i := range x {
				v[i] = x[i].want
			}
			n := normOf(v)
			for i := range v {
				v[i] = v[i].div(n)
			}
			return v
		}
		v := unitOf(productOf(w, rowDD(c.u, 0, len(c.u)), true))
		u := unitOf(productOf(w, v, false))
		s, ok := PowerIteration(c.w, view, c.u, c.v, 1, 1e-12)
		require.True(t, ok)
		require.InEpsilon(t, Sigma(c.w, view, c.u, c.v), s, 1e-14)
		for i := range v {
			require.InDelta(t, v[i].hi, c.v[i], 1e-15)
		}
		for i := range u {
			require.InDelta(t, u[i].hi, c.u[i], 1e-15)
		}
	}
	view := View{1, 5, 7}
	c := newSpectralCase[float64](view, 1)
	p, q := reflection(5, 1), reflection(7, 2)
	for i := range 5 {
		for j := range 7 {
			c.w[i*7+j] = 0
			for k, s := range []float64{3, -2, 1, 0.5, 0} {
				c.w[i*7+j] += p[i][k] * s * q[j][k]
			}
		}
	}
	s, ok := PowerIteration(c.w, view, c.u, c.v, 100, 1e-12)
	require.True(t, ok)
	require.InDelta(t, 3, s, 1e-13)
	require.InDelta(t, 3, Sigma(c.w, view, c.u, c.v), 1e-13)
}

// reflection returns I − 2·a·aᵀ/a·a.
func reflection(n int, seed float64) [][]float64 {
	a, square := make([]float64, n), 0.0
	for i := range a {
		a[i] = math.Sin(seed + 3*float64(i))
		square += a[i] * a[i]
	}
	m := make([][]float64, n)
	for i := range m {
		m[i] = make([]float64, n)
		for j := range m[i] {
			m[i][j] = -2 * a[i] * a[j] / square
		}
		m[i][i]++
	}
	return m
}

// Where a product has no direction, the iteration says so. W = 0 gives 0 and the gradient
// 0.
func TestSpectralNormWithoutDirection(t *testing.T) {
	for _, bad := range append(poisons, 0) {
		c := newSpectralCase[float64](View{1, 2, 3}, 0)
		c.w[1] = bad
		_, ok := PowerIteration(c.w, c.view, c.u, c.v, 1, 1e-12)
		require.False(t, ok, "%v", bad)
	}
	_, ok := PowerIteration([]float64{1}, View{1, 1, 1}, []float64{1e-310}, []float64{0}, 1, 1e-12)
	require.False(t, ok, "Wᵀu below the normal range, which times 1/eps is not")
	_, ok = PowerIteration([]float64{1e308, 1e308, 1e308, 1e308}, View{1, 1, 4}, []float64{1e-10}, make([]float64, 4), 1, 1e-12)
	require.False(t, ok, "Wv = 2·10³⁰⁸, with v = (½, ½, ½, ½)")
	c := newSpectralCase[float32](View{1, 2, 3}, 0)
	y, dw := newData[float32]().normal(6, 1, 1), newData[float32]().normal(6, 1, 1)
	SpectralNormFwd(y, c.w, 0)
	SpectralNormBwd(dw, c.w, c.dy, c.view, c.u, c.v, 0)
	require.Equal(t, make([]float32, 6), y)
	require.Equal(t, make([]float32, 6), dw)
}

// y is 0 where 1/σ overflows, and only there.
func TestSpectralNormOfTinySigma(t *testing.T) {
	for _, row := range [][2]float64{{0x1p-1022, 1}, {-0x1p-1022, -1}, {0x1p-1025, 0}, {-0x1p-1025, 0}} {
		y := make([]float64, 1)
		SpectralNormFwd(y, []float64{0x1p-1022}, row[0])
		require.Equal(t, row[1:], y)
	}
}

// A task writes its own runs and no others, here of two matrices.
func TestOuterSumTasks(t *testing.T) {
	view := View{2, 300, 70}
	c := newSpectralCase[float32](view, 1)
	a := outerSum[float32]{out: make([]float32, view.Len()), x: c.w, y: c.w, scale: 1, u: c.u, v: c.v, view: view}
	tasks := ceilDiv(a.runs(), a.runsOfTask())
	require.Greater(t, tasks, 1)
	for task := range tasks {
		for i := range a.out {
			a.out[i] = float32(math.NaN())
		}
		a.run(task, task+1)
		for i, x := range a.out {
			require.Equal(t, i/view.Inner/a.runsOfTask() == task, x == x, "task %d, element %d", task, i)
		}
	}
}

// The elements of a product may be so large or small that their squares leave the range of
// float64.
func TestPowerIterationExtremes(t *testing.T) {
	for _, k := range []int{-900, -500, 500, 900} {
		c, scaled := newSpectralCase[float64](View{1, 4, 6}, 1), newSpectralCase[float64](View{1, 4, 6}, 1)
		for i := range scaled.w {
			scaled.w[i] = math.Ldexp(scaled.w[i], k)
		}
		s, ok := PowerIteration(c.w, c.view, c.u, c.v, 3, 1e-300)
		require.True(t, ok)
		large, ok := PowerIteration(scaled.w, c.view, scaled.u, scaled.v, 3, 1e-300)
		require.True(t, ok)
		require.InEpsilon(t, s, math.Ldexp(large, -k), 1e-14)
		require.InDeltaSlice(t, c.u, scaled.u, 1e-15)
		require.InDeltaSlice(t, c.v, scaled.v, 1e-15)
	}
}

// An eps that is larger than the norms takes part in σ.
func TestPowerIterationBelowEps(t *testing.T) {
	for _, view := range []View{{1, 4, 6}, {2, 3, 5}, {6, 4, 1}} {
		c := newSpectralCase[float64](view, 1)
		s, ok := PowerIteration(c.w, view, c.u, c.v, 2, 100)
		require.True(t, ok)
		require.Less(t, dotGo(c.u, c.u), 1.0)
		require.InEpsilon(t, Sigma(c.w, view, c.u, c.v), s, 1e-14)
	}
}
