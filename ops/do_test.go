package ops_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gorgonorm/norm/diff"
	"github.com/gorgonorm/norm/gradcheck"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// call is an op with the values that it gets in a run.
type call struct {
	op G.Op
	in []G.Value
}

// calls evaluates a program node by node, children first, and returns the calls of this
// package's ops.
func (p *program) calls(t testing.TB) (calls []call) {
	values := map[*G.Node]G.Value{}
	for _, n := range p.g.AllNodes() {
		if n.Op() == nil {
			values[n] = n.Value()
			continue
		}
		var in []G.Value
		for it := p.g.From(n.ID()); it.Next(); {
			in = append(in, values[it.Node().(*G.Node)])
		}
		if h, ok := n.Op().(gradcheck.Holder); ok {
			h.Hold() // so that the same call has the same result
		}
		v, err := n.Op().Do(in...)
		require.NoError(t, err, "%v", n)
		values[n] = v
		if strings.HasPrefix(n.Op().String(), "norm.") {
			calls = append(calls, call{n.Op(), in})
		}
	}
	require.NotEmpty(t, calls)
	return calls
}

// calls returns the forward op, the gradient op, its own gradient op and the parts
// of a case.
func (c opCase) calls(t testing.TB, dt tensor.Dtype) []call {
	p := newProgram(t, c.with(c.stats(t)), c.names, c.values(dt, 0.4), c.dy(t, dt), true)
	var penalties G.Nodes
	for _, d := range p.grads {
		penalties = append(penalties, G.Must(G.Sum(G.Must(G.Square(d)))))
	}
	_, err := diff.Grad(G.Must(G.ReduceAdd(penalties)), p.in[0])
	require.NoError(t, err)
	return p.calls(t)
}

// eachCall runs f for the forward op, the gradient op and the parts of every
// case.
func eachCall(t *testing.T, dt tensor.Dtype, f func(t *testing.T, c call)) {
	eachOp(t, func(t *testing.T, c opCase) {
		for _, k := range c.calls(t, dt) {
			t.Run(k.op.String(), func(t *testing.T) { f(t, k) })
		}
	})
}

// replaced returns the inputs with one replaced.
func (c call) replaced(i int, v G.Value) []G.Value {
	in := slices.Clone(c.in)
	in[i] = v
	return in
}

// Gorgonia's own ops return tensors of any layout, so the gradient of the output, the
// statistics and the packed gradient may also have any layout.
func TestDoTakesAnyLayout(t *testing.T) {
	eachCall(t, tensor.Float64, func(t *testing.T, c call) {
		want, err := c.op.Do(c.in...)
		require.NoError(t, err)
		for i, v := range c.in {
			place(t, v.(*tensor.Dense), func(layout string, s *slot) {
				before := s.state()
				got, err := c.op.Do(c.replaced(i, s.view)...)
				require.NoError(t, err)
				requireSame(t, []*tensor.Dense{want.(*tensor.Dense)}, []*tensor.Dense{got.(*tensor.Dense)}, 0,
					fmt.Sprintf("input %d as %s", i, layout))
				require.Equal(t, before, s.state(), "input %d as %s was changed", i, layout)
			})
		}
	})
}

// Gorgonia writes into the memory of results, so a result must not share memory with an
// input.
func TestResultsAreMemoryOfTheirOwn(t *testing.T) {
	eachCall(t, tensor.Float64, func(t *testing.T, c call) {
		if isPiece(c.op.String()) {
			return
		}
		v, err := c.op.Do(c.in...)
		require.NoError(t, err)
		want := bits(v)
		for _, in := range c.in {
			in.(*tensor.Dense).Zero()
		}
		require.Equal(t, want, bits(v))
	})
}

