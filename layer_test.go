package norm_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// layer is any layer, as the tests below use it.
type layer interface {
	Name() string
	Learnables() G.Nodes
	Learnable(suffix string) *G.Node
}

// constructors make one layer of each kind, of 4 channels, inputs or columns.
var constructors = map[string]func(g *G.ExprGraph, dt tensor.Dtype, name string) (layer, error){
	"layernorm": func(g *G.ExprGraph, dt tensor.Dtype, name string) (layer, error) {
		return norm.NewLayerNorm(g, dt, tensor.Shape{4}, norm.WithName(name))
	},
	"rmsnorm": func(g *G.ExprGraph, dt tensor.Dtype, name string) (layer, error) {
		return norm.NewRMSNorm(g, dt, tensor.Shape{4}, norm.WithName(name))
	},
	"batchnorm": func(g *G.ExprGraph, dt tensor.Dtype, name string) (layer, error) {
		return norm.NewBatchNorm(g, dt, 4, norm.WithName(name))
	},
	"groupnorm": func(g *G.ExprGraph, dt tensor.Dtype, name string) (layer, error) {
		return norm.NewGroupNorm(g, dt, 2, 4, norm.WithName(name))
	},
	"instancenorm": func(g *G.ExprGraph, dt tensor.Dtype, name string) (layer, error) {
		return norm.NewInstanceNorm(g, dt, 4, norm.WithName(name), norm.WithAffine())
	},
	"weightnorm": func(g *G.ExprGraph, dt tensor.Dtype, name string) (layer, error) {
		return norm.NewWeightNorm(g, dt, tensor.Shape{4, 2, 3, 3}, norm.WithName(name))
	},
	"weightnormlinear": func(g *G.ExprGraph, dt tensor.Dtype, name string) (layer, error) {
		return norm.NewWeightNormLinear(g, dt, 4, 3, norm.WithName(name))
	},
	"spectralnorm": func(g *G.ExprGraph, dt tensor.Dtype, name string) (layer, error) {
		return norm.NewSpectralNorm(g, dt, tensor.Shape{4, 2, 3, 3}, norm.WithName(name))
	},
}

func TestParameterNames(t *testing.T) {
	want := map[string][]string{
		"layernorm":        {"a.gamma", "a.beta"},
		"rmsnorm":          {"a.gamma"},
		"batchnorm":        {"a.gamma", "a.beta"},
		"groupnorm":        {"a.gamma", "a.beta"},
		"instancenorm":     {"a.gamma", "a.beta"},
		"weightnorm":       {"a.v", "a.g"},
		"weightnormlinear": {"a.v", "a.g", "a.b"},
		"spectralnorm":     {"a.w"},
	}
	for kind, make := range constructors {
		g := G.NewGraph()
		l := norm.Must(make(g, tensor.Float32, "a"))
		require.Equal(t, "a", l.Name())
		var names []string
		for _, p := range l.Learnables() {
			names = append(names, p.Name())
			require.Same(t, p, l.Learnable(strings.TrimPrefix(p.Name(), "a.")))
			require.True(t, p.IsVar(), "a solver needs input nodes")
			require.GreaterOrEqual(t, p.Dims(), 1)
			require.Equal(t, tensor.Float32, p.Dtype())
		}
		require.Equal(t, want[kind], names)
	}
}

func TestNamesAreUnique(t *testing.T) {
	for kind, make := range constructors {
		g := G.NewGraph()
		first := norm.Must(make(g, tensor.Float64, ""))
		second := norm.Must(make(g, tensor.Float64, ""))
		require.Equal(t, kind, first.Name())
		require.Equal(t, kind+"2", second.Name())

		nodes := len(g.AllNodes())
		_, err := make(g, tensor.Float64, kind)
		require.ErrorIs(t, err, norm.ErrName)
		require.ErrorContains(t, err, "norm: "+kind+": the graph has a layer")
		require.Len(t, g.AllNodes(), nodes, "the graph is as it was")
	}
}

// The generated name of a layer does not collide with those of the caller's nodes.
func TestNamesOfOtherNodesAreTaken(t *testing.T) {
	for kind, make := range constructors {
		g := G.NewGraph()
		last := norm.Must(make(G.NewGraph(), tensor.Float64, "")).Learnables()
		if len(last) == 0 {
			continue
		}
		own := G.NewScalar(g, tensor.Float64, G.WithName(last[len(last)-1].Name()))
		l := norm.Must(make(g, tensor.Float64, ""))
		require.Equal(t, kind+"2", l.Name())
		require.Equal(t, G.Nodes{own}, g.ByName(own.Name()))
	}
}

