package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// layerNormCase is the input of one layer norm; gamma and beta may be nil.
type layerNormCase[T Float] struct {
	p                  Rows
	x, gamma, beta, dy []T
}

func newLayerNormCase[T Float](p Rows, c condition) layerNormCase[T] {
	d := newData[T]()
	return layerNormCase[T]{
		p:     p,
		x:     d.view(View{1, p.Rows, p.Cols}, c),
		gamma: d.normal(p.Cols, 1, 1),
		beta:  d.normal(p.Cols, 0, 1),
		dy:    d.normal(p.Rows*p.Cols, 0, 1),
	}
}

// u32 is the largest relative error u of a rounding to float32. The assembly's float32
// arithmetic leaves a few of these. The goal for the golden cases allows about four, in
// units of the largest value of the row.
const u32 = 0x1p-24

// loosen allows the assembly more than one rounding, where it works in float32.
func loosen[T Float](want []value, n int, allowed func(i int) float64) {
	if isa == generic || !is32[T]() {
		return
	}
	for i := range want {
		want[i].size += allowed(i) / growth(n)
	}
}

// strictly is compare without its own allowance for float32 arithmetic.
func strictly[T Float](t *testing.T, what string, got []T, want []value, n int) {
	if fault := differs(what, got, want, n, 0); fault != "" {
		t.Helper()
		t.Fatal(fault)
	}
}

// compareY allows for the roundings of x − m0, the factor, the multiplication and the sum,
// in units of the largest γ·x̂ or y of the row, and for a part of a rounding by the sums of
// squares. The mean errs by roundings of the largest x − m0, and so each y by its own γ
// times those of the largest x̂.
func compareY[T Float](t *testing.T, what string, got []T, want []value, gamma, beta []dd) {
	t.Helper()
	var top, xhat float64
	for i, w := range want {
		e := w.want.sub(beta[i]).abs()
		top = max(top, w.want.abs(), e)
		if g := gamma[i].abs(); g != 0 {
			xhat = max(xhat, e/g)
		}
	}
	loosen[T](want, len(want), func(i int) float64 { return 3.5 * u32 * max(top, gamma[i].abs()*xhat) })
	strictly(t, what, got, want, len(want))
}

// compareDx allows some five roundings of max|u|, which is at most twice max|dx|/r: beyond
// that dx is computed again in float64. Half as much is enough for most rows; where one
// element outweighs all others in x and in dy, the rounding errors of Σu·x̂ all meet in its
// dx.
func compareDx[T Float](t *testing.T, what string, got []T, want []value) {
	t.Helper()
	var top float64
	for _, w := range want {
		top = max(top, w.want.abs())
	}
	loosen[T](want, len(want), func(int) float64 { return 10 * u32 * top })
	strictly(t, what, got, want, len(want))
}

// columnSum is the sum over rows of the terms of dγ or dβ of a column. The assembly adds
// up chainRows rows in float32: errors are roundings of its partial sums, up to the sum
// of the magnitudes. They are independent, and those of all chains add up like the root
// of their squares.
type columnSum struct {
	value
	rows           int
	chain, squares float64 // Σ|term| of this chain, and the squares of those before
}

const chainRows = 16

func (s *columnSum) add(v value) {
	if s.rows%chainRows == 0 {
		s.squares += s.chain * s.chain
		s.chain = 0
	}
	s.rows++
	s.chain += v.size
	s.value = s.value.add(v)
}

// spread is the root of the sum of the squares of all chains.
func (s *columnSum) spread() float64 { return math.Sqrt(s.squares + s.chain*s.chain) }

// compareColumns also allows what is lost below the range of float32.
//
// If all terms have one sign, the roundings of m partial sums, each of the deviation u/√3,
// make an error of about u·√m/3 of Σ|term|: 1.4·u for a chain and, with the product and x̂, a
// bit more for dγ. Four times that has a chance of 10⁻⁴ in such columns, which are few.
func compareColumns[T Float](t *testing.T, what string, got []T, sums []columnSum, n int, lost func(j int) float64) {
	t.Helper()
	want := make([]value, len(sums))
	for j, s := range sums {
		want[j] = s.value
	}
	loosen[T](want, n, func(j int) float64 { return 6*u32*sums[j].spread() + lost(j) })
	strictly(t, what, got, want, n)
}

// normResult is what the kernels of a norm give for a case.
type normResult[T Float] struct{ y, dx, dgamma, dbeta []T }

