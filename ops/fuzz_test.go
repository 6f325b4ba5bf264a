package ops_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// fuzzMachines are those of graphtest, in a fixed order.
var fuzzMachines = []graphtest.Machine{graphtest.Tape, graphtest.Lisp}

// FuzzOps runs the ops, with their gradients, on values and layouts that the fuzzer
// chooses. Nothing may panic, inputs must not change, the layout must make no difference,
// and ordinary values must give finite results.
func FuzzOps(f *testing.F) {
	for i := range uint64(64) {
		f.Add(i, uint16(i), uint16(i*5), uint16(i*3), uint16(i*11))
	}
	f.Fuzz(func(t *testing.T, seed uint64, which, values, layout, options uint16) {
		c := opCases[int(which)%len(opCases)]
		r := rand.New(rand.NewPCG(seed, 3))
		c.shapes = stretched(c, r, options)
		m := fuzzMachines[options&1]
		dt := []tensor.Dtype{tensor.Float32, tensor.Float64}[options>>1&1]
		var plain []*tensor.Dense
		for _, s := range c.shapes {
			plain = append(plain, fuzzValues(dt, s, r, values))
		}
		s := c.stats(t)
		y, err := c.build(leaves(G.NewGraph(), c.names, plain), s)
		require.NoError(t, err)
		dy := fuzzValues(dt, y.Shape(), r, 0)

		run := func(vs []*tensor.Dense) (graphtest.Result, []float64) {
			s := c.stats(t)
			res, err := m(c.with(s), vs, dy, c.opts...)
			require.NoError(t, err)
			return res, snapshot(s)
		}
		want, wantStats := run(plain)
		if values&fuzzSpecials == 0 {
			for _, d := range append(want.Grads, want.Y) {
				for _, v := range floats(d) {
					require.False(t, math.IsNaN(v) || math.IsInf(v, 0), "%s: %v", c.name, d)
				}
			}
		}
		i := int(layout) % len(plain)
		room := layouts[int(layout>>4)%len(layouts)].room(dt, plain[i].Shape())
		if room == nil {
			return
		}
		room.put(floats(plain[i]))
		before := room.state()
		vs := slices.Clone(plain)
		vs[i] = room.view
		got, gotStats := run(vs)
		require.Equal(t, before, room.state(), "%s changed its input", c.name)
		tolerance := 0.0
		if strings.HasPrefix(c.name, "weightnormlinear") {
			tolerance = 1e-5 // Gonum's float32 products depend on the alignment of operands
		}
		requireSameUpToNaN(t, want, got, tolerance, c.name)
		for k := range wantStats {
			require.True(t, wantStats[k] == gotStats[k] || math.IsNaN(wantStats[k]) && math.IsNaN(gotStats[k]), c.name)
		}
	})
}

// fuzzSpecials are the bits of values that choose special numbers, such as a NaN.
const fuzzSpecials = 7 << 8

// fuzzValues draws values at one of the scales of networks, and adds a special one if
// values asks for it.
func fuzzValues(dt tensor.Dtype, s tensor.Shape, r *rand.Rand, values uint16) *tensor.Dense {
	scale := []float64{1, 1e-3, 1e3, 1e-2, 1e2, 10, 0.1, 3}[values&7]
	mean := []float64{0, 1, -10, 100}[values>>3&3]
	x := make([]float64, s.TotalSize())
	for i := range x {
		x[i] = scale * (mean + r.NormFloat64())
	}
	at := r.IntN(len(x))
	switch values & fuzzSpecials >> 8 {
	case 1:
		x[at] = math.NaN()
	case 2:
		x[at] = math.Inf(1)
	case 3:
		x[at] = math.Inf(-1)
	case 4:
		x[at] = math.MaxFloat32
	case 5:
		x[at] = math.SmallestNonzeroFloat32
	case 6:
		clear(x)
	case 7:
		for i := range x {
			x[i] *= 1e-40
		}
	}
	return graphtest.Dense(dt, x, s...)
}

// stretched returns the shapes of a case with other sizes, equal ones changed alike, if
// the op still accepts them.
func stretched(c opCase, r *rand.Rand, options uint16) []tensor.Shape {
	if options>>2&1 == 0 || c.channels > 0 {
		return c.shapes
	}
	factor := 1 + r.IntN(9)
	var shapes []tensor.Shape
	for i, s := range c.shapes {
		s = s.Clone()
		if i == 0 || s.Eq(c.shapes[0]) {
			s[0] *= factor // usually the number of samples
		}
		shapes = append(shapes, s)
	}
	var zero []*tensor.Dense
	for _, s := range shapes {
		zero = append(zero, graphtest.Dense(tensor.Float64, make([]float64, s.TotalSize()), s...))
	}
	if _, err := c.build(leaves(G.NewGraph(), c.names, zero), nil); err != nil {
		return c.shapes
	}
	return shapes
}

// requireSameUpToNaN requires the same numbers, up to a tolerance relative to the
// largest, and NaN for NaN, whatever their bits.
func requireSameUpToNaN(t *testing.T, want, got graphtest.Result, tolerance float64, what string) {
	t.Helper()
	for i, w := range append([]*tensor.Dense{want.Y}, want.Grads...) {
		g := append([]*tensor.Dense{got.Y}, got.Grads...)[i]
		require.Equal(t, w.Shape(), g.Shape(), what)
		ws, gs := floats(w), floats(g)
		var top float64
		for _, v := range ws {
			if a := math.Abs(v); a <= math.MaxFloat64 {
				top = max(top, a)
			}
		}
		for k := range ws {
			same := ws[k] == gs[k] || math.IsNaN(ws[k]) && math.IsNaN(gs[k])
			require.True(t, same || math.Abs(ws[k]-gs[k]) <= tolerance*top, "%s: output %d, element %d is %v, want %v", what, i, k, gs[k], ws[k])
		}
	}
}