// Layers without parameters have names too.
func TestNamesWithoutParameters(t *testing.T) {
	g := G.NewGraph()
	first := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3, norm.WithoutAffine()))
	second := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3, norm.WithoutAffine()))
	require.Equal(t, []string{"batchnorm", "batchnorm2"}, []string{first.Name(), second.Name()})
	_, err := norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{3}, norm.WithoutAffine(), norm.WithName("batchnorm"))
	require.ErrorIs(t, err, norm.ErrName)
	_, err = norm.NewLayerNorm(G.NewGraph(), tensor.Float64, tensor.Shape{3}, norm.WithName("batchnorm"))
	require.NoError(t, err, "another graph")
	_, err = norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{3}, norm.WithEps(-1), norm.WithName("free"))
	require.ErrorIs(t, err, norm.ErrOption)
	_, err = norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{3}, norm.WithName("free"))
	require.NoError(t, err, "a failed constructor takes no name")
}

// In another graph a layer has the same storage and the same settings, so that it
// computes the same results by equal ops.
func TestInSharesStorageAndSettings(t *testing.T) {
	eachServed(t, func(t *testing.T, g *G.ExprGraph, l served, dt tensor.Dtype) {
		g2 := G.NewGraph()
		other := norm.Must(l.in(g2))
		a, b := l.Learnables(), other.Learnables()
		require.Len(t, b, len(a))
		for i := range a {
			require.Equal(t, a[i].Name(), b[i].Name())
			require.Same(t, g2, b[i].Graph())
			v, w := a[i].Value().(*tensor.Dense), b[i].Value().(*tensor.Dense)
			require.Equal(t, v.Uintptr(), w.Uintptr(), "the same memory")
			require.NotSame(t, v, w, "headers of their own, to which machines write")
		}
		require.Same(t, stateOf(l.layer), stateOf(other.layer), "running statistics or singular vectors")

		x := l.input(dt)
		requireBits(t, norm.Must(l.eval(nil, x)), norm.Must(other.eval(nil, x)), "evaluated")
		l.apply(g, dt)
		other.apply(g2, dt)
		require.ElementsMatch(t, opsOf(g), opsOf(g2))

		_, err := l.in(g2)
		require.ErrorIs(t, err, norm.ErrName, "a second time")
		_, err = l.in(nil)
		require.ErrorIs(t, err, norm.ErrGraph)
	})
}

// stateOf returns what a layer has besides parameters, or nil.
func stateOf(l layer) any {
	switch l := l.(type) {
	case interface{ Running() *ops.RunningStats }:
		return l.Running()
	case *norm.SpectralNorm:
		return l.Vectors()
	}
	return (*ops.RunningStats)(nil)
}

// opsOf returns the hashes of the ops of a graph, which include their settings.
func opsOf(g *G.ExprGraph) (all []uint32) {
	for _, n := range g.AllNodes() {
		if n.Op() != nil {
			all = append(all, n.Op().Hashcode())
		}
	}
	return all
}

func TestMustPanics(t *testing.T) {
	require.Panics(t, func() { norm.Must(norm.NewLayerNorm(nil, tensor.Float64, tensor.Shape{3})) })
}

func TestLearnablesIsACopy(t *testing.T) {
	g := G.NewGraph()
	ln := norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{3}))
	ln.Learnables()[0] = nil
	require.NotNil(t, ln.Learnables()[0])
}

func TestLearnablesOfLayers(t *testing.T) {
	g := G.NewGraph()
	ln := norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{3}))
	none := norm.Must(norm.NewRMSNorm(g, tensor.Float64, tensor.Shape{3}, norm.WithoutScale()))
	bn := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3, norm.WithoutBias()))
	require.Equal(t, append(ln.Learnables(), bn.Learnables()...), norm.Learnables(ln, none, bn))
	require.Equal(t, append(ln.Learnables(), bn.Learnables()...), norm.Learnables(ln, bn, ln), "a layer that is there twice")
	require.Empty(t, norm.Learnables())
	require.Equal(t, ln.Learnables(), norm.Learnables(nil, ln, (*norm.LayerNorm)(nil)))
}

