package ops_test

import (
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/gorgonorm/norm/gradcheck"
	"github.com/gorgonorm/norm/internal/golden"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// vectorsOf returns singular vectors of a value of the shape.
func vectorsOf(axis int, w ...int) *ops.SingularVectors {
	return must(ops.NewSingularVectors(wave(0.4, w...), axis))
}

// spectralCase is a case in evaluation, since in training the results change from run to
// run.
func spectralCase(name string, axis int, reuse bool, w ...int) opCase {
	cfg := ops.DefaultSpectralNorm()
	cfg.Reuse = reuse
	return opCase{name: "spectralnorm " + name, names: []string{"weight"}, shapes: []tensor.Shape{w}, opts: []G.VMOpt{G.EvalMode()},
		build: func(n G.Nodes, _ *ops.RunningStats) (*G.Node, error) {
			return ops.SpectralNorm(n[0], vectorsOf(axis, w...), cfg)
		}}
}

func spectralCases(reuse bool) []opCase {
	return []opCase{
		spectralCase("axis 0", 0, reuse, 4, 3),
		spectralCase("axis 1", 1, reuse, 2, 3, 4),
	}
}

// In training the golden cases begin with given vectors.
func TestSpectralNormMatchesGolden(t *testing.T) {
	eachCase(t, "SpectralNorm", func(t *testing.T, c *golden.Case, m graphtest.Machine) {
		w := in(c, "weight")
		s := must(ops.NewSingularVectors(w, axis(c)))
		require.NoError(t, s.Set(c.Inputs["u"].F64, c.Inputs["v"].F64))
		var cfg ops.SpectralNormConfig
		cfg.PowerIterations, _ = c.Int("n_power_iterations")
		cfg.Eps, _ = c.Float("eps")
		var opts []G.VMOpt
		if !c.Bool("training") {
			opts = append(opts, G.EvalMode())
		}
		r, err := m(func(n G.Nodes) (*G.Node, error) { return ops.SpectralNorm(n[0], s, cfg) }, []*tensor.Dense{w}, in(c, "dw"), opts...)
		require.NoError(t, err)
		check(t, c, "w", graphtest.Floats(r.Y))
		check(t, c, "dweight", graphtest.Floats(r.Grads[0]))
		u, v := s.Values()
		check(t, c, "u_out", roundTo(c, u))
		check(t, c, "v_out", roundTo(c, v))
	})
}

func TestSpectralNormGradients(t *testing.T) {
	for _, w := range [][]int{{5}, {4, 3}, {3, 17}, {17, 3}, {2, 3, 4}, {4, 2, 3, 3}, {2, 3, 2, 2, 3}, {65, 33}} {
		for _, axis := range append([]int{ops.WholeTensor}, []int{0, 1, 2, 3, 4}[:len(w)]...) {
			for name, opts := range map[string][]gradcheck.Option{"train": nil, "eval": {gradcheck.WithEvalMode()}} {
				t.Run(fmt.Sprintf("%v/axis=%d/%s", tensor.Shape(w), axis, name), func(t *testing.T) {
					s := vectorsOf(axis, w...)
					u, v := s.Values()
					gradients(t, func(n G.Nodes) (*G.Node, error) {
						return ops.SpectralNorm(n[0], s, ops.DefaultSpectralNorm())
					}, []*tensor.Dense{wave(0.4, w...)}, opts...)
					u2, v2 := s.Values()
					require.Equal(t, [][]float64{u, v}, [][]float64{u2, v2}, "the check moved the vectors")
				})
			}
		}
	}
}

// Each training run improves the vectors; evaluation and building machines do not change
// them. They converge to those of the largest singular value.
func TestSpectralNormFindsTheLargestSingularValue(t *testing.T) {
	// The rows are at right angles and have the lengths 2 and 3.
	w := graphtest.Dense(tensor.Float64, []float64{0, 2, 0, 3, 0, 0}, 2, 3)
	s := must(ops.NewSingularVectors(w, 0))
	require.NoError(t, s.Set([]float64{0.8, 0.6}, []float64{0, 1, 0}))
	g := G.NewGraph()
	y := G.Must(ops.SpectralNorm(graphtest.Leaf(g, "w", w), s, ops.DefaultSpectralNorm()))
	run := func(opts ...G.VMOpt) []float64 {
		vm := G.NewTapeMachine(g, opts...)
		defer vm.Close()
		require.NoError(t, vm.RunAll())
		return floats(y.Value())
	}
	before, _ := s.Values()
	run(G.EvalMode())
	after, _ := s.Values()
	require.Equal(t, before, after)
	for range 100 {
		run()
	}
	u, v := s.Values()
	require.InDeltaSlice(t, []float64{0, 1}, u, 1e-15)
	require.InDeltaSlice(t, []float64{1, 0, 0}, v, 1e-15)
	require.InDeltaSlice(t, []float64{0, 2. / 3, 0, 1, 0, 0}, run(G.EvalMode()), 1e-15)
	require.InDeltaSlice(t, []float64{0, 2. / 3, 0, 1, 0, 0}, floats(must(s.Materialize(w))), 1e-15)

	s.SetTraining(g, true)
	vm := G.NewTapeMachine(g, G.EvalMode())
	defer vm.Close()
	s.SetTraining(g, true)
	require.NoError(t, s.Set(before, []float64{0, 1, 0}))
	require.NoError(t, vm.RunAll())
	after, _ = s.Values()
	require.NotEqual(t, before, after, "SetTraining after the machine")
}

// Every singular value of c times an orthogonal matrix is c.
func TestSpectralNormOfOrthogonal(t *testing.T) {
	for _, n := range []int{1, 2, 7, 20} {
		a, square := floats(wave(0.3, n)), 0.0
		for _, v := range a {
			square += v * v
		}
		w := make([]float64, n*n)
		for i := range w {
			w[i] = -2 * a[i/n] * a[i%n] / square
			if i/n == i%n {
				w[i]++
			}
		}
		for _, c := range []float64{1, -3, 1e-5, 1e200} {
			scaled := make([]float64, n*n)
			for i := range w {
				scaled[i] = c * w[i]
			}
			d := graphtest.Dense(tensor.Float64, scaled, n, n)
			got := floats(must(must(ops.NewSingularVectors(d, 0)).Materialize(d)))
			for i := range got {
				require.InDelta(t, math.Copysign(w[i], w[i]*c), got[i], 1e-14)
			}
		}
	}
}

// A weight of zeros, or one that is not finite, leaves the vectors unchanged.
func TestSpectralNormLeavesVectorsUndamaged(t *testing.T) {
	for _, bad := range []float64{0, nan, inf} {
		s := vectorsOf(0, 2, 3)
		u, v := s.Values()
		w := graphtest.Dense(tensor.Float64, make([]float64, 6), 2, 3)
		w.Data().([]float64)[4] = bad
		r, err := graphtest.Tape(func(n G.Nodes) (*G.Node, error) {
			return ops.SpectralNorm(n[0], s, ops.DefaultSpectralNorm())
		}, []*tensor.Dense{w}, wave(1, 2, 3))
		require.NoError(t, err)
		if bad == 0 {
			require.Equal(t, make([]float64, 6), floats(r.Y))
			require.Equal(t, make([]float64, 6), floats(r.Grads[0]))
		}
		u2, v2 := s.Values()
		require.Equal(t, [][]float64{u, v}, [][]float64{u2, v2})
	}
}

// If u = Wv underflows, the iteration has overwritten u and v. The weight is then divided
// by the σ of the earlier vectors, as in evaluation.
func TestSpectralNormWhereAnIterationFails(t *testing.T) {
	s := vectorsOf(0, 2, 3)
	tiny := floats(wave(0.4, 2, 3))
	for i := range tiny {
		tiny[i] *= 1e-180
	}
	w := graphtest.Dense(tensor.Float64, tiny, 2, 3)
	want := must(ops.EvalSpectralNorm(nil, w, s))
	require.NotEqual(t, make([]float64, 6), floats(want))
	u, v := s.Values()
	r, err := graphtest.Tape(func(n G.Nodes) (*G.Node, error) {
		return ops.SpectralNorm(n[0], s, ops.DefaultSpectralNorm())
	}, []*tensor.Dense{w}, wave(1, 2, 3))
	require.NoError(t, err)
	require.Equal(t, floats(want), floats(r.Y))
	u2, v2 := s.Values()
	require.Equal(t, [][]float64{u, v}, [][]float64{u2, v2})
}

// Clones of a graph that train at the same time share the vectors, which stay consistent.
func TestSpectralNormOfClonesInTraining(t *testing.T) {
	s := vectorsOf(0, 6, 5)
	g := G.NewGraph()
	G.Must(ops.SpectralNorm(graphtest.Leaf(g, "w", wave(0.4, 6, 5)), s, ops.DefaultSpectralNorm()))
	var wait sync.WaitGroup
	for range 3 {
		clone := g.Clone().(*G.ExprGraph)
		wait.Add(1)
		go func() {
			defer wait.Done()
			vm := G.NewTapeMachine(clone)
			defer vm.Close()
			for range 20 {
				if err := vm.RunAll(); err != nil {
					t.Error(err)
				}
				vm.Reset()
			}
		}()
	}
	wait.Wait()
	u, _ := s.Values()
	norm := 0.0
	for _, x := range u {
		norm += x * x
	}
	require.InDelta(t, 1, norm, 1e-14)
}

func badSpectrals() []badCall {
	one := func(w *G.Node, s *ops.SingularVectors, change func(*ops.SpectralNormConfig)) error {
		cfg := ops.DefaultSpectralNorm()
		if change != nil {
			change(&cfg)
		}
		_, err := ops.SpectralNorm(w, s, cfg)
		return err
	}
	s := vectorsOf(0, 4, 3)
	option := func(change func(*ops.SpectralNormConfig)) func(*bench) error {
		return func(b *bench) error { return one(b.f(4, 3), s, change) }
	}
	vectors := func(w *tensor.Dense, axis int) func(*bench) error {
		return func(*bench) error {
			_, err := ops.NewSingularVectors(w, axis)
			return err
		}
	}
	set := func(u, v []float64) func(*bench) error {
		return func(*bench) error { return vectorsOf(0, 2, 1).Set(u, v) }
	}
	materialize := func(w *tensor.Dense) func(*bench) error {
		return func(*bench) error {
			_, err := s.Materialize(w)
			return err
		}
	}
	ints := tensor.New(tensor.WithShape(4, 3), tensor.Of(tensor.Int))
	masked := tensor.New(tensor.WithBacking([]float64{1, 2}, []bool{true, false}))
	return []badCall{
		{"spectralnorm: weight nil", ops.ErrGraph, func(*bench) error { return one(nil, s, nil) }},
		{"spectralnorm: weight int", ops.ErrDtype, func(b *bench) error { return one(b.of(tensor.Int, 4, 3), s, nil) }},
		{"spectralnorm: weight scalar", ops.ErrShape, func(b *bench) error { return one(b.scalar(), s, nil) }},
		{"spectralnorm: weight of another shape", ops.ErrShape, func(b *bench) error { return one(b.f(3, 4), s, nil) }},
		{"spectralnorm: vectors nil", ops.ErrOption, func(b *bench) error { return one(b.f(4, 3), nil, nil) }},
		{"spectralnorm: no settings", ops.ErrOption, option(func(c *ops.SpectralNormConfig) { *c = ops.SpectralNormConfig{} })},
		{"spectralnorm: no iterations", ops.ErrOption, option(func(c *ops.SpectralNormConfig) { c.PowerIterations = 0 })},
		{"spectralnorm: negative iterations", ops.ErrOption, option(func(c *ops.SpectralNormConfig) { c.PowerIterations = -1 })},
		{"spectralnorm: eps 0", ops.ErrOption, option(func(c *ops.SpectralNormConfig) { c.Eps = 0 })},
		{"spectralnorm: eps NaN", ops.ErrOption, option(func(c *ops.SpectralNormConfig) { c.Eps = nan })},
		{"spectralnorm: vectors of nil", ops.ErrValue, vectors(nil, 0)},
		{"spectralnorm: vectors of ints", ops.ErrDtype, vectors(ints, 0)},
		{"spectralnorm: vectors along an axis too many", ops.ErrShape, vectors(wave(0, 4, 3), 2)},
		{"spectralnorm: vectors along a negative axis", ops.ErrShape, vectors(wave(0, 4, 3), -1)},
		{"spectralnorm: vectors of an empty tensor", ops.ErrShape, vectors(tensor.New(tensor.WithShape(0, 3), tensor.Of(tensor.Float64)), 0)},
		{"spectralnorm: vectors of a masked tensor", ops.ErrValue, vectors(masked, 0)},
		{"spectralnorm: u too long", ops.ErrShape, set([]float64{1, 2, 3}, []float64{1})},
		{"spectralnorm: no v", ops.ErrShape, set([]float64{1, 2}, nil)},
		{"spectralnorm: v NaN", ops.ErrValue, set([]float64{1, 2}, []float64{nan})},
		{"spectralnorm: v negative infinite", ops.ErrValue, set([]float64{1, 2}, []float64{-inf})},
		{"spectralnorm: u infinite", ops.ErrValue, set([]float64{1, inf}, []float64{1})},
		{"spectralnorm: u zero", ops.ErrValue, set([]float64{0, 0}, []float64{1})},
		{"spectralnorm: v zero", ops.ErrValue, set([]float64{1, 0}, []float64{0})},
		{"spectralnorm: materialized nil", ops.ErrValue, materialize(nil)},
		{"spectralnorm: materialized ints", ops.ErrDtype, materialize(ints)},
		{"spectralnorm: materialized other shape", ops.ErrShape, materialize(wave(0, 3, 4))},
	}
}
