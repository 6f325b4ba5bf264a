package gradcheck_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/gorgonorm/norm/gradcheck"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func slice(t *testing.T, x *tensor.Dense, s ...tensor.Slice) *tensor.Dense {
	t.Helper()
	view, err := x.Slice(s...)
	require.NoError(t, err)
	return view.(*tensor.Dense)
}

func transposed(t *testing.T, x *tensor.Dense, axes ...int) *tensor.Dense {
	t.Helper()
	require.NoError(t, x.T(axes...))
	return x
}

// layouts returns tensors of all layouts that a user can bind.
func layouts(t *testing.T) map[string]*tensor.Dense {
	return map[string]*tensor.Dense{
		"row major":         values(3, 4),
		"row view":          slice(t, values(5, 4), G.S(1, 4)),
		"column view":       slice(t, values(3, 7), nil, G.S(2, 5)),
		"one column":        slice(t, values(3, 4), nil, G.S(1)),
		"one element":       slice(t, values(3, 4), G.S(1), G.S(2)),
		"middle axis view":  slice(t, values(2, 4, 3), nil, G.S(1, 3)),
		"transposed":        transposed(t, values(3, 4)),
		"transposed vector": transposed(t, values(1, 4)),
		"permuted":          transposed(t, values(2, 3, 4), 2, 0, 1),
		"permuted ones":     transposed(t, values(3, 1, 1), 1, 0, 2),
		"view transposed":   transposed(t, slice(t, values(3, 7), nil, G.S(2, 5))),
		"transposed viewed": slice(t, transposed(t, values(3, 4)), G.S(1, 3)),
		"column major":      tensor.New(tensor.WithShape(2, 3), tensor.AsFortran([]float64{.1, .5, -.7, 1.2, .3, -.4})),
		"column major row":  tensor.New(tensor.WithShape(1, 3), tensor.AsFortran([]float64{.1, .5, -.7})),
		"one column major":  tensor.New(tensor.WithShape(3, 1), tensor.AsFortran([]float64{.1, .5, -.7})),
		"one element major": tensor.New(tensor.WithShape(1, 1), tensor.AsFortran([]float64{.1})),
		"scalar":            tensor.New(tensor.FromScalar(0.3)),
	}
}

// probe is a cube that records what it was given.
func probe(seen *[]string) gradcheck.Func {
	op := newCube()
	return func(in G.Nodes) (*G.Node, error) {
		if in[0].IsScalar() {
			return G.Tanh(in[0])
		}
		v := in[0].Value().(*tensor.Dense)
		*seen = append(*seen, describe(v))
		return op.of(in)
	}
}

func describe(v *tensor.Dense) string {
	return fmt.Sprint(v.Info(), v.DataOrder(), v.IsView())
}

func TestLayouts(t *testing.T) {
	for name, x := range layouts(t) {
		t.Run(name, func(t *testing.T) {
			before := snapshot(x)
			var seen []string
			require.NoError(t, gradcheck.Check(probe(&seen), []*tensor.Dense{x}))
			require.Equal(t, before, snapshot(x))
			if x.Dims() > 0 {
				require.Equal(t, []string{describe(x)}, seen)
			}

			// Built-in ops support all but one of these layouts, though not in the
			// LispMachine.
			if name != "transposed viewed" {
				square := func(in G.Nodes) (*G.Node, error) { return G.HadamardProd(in[0], in[0]) }
				require.NoError(t, gradcheck.Check(square, []*tensor.Dense{x}, gradcheck.WithMachines(gradcheck.Tape)))
			}

			op := newCube()
			op.symbolic = func(dx, _ []float64) { dx[len(dx)-1]++ }
			if x.Dims() == 0 {
				return
			}
			err := gradcheck.Check(op.of, []*tensor.Dense{x})
			var e *gradcheck.Error
			require.ErrorAs(t, err, &e)
			require.Len(t, e.Mismatches, 1)
			for axis, i := range e.Mismatches[0].Index {
				require.Equal(t, x.Shape()[axis]-1, i)
			}
			require.Equal(t, before, snapshot(x))
		})
	}
}

type state struct {
	access, order string
	view, lazy    bool
	data          any
}

func snapshot(x *tensor.Dense) state {
	s := state{x.Info().String(), x.DataOrder().String(), x.IsView(), x.IsMaterializable(), x.Data()}
	if d, ok := s.data.([]float64); ok {
		s.data = append([]float64(nil), d...)
	}
	return s
}