func TestLayersPrint(t *testing.T) {
	g := G.NewGraph()
	require.Equal(t, "layernorm", fmt.Sprint(norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{3}))))
	require.Equal(t, `batchnorm "bn1"`, fmt.Sprint(norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3, norm.WithName("bn1")))))
}

func TestWithoutParameters(t *testing.T) {
	g := G.NewGraph()
	x := input(g, wave(tensor.Float64, 2, 5, 3))
	count := func(opts ...norm.LayerNormOption) int {
		return len(norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{3}, opts...)).Learnables())
	}
	require.Equal(t, 2, count())
	require.Equal(t, 1, count(norm.WithoutBias()))
	require.Equal(t, 1, count(norm.WithoutScale()))
	require.Equal(t, 0, count(norm.WithoutAffine()))
	shift := norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{3}, norm.WithoutScale()))
	require.Nil(t, shift.Learnable("gamma"))
	require.Same(t, shift.Learnables()[0], shift.Learnable("beta"))
	require.Len(t, norm.Must(norm.NewWeightNormLinear(g, tensor.Float64, 3, 2, norm.WithoutBias())).Learnables(), 2)

	full := norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{3}))
	none := norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{3}, norm.WithoutAffine()))
	require.Equal(t, run(t, norm.Must(full.Fwd(x))), run(t, norm.Must(none.Fwd(x))), "gamma is 1 and beta 0 at first")
}

// A model has many layers of a kind. An error says which one it is about, whether it
// comes from the layer, from an op, or from Eval without a graph.
func TestErrorsNameTheLayer(t *testing.T) {
	dt := tensor.Float64
	g := G.NewGraph()
	few, r := wave(dt, 0, 2, 3), wave(dt, 0, 1, 4)
	whole := wave(dt, 0, 2, 4)
	second := func(_ any, err error) error { return err }
	third := func(_, _ any, err error) error { return err }

	bn := norm.Must(norm.NewBatchNorm(g, dt, 4, norm.WithName("a")))
	untracked := norm.Must(norm.NewBatchNorm(g, dt, 4, norm.WithName("a2"), norm.WithoutRunningStats()))
	in := norm.Must(norm.NewInstanceNorm(g, dt, 4, norm.WithName("b")))
	gn := norm.Must(norm.NewGroupNorm(g, dt, 2, 4, norm.WithName("c")))
	ln := norm.Must(norm.NewLayerNorm(g, dt, tensor.Shape{4}, norm.WithName("d")))
	rms := norm.Must(norm.NewRMSNorm(g, dt, tensor.Shape{4}, norm.WithName("e")))
	wn := norm.Must(norm.NewWeightNorm(g, dt, tensor.Shape{4, 3}, norm.WithName("f")))
	fc := norm.Must(norm.NewWeightNormLinear(g, dt, 4, 3, norm.WithName("h")))
	sn := norm.Must(norm.NewSpectralNorm(g, dt, tensor.Shape{4, 3}, norm.WithName("i")))
	norm.Must(norm.NewLayerNorm(g, dt, tensor.Shape{4}))
	ln2 := norm.Must(norm.NewLayerNorm(g, dt, tensor.Shape{4}))

	for begin, errs := range map[string][]error{
		`batchnorm "a"`: {
			second(bn.Fwd(input(g, few))), second(bn.FwdFrozen(input(g, few))), second(bn.FwdMasked(input(g, whole), nil)),
			second(bn.FwdMasked(input(g, whole), input(g, few))), second(bn.Eval(nil, few)), bn.SetStats(nil, nil), bn.SetMoments(nil),
			third(bn.Fold(nil, nil, 0)), second(bn.In(nil)), second(bn.In(g)),
		},
		`batchnorm "a2"`: {
			second(untracked.FwdFrozen(input(g, whole))), untracked.SetStats(nil, nil), untracked.SetMoments(bn.NewMoments()),
			third(untracked.Fold(whole, nil, 1)), norm.Reestimate(func() error { return nil }, untracked),
		},
		`instancenorm "b"`: {second(in.Fwd(input(g, few))), second(in.Eval(nil, few)), second(in.In(nil))},
		`groupnorm "c"`: {
			second(gn.Fwd(input(g, few))), second(gn.FwdMasked(input(g, whole), nil)), second(gn.Eval(nil, few)), second(gn.In(nil)),
		},
		`groupnorm "z"`: {second(norm.NewGroupNorm(g, dt, 3, 4, norm.WithName("z")))},
		`layernorm "d"`: {
			second(ln.Fwd(input(g, few))), third(ln.FwdResidual(input(g, whole), input(g, r))), second(ln.Eval(nil, few)),
			third(ln.EvalResidual(nil, nil, whole, r)), second(ln.In(nil)),
		},
		`rmsnorm "e"`: {
			second(rms.Fwd(input(g, few))), third(rms.FwdResidual(input(g, whole), input(g, r))), second(rms.Eval(nil, few)),
			third(rms.EvalResidual(nil, nil, whole, r)), second(rms.In(nil)),
		},
		`weightnorm "f"`:       {second(wn.EvalWeight(few)), second(wn.In(nil))},
		`weightnormlinear "h"`: {second(fc.Fwd(input(g, few))), second(fc.Eval(nil, few)), second(fc.In(nil))},
		`spectralnorm "i"`:     {second(sn.EvalWeight(few)), second(sn.In(nil))},
		// This name is a generated one.
		"layernorm2": {second(ln2.Fwd(input(g, few))), second(ln2.Eval(nil, few)), second(ln2.In(nil))},
	} {
		for i, err := range errs {
			require.Error(t, err, "%s %d", begin, i)
			require.True(t, strings.HasPrefix(err.Error(), "norm: "+begin+": "), "%d: %v", i, err)
		}
	}
	other := G.NewGraph()
	_, err := norm.Must(ln2.In(other)).Fwd(input(other, few))
	require.EqualError(t, err, "norm: layernorm2: x is (2, 3), want (..., 4)")
	_, err = norm.NewGroupNorm(g, dt, 3, 4)
	require.EqualError(t, err, "norm: groupnorm: 3 groups of 4 channels, want a number that divides that of the channels")
}

