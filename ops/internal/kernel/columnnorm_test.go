package kernel

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// columnNormCase is the input of one norm of columns; gamma and beta may be nil.
type columnNormCase[T Float] struct {
	p                  Columns
	x, gamma, beta, dy []T
}

func newColumnNormCase[T Float](p Columns, c condition) columnNormCase[T] {
	d, n := newData[T](), p.Outer*p.Rows*p.Cols
	k := columnNormCase[T]{p: p, x: make([]T, n), gamma: d.normal(p.Rows, 1, 1), beta: d.normal(p.Rows, 0, 1), dy: d.normal(n, 0, 1)}
	matrix := p.Rows * p.Cols
	for o := range p.Outer {
		copy(k.x[o*matrix:], d.view(View{p.Rows, p.Cols, 1}, c))
	}
	return k
}

// aboutZero is rowFwd and rowBwd with the mean 0.
func aboutZero(x, gamma, beta, dy []dd, p Rows) (y, dx, dgamma, dbeta []value) {
	var q dd
	for _, v := range x {
		q = q.add(v.mul(v))
	}
	r, k := factorOf(q, p)
	y, dx = make([]value, len(x)), make([]value, len(x))
	dgamma, dbeta = make([]value, len(x)), make([]value, len(x))
	var along value
	for i, v := range x {
		e, u := v.mul(r), dy[i].mul(gamma[i])
		y[i] = value{e.mul(gamma[i]).add(beta[i]), e.mul(gamma[i]).abs() + beta[i].abs()}
		dgamma[i] = value{dy[i].mul(e), dy[i].mul(e).abs()}
		dbeta[i] = value{dy[i], dy[i].abs()}
		along = along.add(value{u.mul(v), u.mul(v).abs()})
	}
	for i, v := range x {
		u := dy[i].mul(gamma[i])
		dx[i] = value{u.mul(r).sub(v.mul(k).mul(along.want)), u.abs()*r.hi + v.abs()*k.hi*along.size}
	}
	return y, dx, dgamma, dbeta
}

func (c columnNormCase[T]) run() normResult[T] {
	var g guards[T]
	x, gamma, beta, dy := g.in(c.x), g.in(c.gamma), g.in(c.beta), g.in(c.dy)
	r := normResult[T]{g.out(len(x)), g.out(len(x)), g.out(c.p.Rows), g.out(c.p.Rows)}
	ColumnNormFwd(r.y, x, gamma, beta, c.p)
	ColumnNormBwd(r.dx, r.dgamma, r.dbeta, x, gamma, dy, c.p)
	g.check()
	return r
}

func (c columnNormCase[T]) check(t *testing.T, what string) {
	t.Helper()
	got := c.run()
	p := Rows{Rows: 1, Cols: c.p.Rows, Eps: c.p.Eps, UnbiasedStd: c.p.UnbiasedStd}
	gamma, beta := rowDD(c.gamma, 1, p.Cols), rowDD(c.beta, 0, p.Cols)
	sumG, sumB := make([]value, p.Cols), make([]value, p.Cols)
	for o := range c.p.Outer {
		for col := range c.p.Cols {
			at := make([]int, p.Cols)
			for d := range at {
				at[d] = (o*c.p.Rows+d)*c.p.Cols + col
			}
			x, dy := wide(c.x, at), wide(c.dy, at)
			wantY := rowFwd(x, gamma, beta, p)
			wantDx, wantG, wantB := rowBwd(x, gamma, dy, p)
			if c.p.Uncentred {
				wantY, wantDx, wantG, wantB = aboutZero(x, gamma, beta, dy, p)
			}
			compare(t, what+" y", gather(got.y, at), wantY, p.Cols)
			compare(t, what+" dx", gather(got.dx, at), wantDx, p.Cols)
			for d := range at {
				sumG[d], sumB[d] = sumG[d].add(wantG[d]), sumB[d].add(wantB[d])
			}
		}
	}
	n := c.p.Outer * c.p.Cols
	loosen[T](sumG, max(n, p.Cols), func(d int) float64 { return lostInProducts(n, sumB[d].size) })
	compare(t, what+" dgamma", got.dgamma, sumG, max(n, p.Cols))
	compare(t, what+" dbeta", got.dbeta, sumB, n)
}

func TestColumnNormSizes(t *testing.T) { both(t, columnNormSizes[float32], columnNormSizes[float64]) }

func columnNormSizes[T Float](t *testing.T) {
	skipUnderRace(t)
	shapes := [][3]int{
		{1, 1, 5}, {3, 96, 49}, {2, 768, 9}, {1, 3, 20000}, {40, 3, 17}, {1, 5000, 2}, {2, 2000, 70}, {1, 64, 3136}, {700, 5, 6},
	}
	for n := 1; n <= 70; n++ {
		shapes = append(shapes, [3]int{2, 5, n}, [3]int{1, n, 17})
	}
	for _, s := range shapes {
		for _, uncentred := range []bool{false, true} {
			p := Columns{Outer: s[0], Rows: s[1], Cols: s[2], Eps: 1e-5, Uncentred: uncentred}
			c := newColumnNormCase[T](p, easy)
			c.check(t, label("affine", p))
			c.gamma, c.beta = nil, nil
			c.check(t, label("plain", p))
		}
	}
}