// unfit are values that do not fit any node of the op.
var unfit = []struct {
	name string
	of   func(d *tensor.Dense) G.Value
}{
	{"nil", func(*tensor.Dense) G.Value { return nil }},
	{"nil tensor", func(*tensor.Dense) G.Value { return (*tensor.Dense)(nil) }},
	{"scalar", func(*tensor.Dense) G.Value { return G.NewF64(1) }},
	{"tensor of rank 0", func(*tensor.Dense) G.Value { return tensor.New(tensor.FromScalar(1.0)) }},
	{"int tensor", func(d *tensor.Dense) G.Value {
		return tensor.New(tensor.WithShape(d.Shape()...), tensor.Of(tensor.Int))
	}},
	{"other float", func(d *tensor.Dense) G.Value {
		return graphtest.Dense(tensor.Float32, floats(d), d.Shape()...)
	}},
	{"masked", func(d *tensor.Dense) G.Value {
		return tensor.New(tensor.WithShape(d.Shape()...), tensor.WithBacking(d.Data(), make([]bool, d.Size())))
	}},
	{"one more in each axis", func(d *tensor.Dense) G.Value {
		s := d.Shape().Clone()
		for i := range s {
			s[i]++
		}
		return tensor.New(tensor.WithShape(s...), tensor.Of(tensor.Float64))
	}},
	{"empty", func(d *tensor.Dense) G.Value {
		s := d.Shape().Clone()
		s[0] = 0
		return tensor.New(tensor.WithShape(s...), tensor.Of(tensor.Float64))
	}},
}

// anySize says whether an input may have any size: the packed vector of a part, and a
// weight with one norm over all elements.
func anySize(op string, input int) bool {
	return isPart(op) || strings.HasPrefix(op, "norm.WeightNorm(whole tensor") && input == 0
}

func TestDoRefusesUnfitValues(t *testing.T) {
	told := 0
	eachCall(t, tensor.Float64, func(t *testing.T, c call) {
		for _, u := range unfit {
			for i, v := range c.in {
				if u.name == "one more in each axis" && anySize(c.op.String(), i) {
					continue
				}
				other := u.of(v.(*tensor.Dense))
				_, err := c.op.Do(c.replaced(i, other)...)
				require.ErrorIs(t, err, ops.ErrValue, "input %d, %s", i, u.name)
				if u.name == "one more in each axis" && c.requireTells(t, err, i, other.Shape()) {
					told++
				}
			}
		}
	})
	require.NotZero(t, told)
}

// shapeTold and countsTold match what an error says about a value: its shape, or its
// number of elements and the wanted number.
var shapeTold, countsTold = regexp.MustCompile(` is (\(.*?\))`), regexp.MustCompile(` has (\d+) elements, want (\d+)`)

// requireTells checks what an error says about the shape of the first input, and about
// the number of elements of the last one, given and wanted. Errors about other inputs may
// concern the value that they do not fit. It returns whether the error says any of this.
func (c call) requireTells(t *testing.T, err error, input int, shape tensor.Shape) (tells bool) {
	t.Helper()
	if m := shapeTold.FindStringSubmatch(err.Error()); m != nil && input == 0 {
		require.Equal(t, fmt.Sprint(shape), m[1], "%v", err)
		tells = true
	}
	if m := countsTold.FindStringSubmatch(err.Error()); m != nil && input == len(c.in)-1 {
		require.Equal(t, fmt.Sprint(shape.TotalSize(), c.in[input].Shape().TotalSize()), m[1]+" "+m[2], "%v", err)
		tells = true
	}
	return tells
}

// A mask of a sample less leaves nothing to what the memory held before.
func TestDoRefusesShortMasks(t *testing.T) {
	masks := 0
	eachCall(t, tensor.Float64, func(t *testing.T, c call) {
		if op := c.op.String(); !strings.Contains(op, ", mask") && !strings.Contains(op, ", lengths") {
			return
		}
		last := len(c.in) - 1
		s := c.in[last].Shape().Clone()
		if s[0]--; s[0] == 0 {
			return
		}
		_, err := c.op.Do(c.replaced(last, tensor.New(tensor.WithShape(s...), tensor.Of(tensor.Float64)))...)
		require.ErrorIs(t, err, ops.ErrValue)
		masks++
	})
	require.NotZero(t, masks)
}

// A value may have as many elements as its node and another shape: Let accepts (1, n) for
// (n), WithValue accepts any shape, and tensors may be reshaped after they were bound.
// The op knows its rank and its own axes. Any other shape is an error, except for another
// batch, and for shapes that make no difference to the result.
func TestDoRefusesOtherShapesOfTheSameSize(t *testing.T) {
	eachCall(t, tensor.Float64, func(t *testing.T, c call) {
		want, err := c.op.Do(c.in...)
		require.NoError(t, err)
		for i, v := range c.in {
			for _, shape := range otherShapes(v.Shape()) {
				what := fmt.Sprintf("input %d %v as %v", i, v.Shape(), shape)
				d := v.(*tensor.Dense).Clone().(*tensor.Dense)
				require.NoError(t, d.Reshape(shape...))
				got, err := c.op.Do(c.replaced(i, d)...)
				switch {
				case err != nil:
					require.ErrorIs(t, err, ops.ErrValue, what)
				case len(shape) != len(v.Shape()):
					requireSame(t, []*tensor.Dense{want.(*tensor.Dense)}, []*tensor.Dense{got.(*tensor.Dense)}, 0, what)
				}
			}
		}
	})
}

