package kernel

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// matrices are the shapes for the epilogues: rows and columns.
func matrices() [][2]int {
	m := [][2]int{{65, 129}, {130, 64}, {1, 20000}, {300, 200}, {70000, 1}, {66000, 3}, {3, 17000}}
	for _, n := range lengths() {
		m = append(m, [2]int{3, n}, [2]int{n, 3})
	}
	return m
}

func TestScaleColumns(t *testing.T) { both(t, scaleColumns[float32], scaleColumns[float64]) }

func scaleColumns[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, m := range matrices() {
		rows, cols := m[0], m[1]
		d := newData[T]()
		x, shift := d.normal(rows*cols, 0, 1), d.normal(cols, 0, 1)
		scale := newData[float64]().normal(cols, 1, 1)
		for _, shift := range [][]T{shift, nil} {
			var g guards[T]
			y := g.out(len(x))
			ScaleColumns(y, g.in(x), rows, cols, scale, g.in(shift))
			g.check()
			compare(t, label("y", m, shift == nil), y, wantScaled(x, cols, scale, shift), 1)

			inPlace := append([]T(nil), x...)
			ScaleColumns(inPlace, inPlace, rows, cols, scale, shift)
			require.True(t, sameBits(y, inPlace), "y may be x")
		}
	}
}

func wantScaled[T Float](x []T, cols int, scale []float64, shift []T) []value {
	want := make([]value, len(x))
	for i, v := range x {
		p := num(float64(v)).mul(num(scale[i%cols]))
		want[i] = value{p, p.abs()}
		if shift != nil {
			b := num(float64(shift[i%cols]))
			want[i] = want[i].add(value{b, b.abs()})
		}
	}
	return want
}

func TestShiftColumns(t *testing.T) { both(t, shiftColumns[float32], shiftColumns[float64]) }

// The sum of two elements is rounded once: no tolerance beyond that.
func shiftColumns[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, m := range matrices() {
		rows, cols := m[0], m[1]
		d := newData[T]()
		x, b := d.normal(rows*cols, 0, 1), d.normal(cols, 0, 1)
		want := make([]value, len(x))
		for i, v := range x {
			want[i].want = exactSum(float64(v), float64(b[i%cols]))
		}
		y := append([]T(nil), x...)
		ScaleColumns(y, y, rows, cols, nil, b)
		compare(t, label("", m), y, want, 0)
		y = append(y[:0], x...)
		ScaleColumns(y, y, rows, cols, nil, nil)
		require.True(t, sameBits(x, y), "nil adds nothing")
	}
}

func TestColumnSums(t *testing.T) { both(t, columnSumsTest[float32], columnSumsTest[float64]) }

func columnSumsTest[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, m := range matrices() {
		rows, cols := m[0], m[1]
		for _, shift := range []float64{0, 100} {
			x := newData[T]().normal(rows*cols, shift, 1)
			want := make([]value, cols)
			for i, v := range x {
				w := num(float64(v))
				want[i%cols] = want[i%cols].add(value{w, w.abs()})
			}
			var g guards[T]
			s := g.out(cols)
			ColumnSums(s, g.in(x), rows, cols)
			g.check()
			compare(t, label("", m, shift), s, want, rows)
		}
	}
}

// A NaN stays in its column.
func TestLinearIsolation(t *testing.T) {
	const rows, cols = 300, 200
	x := newData[float32]().normal(rows*cols, 0, 1)
	scale := newData[float64]().normal(cols, 1, 1)
	run := func() (y, s []float32) {
		y, s = make([]float32, len(x)), make([]float32, cols)
		ScaleColumns(y, x, rows, cols, scale, nil)
		ColumnSums(s, x, rows, cols)
		return y, s
	}
	y0, s0 := run()
	for _, poison := range poisons {
		at := 150*cols + 63
		kept := x[at]
		x[at] = float32(poison)
		y, s := run()
		x[at] = kept
		require.False(t, sameBits(y0[at:at+1], y[at:at+1]) || sameBits(s0[63:64], s[63:64]))
		y[at], s[63] = y0[at], s0[63]
		require.True(t, sameBits(y0, y) && sameBits(s0, s))
	}
}
