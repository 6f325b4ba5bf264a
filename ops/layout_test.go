package ops_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// slot is a tensor in an unusual layout, and the tensor that owns its memory.
type slot struct{ view, owner *tensor.Dense }

// layouts make room for a tensor of a shape, or return nil if the shape has too few axes.
// The memory around the elements is NaN, so that reading it has an effect.
var layouts = []struct {
	name string
	room func(dt tensor.Dtype, shape tensor.Shape) *slot
}{
	{"column slice", columnSlice},
	{"row slice", func(dt tensor.Dtype, s tensor.Shape) *slot { return sliced(dt, s, 0) }},
	{"middle-axis slice", func(dt tensor.Dtype, s tensor.Shape) *slot {
		if len(s) < 3 {
			return nil
		}
		return sliced(dt, s, 1)
	}},
	{"lazily transposed", lazilyTransposed},
	{"slice of a lazy transpose", sliceOfTransposed},
	{"column-major", func(dt tensor.Dtype, s tensor.Shape) *slot {
		d := tensor.New(tensor.WithShape(s...), tensor.AsFortran(poisoned(dt, s...).Data()))
		return &slot{d, d}
	}},
	{"clone of a column view", func(dt tensor.Dtype, s tensor.Shape) *slot {
		c := columnSlice(dt, s)
		if c == nil {
			return nil
		}
		d := c.view.Clone().(*tensor.Dense)
		return &slot{d, d}
	}},
}

// poisoned returns a row-major tensor of NaNs.
func poisoned(dt tensor.Dtype, shape ...int) *tensor.Dense {
	return graphtest.Dense(dt, slices.Repeat([]float64{math.NaN()}, tensor.Shape(shape).TotalSize()), shape...)
}

// sliced returns a slice of a tensor that is longer at both ends of an axis. A slice of
// one element would lose the axis.
func sliced(dt tensor.Dtype, s tensor.Shape, axis int) *slot {
	if s[axis] == 1 {
		return nil
	}
	whole := s.Clone()
	whole[axis] += 3
	owner := poisoned(dt, whole...)
	ranges := make([]tensor.Slice, len(s))
	ranges[axis] = G.S(1, 1+s[axis])
	return &slot{cut(owner, ranges...), owner}
}

// cut returns a slice of owner, or panics.
func cut(owner *tensor.Dense, ranges ...tensor.Slice) *tensor.Dense {
	v, err := owner.Slice(ranges...)
	if err != nil {
		panic(err)
	}
	return v.(*tensor.Dense)
}

// columnSlice returns a slice along the last axis. For a vector it is a column of a
// matrix.
func columnSlice(dt tensor.Dtype, s tensor.Shape) *slot {
	if len(s) > 1 {
		return sliced(dt, s, len(s)-1)
	}
	if s[0] == 1 {
		return nil
	}
	owner := poisoned(dt, s[0], 3)
	return &slot{cut(owner, nil, G.S(1)), owner}
}

func reversed(s tensor.Shape) tensor.Shape {
	r := s.Clone()
	slices.Reverse(r)
	return r
}

func lazilyTransposed(dt tensor.Dtype, s tensor.Shape) *slot {
	if len(s) < 2 {
		return nil
	}
	d := poisoned(dt, reversed(s)...)
	if err := d.T(); err != nil {
		panic(err)
	}
	return &slot{d, d}
}

func sliceOfTransposed(dt tensor.Dtype, s tensor.Shape) *slot {
	if len(s) < 2 || s[0] == 1 {
		return nil
	}
	whole := s.Clone()
	whole[0] += 2
	owner := lazilyTransposed(dt, whole).owner
	return &slot{cut(owner, G.S(1, 1+s[0])), owner}
}

// put sets the elements, in row-major order.
func (s *slot) put(values []float64) {
	switch d := graphtest.Dense(s.view.Dtype(), values, len(values)).Data().(type) {
	case []float32:
		dense.Scatter(s.view, d)
	case []float64:
		dense.Scatter(s.view, d)
	}
}

// state returns everything that an op must not change.
func (s *slot) state() (all []uint64) {
	switch data := s.owner.Data().(type) {
	case []float32:
		for _, v := range data {
			all = append(all, uint64(math.Float32bits(v)))
		}
	case []float64:
		for _, v := range data {
			all = append(all, math.Float64bits(v))
		}
	}
	for _, d := range []*tensor.Dense{s.view, s.owner} {
		for _, n := range append(slices.Clone(d.Shape()), d.Strides()...) {
			all = append(all, uint64(n))
		}
	}
	return all
}

