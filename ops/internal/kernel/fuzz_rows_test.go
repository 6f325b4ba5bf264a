package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzRows(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, seed uint64, rows, cols, matrices, values, options uint16) {
		p := Rows{Rows: fuzzSize(rows, 300), Cols: fuzzSize(cols, 6000), Eps: newFuzzed(seed, values).eps()}
		p.Rows = min(p.Rows, 1+30000/p.Cols)
		eachType(t, options, func(t *testing.T, options uint16) {
			fuzzRows[float32](t, newFuzzed(seed, values), p, fuzzSize(matrices, 3), options)
		}, func(t *testing.T, options uint16) {
			fuzzRows[float64](t, newFuzzed(seed, values), p, fuzzSize(matrices, 3), options)
		})
	})
}

// fuzzRows is for layer and RMS norm of rows, of columns and of a sum.
func fuzzRows[T Float](t *testing.T, f *fuzzed, p Rows, matrices int, options uint16) {
	switch options & 3 {
	case 1:
		p.UnbiasedStd = p.Cols > 1
	case 2:
		p.Uncentred = true
	}
	v := View{1, p.Rows, p.Cols}
	c := layerNormCase[T]{p: p, x: fuzzX[T](f, v), dy: drawn[T](f).normal(v.Len(), 0, 1)}
	c.gamma, c.beta = fuzzAffine[T](f, p.Cols, options>>2)
	if options>>4&1 == 1 {
		fuzzColumns(t, f, c, matrices)
		return
	}
	paths(func(path string) {
		what := label(path, p)
		c.check(t, what)
		clean := c.run()
		k := c
		var i int
		k.x, i = poisoned(f, c.x, p.Uncentred)
		got := k.run()
		row := func(j int) bool { return j/p.Cols == i/p.Cols }
		requireIsolated(t, what+" y", clean.y, got.y, row)
		requireIsolated(t, what+" dx", clean.dx, got.dx, row)
		requireIsolated(t, what+" dgamma", clean.dgamma, got.dgamma, func(int) bool { return true })
		var g guards[T]
		y, sum := g.out(len(c.x)), g.out(len(c.x))
		nothing := make([]T, len(c.x))
		for i := range nothing {
			nothing[i] = T(math.Copysign(0, -1)) // −0 + −0 is −0
		}
		AddNormFwd(y, sum, g.in(c.x), g.in(nothing), g.in(c.gamma), g.in(c.beta), p)
		g.check()
		require.True(t, sameBits(y, clean.y), what+": the norm of x + nothing")
	})
}

// fuzzColumns sees rows as columns of as many matrices.
func fuzzColumns[T Float](t *testing.T, f *fuzzed, rows layerNormCase[T], matrices int) {
	p := Columns{1, rows.p.Cols, rows.p.Rows, rows.p.Eps, rows.p.UnbiasedStd, rows.p.Uncentred}
	if rows.p.Rows%matrices == 0 {
		p.Outer, p.Cols = matrices, p.Cols/matrices
	}
	c := columnNormCase[T]{p, make([]T, len(rows.x)), rows.gamma, rows.beta, rows.dy}
	place := func(o, r, col int) int { return (o*p.Rows+r)*p.Cols + col }
	for o := range p.Outer {
		for col := range p.Cols {
			for r := range p.Rows {
				c.x[place(o, r, col)] = rows.x[(o*p.Cols+col)*p.Rows+r]
			}
		}
	}
	column := func(i int) [2]int { return [2]int{i / (p.Rows * p.Cols), i % p.Cols} }
	paths(func(path string) {
		what := label(path, p)
		c.check(t, what)
		clean := c.run()
		k := c
		var i int
		k.x, i = poisoned(f, c.x, p.Uncentred)
		got := k.run()
		same := func(j int) bool { return column(j) == column(i) }
		requireIsolated(t, what+" y", clean.y, got.y, same)
		requireIsolated(t, what+" dx", clean.dx, got.dx, same)
	})
}