func (c layerNormCase[T]) run() normResult[T] {
	var g guards[T]
	x, gamma, beta, dy := g.in(c.x), g.in(c.gamma), g.in(c.beta), g.in(c.dy)
	r := normResult[T]{g.out(len(x)), g.out(len(x)), g.out(c.p.Cols), g.out(c.p.Cols)}
	LayerNormFwd(r.y, x, gamma, beta, c.p)
	LayerNormBwd(r.dx, r.dgamma, r.dbeta, x, gamma, dy, c.p)
	g.check()
	return r
}

// check compares the kernels with the oracle, row by row.
func (c layerNormCase[T]) check(t *testing.T, what string) {
	t.Helper()
	p, got := c.p, c.run()
	gamma, beta := rowDD(c.gamma, 1, p.Cols), rowDD(c.beta, 0, p.Cols)
	sg, sb := make([]columnSum, p.Cols), make([]columnSum, p.Cols)
	for r := range p.Rows {
		from, to := r*p.Cols, (r+1)*p.Cols
		at := indices(View{1, p.Rows, p.Cols}, r)
		x, dy := wide(c.x, at), wide(c.dy, at)
		compareY(t, what+" y", got.y[from:to], rowFwd(x, gamma, beta, p), gamma, beta)
		wx, wg, wb := rowBwd(x, gamma, dy, p)
		compareDx(t, what+" dx", got.dx[from:to], wx)
		for j := range p.Cols {
			sg[j].add(wg[j])
			sb[j].add(wb[j])
		}
	}
	compareColumns(t, what+" dgamma", got.dgamma, sg, p.Cols+p.Rows, func(j int) float64 { return lostInProducts(p.Rows, sb[j].size) })
	compareColumns(t, what+" dbeta", got.dbeta, sb, p.Rows, func(int) float64 { return 0 })
}

func TestLayerNormSizes(t *testing.T) { both(t, layerNormSizes[float32], layerNormSizes[float64]) }

func layerNormSizes[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, unbiased := range []bool{false, true} {
		for _, n := range lengths() {
			if n == 1 && unbiased {
				continue // not defined: TestLayerNormOneElement
			}
			p := Rows{Rows: 3, Cols: n, Eps: 1e-5, UnbiasedStd: unbiased}
			newLayerNormCase[T](p, easy).check(t, label("", p))
		}
		// Few long rows, many short ones, more than 2¹⁶ rows, and row counts
		// that the tasks do not divide.
		for _, s := range [][2]int{{1, 40000}, {5, 20000}, {66000, 3}, {1001, 129}, {4097, 16}, {7000, 5}} {
			p := Rows{Rows: s[0], Cols: s[1], Eps: 1e-5, UnbiasedStd: unbiased}
			newLayerNormCase[T](p, easy).check(t, label("", p))
		}
		// Whole groups of rows and what is left of one.
		for rows := 1; rows <= 13; rows++ {
			for _, n := range []int{5, 64, 100, 257, 1024, 4099} {
				p := Rows{Rows: rows, Cols: n, Eps: 1e-5, UnbiasedStd: unbiased}
				newLayerNormCase[T](p, easy).check(t, label("", p))
			}
		}
	}
}

func TestLayerNormConditions(t *testing.T) {
	both(t, layerNormConditions[float32], layerNormConditions[float64])
}

func layerNormConditions[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, c := range conditions {
		for _, n := range []int{2, 3, 64, 129, 192, 256, 1000, 1024, 4096, 5000, 9000} {
			for _, eps := range []float64{0, 1e-12, 1e-5, 1} {
				for _, unbiased := range []bool{false, true} {
					if eps == 0 && n == 2 {
						continue // two float32 at ratio 10⁶ can be equal
					}
					p := Rows{Rows: 5, Cols: n, Eps: eps, UnbiasedStd: unbiased} // together, or four and one alone
					newLayerNormCase[T](p, c).check(t, label("", c, p))
				}
			}
		}
	}
}

func TestLayerNormOptionalParameters(t *testing.T) {
	both(t, layerNormOptional[float32], layerNormOptional[float64])
}

func layerNormOptional[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, p := range []Rows{{Rows: 3, Cols: 7, Eps: 1e-5}, {Rows: 70, Cols: 1000, Eps: 1e-5, UnbiasedStd: true}} {
		for i := range 4 {
			c := newLayerNormCase[T](p, easy)
			if i&1 != 0 {
				c.gamma = nil
			}
			if i&2 != 0 {
				c.beta = nil
			}
			c.check(t, label("absent", i, p))
		}
	}
}