// Errors about parameters name the layer too.
func TestErrorsAboutParametersNameTheLayer(t *testing.T) {
	g, dt := G.NewGraph(), tensor.Float64
	bn := norm.Must(norm.NewBatchNorm(g, dt, 3, norm.WithName("a")))
	x := wave(dt, 0, 3, 3)
	g.UnbindAll()
	_, _, err := bn.Fold(x, nil, 0)
	for i, err := range []error{err, errorOf(bn.Eval(nil, x)), errorOf(bn.In(G.NewGraph())), norm.Save(io.Discard, bn)} {
		require.ErrorContains(t, err, `norm: batchnorm "a": `, i)
	}
}

// In takes values of any layout, and shares their memory.
func TestInOfColumnMajorValue(t *testing.T) {
	wn := norm.Must(norm.NewWeightNorm(G.NewGraph(), tensor.Float64, tensor.Shape{2, 3}))
	columns := tensor.New(tensor.WithShape(2, 3), tensor.AsFortran([]float64{1, 2, 3, 4, 5, 6}))
	require.NoError(t, G.Let(wn.Learnables()[0], columns))
	other := norm.Must(wn.In(G.NewGraph())).Learnables()[0].Value().(*tensor.Dense)
	require.Equal(t, 2.0, norm.Must(other.At(0, 1)))
	require.NoError(t, columns.SetAt(7.0, 0, 1))
	require.Equal(t, 7.0, norm.Must(other.At(0, 1)))
}