// G.Reshape moves the data of a lazily transposed input. This must neither change the
// caller's tensor nor affect the next run.
func TestOpsThatChangeTheirInput(t *testing.T) {
	x := transposed(t, values(3, 4))
	before := snapshot(x)
	reshape := func(in G.Nodes) (*G.Node, error) { return G.Reshape(in[0], tensor.Shape{2, 6}) }
	require.NoError(t, gradcheck.Check(compose(reshape, G.Tanh), []*tensor.Dense{x}))
	require.Equal(t, before, snapshot(x))

	// The sum is written into the memory of the reshaped input.
	inPlace := compose(reshape, func(n *G.Node) (*G.Node, error) {
		return G.Add(n, G.NewConstant(values(2, 6)))
	}, G.Tanh)
	y := values(3, 4)
	before = snapshot(y)
	require.NoError(t, gradcheck.Check(inPlace, []*tensor.Dense{y}))
	require.Equal(t, before, snapshot(y))
}

func TestBadValues(t *testing.T) {
	with := func(v float64) *tensor.Dense { return dense([]int{2, 2}, []float64{1, 2, v, 4}) }
	masked := values(2, 2)
	require.NoError(t, masked.MaskedEqual(1.0))
	for _, tc := range []struct {
		name string
		in   []*tensor.Dense
		text string
	}{
		{"none", nil, "no values"},
		{"nil", []*tensor.Dense{nil}, "input 0: the value is nil"},
		{"second nil", []*tensor.Dense{values(2), nil}, "input 1: the value is nil"},
		{"float32", []*tensor.Dense{tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(2))},
			"input 0 is float32, want float64"},
		{"int", []*tensor.Dense{tensor.New(tensor.Of(tensor.Int), tensor.WithShape(2))}, "input 0 is int"},
		{"NaN", []*tensor.Dense{with(math.NaN())}, "input 0[1,0] is NaN"},
		{"Inf", []*tensor.Dense{with(math.Inf(-1))}, "input 0[1,0] is -Inf"},
		{"empty", []*tensor.Dense{tensor.New(tensor.Of(tensor.Float64), tensor.WithShape(0, 2))}, "input 0 has shape (0, 2), want no empty axis"},
		{"masked", []*tensor.Dense{masked}, "input 0 is masked"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.ErrorContains(t, gradcheck.Check(lift1(G.Tanh), tc.in), "gradcheck: "+tc.text)
		})
	}
}

func TestBadFunctions(t *testing.T) {
	x, b := values(2, 3), values(2, 3)
	other := G.NewMatrix(G.NewGraph(), G.Float64, G.WithShape(2, 3))
	constant := func(n *G.Node) (*G.Node, error) {
		return G.Tanh(G.NewMatrix(n.Graph(), G.Float64, G.WithShape(2, 3), G.WithValue(values(2, 3)), G.WithName("c")))
	}
	noValue := func(n *G.Node) (*G.Node, error) {
		return G.Add(n, G.NewMatrix(n.Graph(), G.Float64, G.WithShape(2, 3), G.WithName("void")))
	}
	nanLeaf := func(n *G.Node) (*G.Node, error) {
		v := dense([]int{2, 3}, []float64{0, 0, 0, 0, 0, math.NaN()})
		return G.Add(n, G.NewMatrix(n.Graph(), G.Float64, G.WithShape(2, 3), G.WithName("w"), G.WithValue(v)))
	}
	float32s := func(n *G.Node) (*G.Node, error) {
		return G.NewMatrix(n.Graph(), G.Float32, G.WithShape(2, 3), G.WithName("f")), nil
	}
	blind := newCube()
	blind.wrt = []bool{false}
	short := newCube()
	short.wrt = nil
	for _, tc := range []struct {
		name string
		f    gradcheck.Func
		text string
	}{
		{"nil", nil, "the function is nil"},
		{"no node", lift1(func(*G.Node) (*G.Node, error) { return nil, nil }), "returned no node"},
		{"other graph", lift1(func(*G.Node) (*G.Node, error) { return other, nil }), "in another graph"},
		{"float32", lift1(float32s), "the result is float32"},
		{"unused input", lift1(G.Tanh), "the result does not depend on b"},
		{"constant", lift1(constant), "the result does not depend on x"},
		{"no value", compose(lift2(G.Add), noValue), `leaf "void" has no value`},
		{"NaN in a leaf", compose(lift2(G.Add), nanLeaf), "w[1,2] is NaN"},
		{"NaN", compose(lift2(G.Add), G.Sqrt), "result[0,1] is NaN"},
		{"not differentiable", compose(lift2(G.Add), lift(blind)), "no differentiable way leads from the result to x"},
		{"other shape", compose(lift2(G.Add), func(n *G.Node) (*G.Node, error) { return G.ApplyOp(flattened{newCube()}, n) }),
			"the result has shape (2, 3), its node has (6)"},
		{"short DiffWRT", compose(lift2(G.Add), lift(short)), "DiffWRT has 0 entries for 1 inputs"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := gradcheck.Check(tc.f, []*tensor.Dense{x, b}, gradcheck.WithNames("x", "b"))
			require.ErrorContains(t, err, "gradcheck: ")
			require.ErrorContains(t, err, tc.text)
		})
	}
}