// In columns of a few dx often cancels. As in rows, the error stays below ten roundings
// of the largest dx.
func TestColumnNormOfFew(t *testing.T) {
	for n := 2; n <= 8; n++ {
		for _, kind := range []Columns{{}, {UnbiasedStd: true}, {Uncentred: true}} {
			p := Columns{Outer: 2, Rows: n, Cols: 300, Eps: 1e-6, UnbiasedStd: kind.UnbiasedStd, Uncentred: kind.Uncentred}
			c := newColumnNormCase[float32](p, condition{ratio: 1, scale: 1})
			c.gamma, c.beta = nil, nil
			got := c.run()
			for col := range p.Outer * p.Cols {
				at := make([]int, n)
				for d := range at {
					at[d] = (col/p.Cols*n+d)*p.Cols + col%p.Cols
				}
				x, dy, one := wide(c.x, at), wide(c.dy, at), rowDD[float32](nil, 1, n)
				rows := Rows{Rows: 1, Cols: n, Eps: p.Eps, UnbiasedStd: p.UnbiasedStd}
				_, want, _, _ := aboutZero(x, one, rowDD[float32](nil, 0, n), dy, rows)
				if !p.Uncentred {
					want, _, _ = rowBwd(x, one, dy, rows)
				}
				var most, terms float64
				for _, w := range want {
					most, terms = max(most, w.want.abs()), max(terms, w.size)
				}
				for d, w := range want {
					require.InDelta(t, w.want.hi, float64(got.dx[at[d]]), max(10*0x1p-24*most, 0x1p-50*terms)+0x1p-24*w.want.abs(), "%+v: column %d", p, col)
				}
			}
		}
	}
}

func TestColumnNormConditions(t *testing.T) {
	both(t, columnNormConditions[float32], columnNormConditions[float64])
}

func columnNormConditions[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, cond := range conditions {
		for _, s := range [][3]int{{2, 3, 5}, {1, 64, 33}, {2, 1000, 20}} {
			for _, unbiased := range []bool{false, true} {
				p := Columns{Outer: s[0], Rows: s[1], Cols: s[2], Eps: 1e-5, UnbiasedStd: unbiased}
				newColumnNormCase[T](p, cond).check(t, label("", p, cond))
			}
			p := Columns{Outer: s[0], Rows: s[1], Cols: s[2], Eps: 1e-5, Uncentred: true}
			newColumnNormCase[T](p, cond).check(t, label("", p, cond))
		}
	}
}

// A constant column is 0, and a NaN stays in its column.
func TestColumnNormSpecials(t *testing.T) {
	both(t, columnNormSpecials[float32], columnNormSpecials[float64])
}

func columnNormSpecials[T Float](t *testing.T) {
	p := Columns{Outer: 2, Rows: 7, Cols: 35, Eps: 1e-5}
	for _, bad := range poisons {
		c := newColumnNormCase[T](p, easy)
		at := func(o, d, col int) int { return (o*p.Rows+d)*p.Cols + col }
		c.x[at(1, 3, 20)] = T(bad)
		for d := range p.Rows {
			c.x[at(0, d, 4)] = 3
		}
		y, dx := make([]T, len(c.x)), make([]T, len(c.x))
		ColumnNormFwd(y, c.x, nil, nil, p)
		ColumnNormBwd(dx, nil, nil, c.x, c.gamma, c.dy, p)
		for i := range y {
			inBad := i/p.Cols/p.Rows == 1 && i%p.Cols == 20
			if (y[i] != y[i]) != inBad || (dx[i] != dx[i]) != inBad {
				t.Fatalf("element %d: y %v, dx %v", i, y[i], dx[i])
			}
		}
		for d := range p.Rows {
			if y[at(0, d, 4)] != 0 {
				t.Fatalf("constant column: %v", y[at(0, d, 4)])
			}
		}
	}
}

// columnsOf sees the data of a view as columns.
func columnsOf(v View, uncentred bool) Columns {
	return Columns{Outer: v.Outer, Rows: v.Channels, Cols: v.Inner, Eps: 1e-5, Uncentred: uncentred}
}

func columnNormFwdCall[T Float](v View, affine, uncentred bool) call[T] {
	x, y := input[T](v.Len()), blank[T](v.Len())
	fg, gamma := optional[T](v.Channels, affine)
	fb, beta := optional[T](v.Channels, affine)
	return call[T]{name: "ColumnNormFwd", in: []fence[T]{x, fg, fb}, out: []fence[T]{y}, run: func() {
		ColumnNormFwd(y.data(), x.data(), gamma, beta, columnsOf(v, uncentred))
	}}
}

func columnNormBwdCall[T Float](v View, affine, uncentred bool) call[T] {
	x, dy, dx := input[T](v.Len()), input[T](v.Len()), blank[T](v.Len())
	fg, gamma := optional[T](v.Channels, affine)
	dg, db := blank[T](v.Channels), blank[T](v.Channels)
	return call[T]{name: "ColumnNormBwd", in: []fence[T]{x, fg, dy}, out: []fence[T]{dx, dg, db}, run: func() {
		ColumnNormBwd(dx.data(), dg.data(), db.data(), x.data(), gamma, dy.data(), columnsOf(v, uncentred))
	}}
}