// Without dgamma, dbeta or both, the other gradients are the same.
func TestLayerNormBwdNilGradients(t *testing.T) {
	p := Rows{Rows: 70, Cols: 1000, Eps: 1e-5}
	c := newLayerNormCase[float32](p, easy)
	run := func(dgamma, dbeta []float32) []float32 {
		dx := make([]float32, len(c.x))
		LayerNormBwd(dx, dgamma, dbeta, c.x, c.gamma, c.dy, p)
		return dx
	}
	dgamma, dbeta := make([]float32, p.Cols), make([]float32, p.Cols)
	dgamma2, dbeta2 := make([]float32, p.Cols), make([]float32, p.Cols)
	dx := run(dgamma, dbeta)
	require.Equal(t, dx, run(nil, nil))
	require.Equal(t, dx, run(dgamma2, nil))
	require.Equal(t, dx, run(nil, dbeta2))
	require.Equal(t, dgamma, dgamma2)
	require.Equal(t, dbeta, dbeta2)
}

// stubborn are values whose multiples and sums round, so that a mean that is
// only one float64 would miss them.
var stubborn = []float64{0.1, -0.3, 1e-30, 1e30, 1.0 / 3, 123456.789, 0}

var stubbornLengths = []int{1, 2, 3, 7, 64, 129, 1000, 5000}

func TestLayerNormConstantRow(t *testing.T) {
	both(t, layerNormConstantRow[float32], layerNormConstantRow[float64])
}

// In a constant row x̂ is exactly 0: y is beta, and dx is r·(u − mean(u)).
func layerNormConstantRow[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, v := range stubborn {
		for _, n := range stubbornLengths {
			for _, unbiased := range []bool{false, true} {
				if n == 1 && unbiased {
					continue
				}
				p := Rows{Rows: 5, Cols: n, Eps: 1e-5, UnbiasedStd: unbiased}
				c := newLayerNormCase[T](p, condition{scale: 1})
				for i := range c.x[:n] {
					c.x[i] = T(v)
				}
				y := make([]T, 5*n)
				LayerNormFwd(y, c.x, c.gamma, c.beta, p)
				require.Equal(t, c.beta, y[:n], label("", v, n))
				c.check(t, label("constant", v, n, unbiased))
			}
		}
	}
}

// The unbiased deviation of one element is 0/0.
func TestLayerNormOneElement(t *testing.T) {
	p := Rows{Rows: 2, Cols: 1, Eps: 1e-5, UnbiasedStd: true}
	c := newLayerNormCase[float64](p, easy)
	y := make([]float64, 2)
	LayerNormFwd(y, c.x, nil, nil, p)
	for _, v := range y {
		require.True(t, math.IsNaN(v))
	}
}

func TestLayerNormIsolation(t *testing.T) {
	both(t, layerNormIsolation[float32], layerNormIsolation[float64])
}

// A NaN or an infinity spoils its own row, and no bit of any other.
func layerNormIsolation[T Float](t *testing.T) {
	for _, p := range []Rows{{Rows: 5, Cols: 7, Eps: 1e-5}, {Rows: 9, Cols: 64, Eps: 1e-5}, {Rows: 9, Cols: 5000, Eps: 1e-5, UnbiasedStd: true}} {
		c := newLayerNormCase[T](p, easy)
		run := func() (y, dx []T) {
			y, dx = make([]T, len(c.x)), make([]T, len(c.x))
			LayerNormFwd(y, c.x, c.gamma, c.beta, p)
			LayerNormBwd(dx, nil, nil, c.x, c.gamma, c.dy, p)
			return y, dx
		}
		y0, dx0 := run()
		for _, poison := range poisons {
			from, to := p.row(p.Rows / 2)
			at := from + p.Cols/2
			clean := c.x[at]
			c.x[at] = T(poison)
			y, dx := run()
			c.x[at] = clean
			for _, got := range [][]T{y, dx} {
				for _, v := range got[from:to] {
					require.True(t, v != v, label("spoilt row", p, poison))
				}
			}
			for _, pair := range [][2][]T{{y0, y}, {dx0, dx}} {
				require.True(t, sameBits(pair[0][:from], pair[1][:from]))
				require.True(t, sameBits(pair[0][to:], pair[1][to:]))
			}
		}
	}
}