func lift(op *cube) func(*G.Node) (*G.Node, error) {
	return func(n *G.Node) (*G.Node, error) { return op.of(G.Nodes{n}) }
}

// A leaf that the result does not depend on is not checked.
func TestUnusedLeaf(t *testing.T) {
	op := newCube()
	require.NoError(t, gradcheck.Check(func(in G.Nodes) (*G.Node, error) {
		G.NewVector(in[0].Graph(), tensor.Float64, G.WithShape(1), G.WithName("unused"), G.WithValue(dense([]int{1}, []float64{math.NaN()})))
		return op.of(in)
	}, []*tensor.Dense{values(2)}))
}

// A step of a difference may leave the domain even though the value is inside.
func TestStepOutOfDomain(t *testing.T) {
	x := []*tensor.Dense{dense([]int{2}, []float64{1, 1e-4})}
	require.ErrorContains(t, gradcheck.Check(lift1(G.Log), x), "result[1] is NaN, want a finite number (central difference at input 0[1])")
	require.NoError(t, gradcheck.Check(lift1(G.Log), x, gradcheck.WithStep(1e-7), gradcheck.WithTolerance(1e-6, 1e-6)))
}

func TestOptions(t *testing.T) {
	x := []*tensor.Dense{values(2), values(2)}
	for _, tc := range []struct {
		opt  gradcheck.Option
		text string
	}{
		{gradcheck.WithNames("a", "b", "c"), "3 names for 2 inputs"},
		{gradcheck.WithNames("a", "a"), `two inputs are called "a"`},
		{gradcheck.WithoutGrad(2), "WithoutGrad: input 2, want 0 to 1"},
		{gradcheck.WithoutGrad(-1), "WithoutGrad: input -1, want 0 to 1"},
		{gradcheck.WithoutGrad(0, 1), "every leaf is left out, want at least one"},
		{gradcheck.WithoutGradOf("gama"), `no leaf is called "gama"`},
		{gradcheck.WithMachines(0), "WithMachines"},
		{gradcheck.WithMachines(4), "WithMachines"},
		{gradcheck.WithStep(0), "WithStep: 0, want > 0"},
		{gradcheck.WithStep(math.NaN()), "WithStep: NaN, want > 0"},
		{gradcheck.WithStep(math.Inf(1)), "WithStep: +Inf, want > 0"},
		{gradcheck.WithTolerance(0, math.NaN()), "WithTolerance: 0 and NaN, want >= 0"},
		{gradcheck.WithTolerance(math.NaN(), 0), "WithTolerance: NaN and 0, want >= 0"},
		{gradcheck.WithTolerance(-1, 0), "WithTolerance: -1 and 0, want >= 0"},
		{gradcheck.WithGrad(nil), "WithGrad: nil, want a function such as diff.Grad"},
		{gradcheck.WithMaxElements(0), "WithMaxElements: 0, want >= 1"},
	} {
		require.ErrorContains(t, gradcheck.Check(lift2(G.Add), x, tc.opt), tc.text)
	}

	// An input without a gradient may also be one that the result does not depend on.
	require.NoError(t, gradcheck.Check(lift1(G.Tanh), x, gradcheck.WithoutGrad(1)))

	op := newCube()
	op.symbolic = func(dx, _ []float64) { dx[0] += 1e-3 }
	require.Error(t, gradcheck.Check(op.of, x[:1]))
	require.NoError(t, gradcheck.Check(op.of, x[:1], gradcheck.WithTolerance(0, 2e-3)))
	require.Error(t, gradcheck.Check(lift1(G.Tanh), x[:1], gradcheck.WithTolerance(0, 0)), "0 is 0, and not the default")
}