// place calls f with the tensor in each layout that its shape allows.
func place(t *testing.T, d *tensor.Dense, f func(layout string, s *slot)) {
	for _, l := range layouts {
		s := l.room(d.Dtype(), d.Shape())
		if s == nil {
			continue
		}
		require.Equal(t, d.Shape(), s.view.Shape(), l.name)
		s.put(floats(d))
		f(l.name, s)
	}
}

// The layouts are what their names say, and the elements are where they belong. Otherwise
// the tests below could pass on plain tensors, or on elements in another order.
func TestLayoutsOfTestsAreOdd(t *testing.T) {
	d := wave(0, 3, 4, 2)
	place(t, d, func(name string, s *slot) {
		contiguous := slices.Equal(s.view.Strides(), d.Strides())
		require.Equal(t, name == "row slice", contiguous, "%s has strides %v", name, s.view.Strides())
		for i, want := range floats(d) { // by Gorgonia's arithmetic, not by ours
			v, err := s.view.At(i/8, i/2%4, i%2)
			require.NoError(t, err)
			require.Equal(t, want, v, "%s: element %d", name, i)
		}
	})
}

func TestAnyLayoutGivesTheSameBits(t *testing.T) {
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		for machine, m := range graphtest.Machines {
			t.Run(dt.String()+"/"+machine, func(t *testing.T) {
				eachOp(t, func(t *testing.T, c opCase) { checkLayouts(t, c, dt, m) })
			})
		}
	}
}

// checkLayouts tries each input in turn in each layout.
func checkLayouts(t *testing.T, c opCase, dt tensor.Dtype, m graphtest.Machine) {
	dy := c.dy(t, dt)
	run := func(vs []*tensor.Dense) (graphtest.Result, []float64) {
		s := c.stats(t)
		r, err := m(c.with(s), vs, dy, c.opts...)
		require.NoError(t, err)
		return r, snapshot(s)
	}
	plain := c.values(dt, 0.4)
	want, wantStats := run(plain)
	for i := range plain {
		place(t, plain[i], func(layout string, s *slot) {
			before := s.state()
			vs := slices.Clone(plain)
			vs[i] = s.view
			got, stats := run(vs)
			what := c.names[i] + " as " + layout
			if layout == "row slice" && dt == tensor.Float32 && strings.HasPrefix(c.name, "weightnormlinear") {
				// Gonum's float32 dot product sums in an order that depends on the
				// alignment of its operands. This slice is contiguous, and is passed to
				// it unchanged.
				requireSameResult(t, want, got, 1e-6, what)
			} else {
				requireSameResult(t, want, got, 0, what)
			}
			require.Equal(t, wantStats, stats, "running statistics with %s as %s", c.names[i], layout)
			require.Equal(t, before, s.state(), "%s as %s was changed", c.names[i], layout)
		})
	}
}

// All inputs may have unusual layouts at once.
func TestAllInputsInOddLayouts(t *testing.T) {
	eachOp(t, func(t *testing.T, c opCase) {
		plain, odd := c.values(tensor.Float64, 0.4), []*tensor.Dense(nil)
		for _, v := range plain {
			if s := columnSlice(v.Dtype(), v.Shape()); s != nil {
				s.put(floats(v))
				v = s.view
			}
			odd = append(odd, v)
		}
		for name, m := range graphtest.Machines {
			want, err := m(c.with(c.stats(t)), plain, c.dy(t, tensor.Float64), c.opts...)
			require.NoError(t, err)
			got, err := m(c.with(c.stats(t)), odd, c.dy(t, tensor.Float64), c.opts...)
			require.NoError(t, err)
			requireSameResult(t, want, got, 0, name)
		}
	})
}

func TestMaskedInputsAreRefused(t *testing.T) {
	eachOp(t, func(t *testing.T, c opCase) {
		for i := range c.names {
			vs := c.values(tensor.Float64, 0.4)
			mask := make([]bool, vs[i].Size())
			mask[0] = true
			vs[i] = tensor.New(tensor.WithShape(vs[i].Shape()...), tensor.WithBacking(vs[i].Data(), mask))
			for name, m := range graphtest.Machines {
				if name == "lisp" && raceDetector {
					continue
				}
				s := c.stats(t)
				before := snapshot(s)
				_, err := m(c.with(s), vs, c.dy(t, tensor.Float64), c.opts...)
				require.True(t, ops.Is(err, ops.ErrValue), "%s, %s masked: %v", name, c.names[i], err)
				require.ErrorContains(t, err, "mask", "%s, %s masked", name, c.names[i])
				if i == 0 {
					require.Equal(t, before, snapshot(s), "the statistics moved by a masked batch")
				}
			}
		}
	})
}
