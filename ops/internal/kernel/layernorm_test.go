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

// compareY allows the assembly the three roundings of float32 arithmetic that it
// takes over many float32 rows, in units of the largest value of the row: less
// than the four of the golden cases' goal.
func compareY[T Float](t *testing.T, what string, got []T, want []value, n int) {
	if isa != generic && any(T(0)) == any(float32(0)) {
		var top float64
		for _, w := range want {
			top = max(top, w.size)
		}
		for i := range want {
			want[i].size += 3.5 * 0x1p-24 / growth(n) * top
		}
	}
	compare(t, what, got, want, n)
}

// check compares the kernels with the oracle, row by row.
func (c layerNormCase[T]) check(t *testing.T, what string) {
	t.Helper()
	p := c.p
	y, dx := make([]T, len(c.x)), make([]T, len(c.x))
	dgamma, dbeta := make([]T, p.Cols), make([]T, p.Cols)
	LayerNormFwd(y, c.x, c.gamma, c.beta, p)
	LayerNormBwd(dx, dgamma, dbeta, c.x, c.gamma, c.dy, p)

	gamma, beta := rowDD(c.gamma, 1, p.Cols), rowDD(c.beta, 0, p.Cols)
	sg, sb := make([]value, p.Cols), make([]value, p.Cols)
	for r := range p.Rows {
		from, to := r*p.Cols, (r+1)*p.Cols
		at := indices(View{1, p.Rows, p.Cols}, r)
		x, dy := wide(c.x, at), wide(c.dy, at)
		compareY(t, what+" y", y[from:to], rowFwd(x, gamma, beta, p), p.Cols)
		wx, wg, wb := rowBwd(x, gamma, dy, p)
		compare(t, what+" dx", dx[from:to], wx, p.Cols)
		for j := range p.Cols {
			sg[j], sb[j] = sg[j].add(wg[j]), sb[j].add(wb[j])
		}
	}
	compare(t, what+" dgamma", dgamma, sg, p.Cols+p.Rows)
	compare(t, what+" dbeta", dbeta, sb, p.Rows)
}

func TestLayerNormSizes(t *testing.T) { both(t, layerNormSizes[float32], layerNormSizes[float64]) }

func layerNormSizes[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, unbiased := range []bool{false, true} {
		for _, n := range lengths() {
			if n == 1 && unbiased {
				continue // not defined: TestLayerNormOneElement
			}
			p := Rows{3, n, 1e-5, unbiased}
			newLayerNormCase[T](p, easy).check(t, label("", p))
		}
		// Few long rows, many short ones, more than 2¹⁶ rows, and row counts
		// that the tasks do not divide.
		for _, s := range [][2]int{{1, 40000}, {5, 20000}, {66000, 3}, {1001, 129}, {4097, 16}, {7000, 5}} {
			p := Rows{s[0], s[1], 1e-5, unbiased}
			newLayerNormCase[T](p, easy).check(t, label("", p))
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
					p := Rows{5, n, eps, unbiased} // four together and one alone
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
	for _, p := range []Rows{{3, 7, 1e-5, false}, {70, 1000, 1e-5, true}} {
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
	p := Rows{70, 1000, 1e-5, false}
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

// In a constant row x̂ is 0 to the bit: y is beta, and dx is r·(u − mean(u)).
func layerNormConstantRow[T Float](t *testing.T) {
	for _, v := range stubborn {
		for _, n := range stubbornLengths {
			for _, unbiased := range []bool{false, true} {
				if n == 1 && unbiased {
					continue
				}
				p := Rows{5, n, 1e-5, unbiased}
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
	p := Rows{2, 1, 1e-5, true}
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
	for _, p := range []Rows{{5, 7, 1e-5, false}, {9, 5000, 1e-5, true}} {
		c := newLayerNormCase[T](p, easy)
		run := func() (y, dx []T) {
			y, dx = make([]T, len(c.x)), make([]T, len(c.x))
			LayerNormFwd(y, c.x, c.gamma, c.beta, p)
			LayerNormBwd(dx, nil, nil, c.x, c.gamma, c.dy, p)
			return y, dx
		}
		y0, dx0 := run()
		for _, poison := range poisons {
			from, to := 2*p.Cols, 3*p.Cols
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