// gorgonia.Let accepts a row or a column for a vector, and so do machines.
// gorgonia.BatchNorm needs parameters of such shapes.
func TestVectorsAsRowsAndColumns(t *testing.T) {
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		g := G.NewGraph()
		x := input(g, wave(dt, 0, 4, 3))
		bn := norm.Must(norm.NewBatchNorm(g, dt, 3, norm.WithName("bn")))
		plain := norm.Must(norm.NewBatchNorm(G.NewGraph(), dt, 3, norm.WithName("bn")))
		for i, shape := range [][]int{{1, 3}, {3, 1}} {
			require.NoError(t, G.Let(bn.Learnables()[i], wave(dt, 0.7, shape...)))
			require.NoError(t, G.Let(plain.Learnables()[i], wave(dt, 0.7, 3)))
		}
		want := norm.Must(plain.Eval(nil, x.Value().(*tensor.Dense)))
		requireBits(t, want, norm.Must(bn.Eval(nil, x.Value().(*tensor.Dense))), "Eval")
		require.Equal(t, graphtest.Floats(want), run(t, norm.Must(bn.Fwd(x)), G.EvalMode()))

		g2 := G.NewGraph()
		other := norm.Must(bn.In(g2))
		require.Equal(t, graphtest.Floats(want), run(t, norm.Must(other.Fwd(input(g2, wave(dt, 0, 4, 3)))), G.EvalMode()))

		require.Equal(t, saved(t, plain), saved(t, bn))
		set(t, plain.Learnables()[0], []float64{1, 2, 3})
		require.NoError(t, norm.Load(bytes.NewReader(saved(t, plain)), bn))
		for _, l := range []*norm.BatchNorm{bn, other} {
			require.Equal(t, []float64{1, 2, 3}, numbers(l.Learnable("gamma").Value()))
		}
	}

	// The memory of a column with gaps is not that of a vector.
	gaps := wave(tensor.Float64, 0, 1, 3, 2)
	require.NoError(t, gaps.T(1, 0, 2))
	column := norm.Must(gaps.Slice(nil, nil, G.S(0))).(*tensor.Dense)
	require.Equal(t, tensor.Shape{3, 1}, column.Shape())
	bn := norm.Must(norm.NewBatchNorm(G.NewGraph(), tensor.Float64, 3))
	require.NoError(t, G.Let(bn.Learnables()[0], column))
	_, err := bn.Eval(nil, wave(tensor.Float64, 0, 4, 3))
	require.ErrorIs(t, err, norm.ErrShape)
}

// The caller may reuse the slices of a shape and of axes.
func TestConstructorsKeepNoSlices(t *testing.T) {
	g, dt := G.NewGraph(), tensor.Float64
	shape, axes := tensor.Shape{3}, []int{1}
	ln := norm.Must(norm.NewLayerNorm(g, dt, shape, norm.WithAxes(axes...)))
	rms := norm.Must(norm.NewRMSNorm(g, dt, shape))
	shape[0], axes[0] = 5, 0
	_, err := ln.Fwd(input(g, wave(dt, 0, 2, 3, 4)))
	require.NoError(t, err)
	_, err = rms.Fwd(input(g, wave(dt, 0, 2, 3)))
	require.NoError(t, err)

	shape = tensor.Shape{3, 1}
	gamma := norm.Param("gamma", rms.Learnables()[0], norm.Reshaped(shape...))
	shape[0] = 5
	require.NoError(t, norm.Save(io.Discard, gamma))
}

// A constant is in no graph. Gorgonia adds it to the graph of the op.
func TestResidualOfAConstant(t *testing.T) {
	g, dt := G.NewGraph(), tensor.Float64
	_, sum, err := norm.Must(norm.NewLayerNorm(g, dt, tensor.Shape{3})).FwdResidual(input(g, wave(dt, 0, 2, 3)), G.NewConstant(wave(dt, 1, 2, 3)))
	require.NoError(t, err)
	m := G.NewTapeMachine(g)
	defer m.Close()
	require.NoError(t, m.RunAll())
	want := norm.Must(wave(dt, 0, 2, 3).Add(wave(dt, 1, 2, 3)))
	require.Equal(t, graphtest.Floats(want), graphtest.Floats(sum.Value().(*tensor.Dense)))
}

// Two layers without parameters may be one op. It has the name of the first layer.
func TestEqualLayersHaveOneName(t *testing.T) {
	g := G.NewGraph()
	x := input(g, wave(tensor.Float64, 0, 2, 3))
	var ys, sums G.Nodes
	for _, name := range []string{"a", "b"} {
		ln := norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{3}, norm.WithName(name), norm.WithoutAffine()))
		ys = append(ys, norm.Must(ln.Fwd(x)))
		_, sum, err := ln.FwdResidual(x, ys[0])
		require.NoError(t, err)
		sums = append(sums, sum)
	}
	require.Same(t, ys[0], ys[1])
	require.Equal(t, "a", ys[0].Name())
	require.Same(t, sums[0], sums[1])
	require.Equal(t, "a.sum", sums[0].Name())
}

// Layers whose ops share only a part, here the statistics of x, keep their own names.
func TestLayersWithACommonPartHaveTheirNames(t *testing.T) {
	g := G.NewGraph()
	x := input(g, wave(tensor.Float64, 0, 2, 3))
	for _, name := range []string{"a", "b"} {
		bn := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3, norm.WithName(name), norm.WithoutRunningStats()))
		require.Equal(t, name, norm.Must(bn.Fwd(x)).Name())
	}
}