func TestRunRefusesValuesOfOtherShapes(t *testing.T) {
	for _, row := range []struct {
		of    string
		input int
		shape tensor.Shape
	}{
		{"layernorm rows", 0, tensor.Shape{6, 4}},
		{"layernorm rows", 0, tensor.Shape{24}},
		{"layernorm two axes", 0, tensor.Shape{2, 5, 3}},
		{"batchnorm train rank 2", 0, tensor.Shape{3, 5}},
		{"batchnorm eval rank 2", 0, tensor.Shape{15}},
		{"batchnorm train rank 4", 0, tensor.Shape{2, 3, 8}},
		{"weightnorm axis 0", 0, tensor.Shape{3, 4}},
		{"weightnorm axis 1", 0, tensor.Shape{8, 3}},
		{"weightnormlinear axis 0", 0, tensor.Shape{5, 3}},
		{"weightnormlinear axis 0", 0, tensor.Shape{1, 3, 5}},
		{"weightnormlinear axis 1", 1, tensor.Shape{5, 4}},
		{"spectralnorm axis 0", 0, tensor.Shape{3, 4}},
	} {
		c := opCases[slices.IndexFunc(opCases, func(c opCase) bool { return c.name == row.of })]
		t.Run(fmt.Sprintf("%s/%s as %v", c.name, c.names[row.input], row.shape), func(t *testing.T) {
			s := c.stats(t)
			before := snapshot(s)
			p := newProgram(t, c.with(s), c.names, c.values(tensor.Float64, 0.4), c.dy(t, tensor.Float64), true)
			require.NoError(t, p.in[row.input].Value().(*tensor.Dense).Reshape(row.shape...))
			vm := G.NewTapeMachine(p.g, c.opts...)
			defer vm.Close()
			err := vm.RunAll()
			require.True(t, ops.Is(err, ops.ErrValue), "%v", err)
			require.Equal(t, before, snapshot(s), "the statistics moved")
		})
	}
}

// otherShapes returns other shapes for as many elements.
func otherShapes(s tensor.Shape) (all []tensor.Shape) {
	n := s.TotalSize()
	for _, o := range []tensor.Shape{{n}, {1, n}, {n, 1}, {1, 1, n}, reversed(s)} {
		if !slices.Equal(o, s) {
			all = append(all, o)
		}
	}
	return all
}

// Any number of inputs but the right one is an error.
func TestDoRefusesOtherNumbersOfInputs(t *testing.T) {
	eachCall(t, tensor.Float64, func(t *testing.T, c call) {
		for _, in := range [][]G.Value{nil, c.in[1:], append(slices.Clone(c.in), c.in[0])} {
			_, err := c.op.Do(in...)
			require.ErrorIs(t, err, ops.ErrValue, "%d inputs", len(in))
		}
	})
}

// Gorgonia's types do not include ranks, so an op may be asked about any shapes. It
// returns a shape or an error.
func TestInferShapeNeverPanics(t *testing.T) {
	eachCall(t, tensor.Float64, func(t *testing.T, c call) {
		right := make([]G.DimSizer, len(c.in))
		for i, v := range c.in {
			right[i] = v.Shape()
		}
		shape, err := c.op.InferShape(right...)
		require.NoError(t, err)
		require.Equal(t, must(c.op.Do(c.in...)).Shape(), shape)
		require.NotPanics(t, func() { c.op.InferShape() })
		for i := range right {
			for _, s := range []G.DimSizer{nil, tensor.ScalarShape(), tensor.Shape{}, tensor.Shape{2}} {
				wrong := slices.Clone(right)
				wrong[i] = s
				require.NotPanics(t, func() { c.op.InferShape(wrong...) }, "input %d as %v", i, s)
			}
		}
	})
}

// isPart says whether an op takes a part of a vector. The vector may have any length.
func isPart(op string) bool { return strings.HasPrefix(op, "norm.Part(") }

// isPiece says whether the result of an op may share the memory of its input, a packed
// vector. Nobody else reads that piece of it.
func isPiece(op string) bool { return isPart(op) || strings.Contains(op, "Sum(") }
