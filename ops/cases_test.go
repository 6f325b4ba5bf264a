package ops_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gorgonorm/norm/gradcheck"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// opCase is an op in one of its forms, for the tests that every op has to pass.
type opCase struct {
	name     string
	names    []string // of the inputs
	shapes   []tensor.Shape
	channels int // of the running statistics; 0 for none
	build    func(n G.Nodes, s *ops.RunningStats) (*G.Node, error)
	opts     []G.VMOpt
	masked   bool // there is a node besides the inputs, "mask", that has no gradient
}

// checkOptions returns the options for gradcheck.
func (c opCase) checkOptions() (opts []gradcheck.Option) {
	if len(c.opts) > 0 {
		opts = append(opts, gradcheck.WithEvalMode())
	}
	if c.masked {
		opts = append(opts, gradcheck.WithoutGradOf("mask"))
	}
	return opts
}

// moves says whether a run updates the running statistics.
func (c opCase) moves() bool { return c.channels > 0 && len(c.opts) == 0 }

// stats returns running statistics for the case, or nil if it has none.
func (c opCase) stats(t testing.TB) *ops.RunningStats {
	if c.channels == 0 {
		return nil
	}
	return statsOf(t, c.channels)
}

// with returns the function that builds the op with the given statistics.
func (c opCase) with(s *ops.RunningStats) graphtest.Func {
	return func(n G.Nodes) (*G.Node, error) { return c.build(n, s) }
}

// values returns values for the inputs that depend on seed.
func (c opCase) values(dt tensor.Dtype, seed float64) (vs []*tensor.Dense) {
	for i, s := range c.shapes {
		vs = append(vs, graphtest.Dense(dt, floats(wave(seed+0.3*float64(i), s...)), s...))
	}
	return vs
}

// dy returns a gradient of the op's value, whose shape is that of y.
func (c opCase) dy(t testing.TB, dt tensor.Dtype) *tensor.Dense {
	s := c.output(t)
	return graphtest.Dense(dt, floats(wave(-0.7, s...)), s...)
}

// output returns the shape of y.
func (c opCase) output(t testing.TB) tensor.Shape {
	y, err := c.build(leaves(G.NewGraph(), c.names, c.values(tensor.Float64, 0)), c.stats(t))
	require.NoError(t, err)
	return y.Shape()
}

// leaves makes input nodes that hold the values.
func leaves(g *G.ExprGraph, names []string, vs []*tensor.Dense) (ns G.Nodes) {
	for i, v := range vs {
		ns = append(ns, graphtest.Leaf(g, names[i], v))
	}
	return ns
}

func layerNormCase(name string, cfg ops.LayerNormConfig, shape tensor.Shape, x ...int) opCase {
	return opCase{name: "layernorm " + name, names: []string{"x", "gamma", "beta"}, shapes: []tensor.Shape{x, shape, shape},
		build: func(n G.Nodes, _ *ops.RunningStats) (*G.Node, error) {
			return ops.LayerNorm(n[0], n[1], n[2], shape, cfg)
		}}
}

func layerNormAxesCase(name string, cfg ops.LayerNormConfig, axes []int, x ...int) opCase {
	shape := axesShape(x, axes)
	return opCase{name: "layernorm " + name, names: []string{"x", "gamma", "beta"}, shapes: []tensor.Shape{x, shape, shape},
		build: func(n G.Nodes, _ *ops.RunningStats) (*G.Node, error) {
			return ops.LayerNormAxes(n[0], n[1], n[2], axes, cfg)
		}}
}

func rmsNormCase(name string, cfg ops.RMSNormConfig, shape tensor.Shape, x ...int) opCase {
	return opCase{name: "rmsnorm " + name, names: []string{"x", "gamma", "beta"}, shapes: []tensor.Shape{x, shape, shape},
		build: func(n G.Nodes, _ *ops.RunningStats) (*G.Node, error) {
			return ops.RMSNorm(n[0], n[1], n[2], shape, cfg)
		}}
}

func rmsNormAxesCase(name string, cfg ops.RMSNormConfig, axes []int, x ...int) opCase {
	shape := axesShape(x, axes)
	return opCase{name: "rmsnorm " + name, names: []string{"x", "gamma", "beta"}, shapes: []tensor.Shape{x, shape, shape},
		build: func(n G.Nodes, _ *ops.RunningStats) (*G.Node, error) {
			return ops.RMSNormAxes(n[0], n[1], n[2], axes, cfg)
		}}
}

func residualCase(name string, cfg ops.LayerNormConfig, shape tensor.Shape, x ...int) opCase {
	return opCase{name: "addlayernorm " + name, names: []string{"x", "r", "gamma", "beta"}, shapes: []tensor.Shape{x, x, shape, shape},
		build: func(n G.Nodes, _ *ops.RunningStats) (*G.Node, error) {
			return difference(ops.AddLayerNorm(n[0], n[1], n[2], n[3], shape, cfg))
		}}
}

func rmsResidualCase(name string, cfg ops.RMSNormConfig, shape tensor.Shape, x ...int) opCase {
	return opCase{name: "addrmsnorm " + name, names: []string{"x", "r", "gamma", "beta"}, shapes: []tensor.Shape{x, x, shape, shape},
		build: func(n G.Nodes, _ *ops.RunningStats) (*G.Node, error) {
			return difference(ops.AddRMSNorm(n[0], n[1], n[2], n[3], shape, cfg))
		}}
}

// difference combines the two results of a residual norm into one.
func difference(y, sum *G.Node, err error) (*G.Node, error) {
	if err != nil {
		return nil, err
	}
	return G.Sub(y, sum)
}

func batchNormCase(name string, channels int, cfg ops.BatchNormConfig, x tensor.Shape, opts ...G.VMOpt) opCase {
	cfg.Eps = 1e-3
	axis := 1
	if cfg.ChannelAxis != 0 {
		axis = (cfg.ChannelAxis + len(x)) % len(x)
	}
	per := tensor.Shape{x[axis]}
	return opCase{name: "batchnorm " + name, names: []string{"x", "gamma", "beta"}, shapes: []tensor.Shape{x, per, per},
		channels: channels, opts: opts,
		build: func(n G.Nodes, s *ops.RunningStats) (*G.Node, error) {
			return ops.BatchNorm(n[0], n[1], n[2], s, cfg)
		}}
}

func weightNormCase(name string, cfg ops.WeightNormConfig, v, g tensor.Shape) opCase {
	return opCase{name: "weightnorm " + name, names: []string{"v", "g"}, shapes: []tensor.Shape{v, g},
		build: func(n G.Nodes, _ *ops.RunningStats) (*G.Node, error) {
			return ops.WeightNorm(n[0], n[1], cfg)
		}}
}

func linearCase(name string, cfg ops.WeightNormConfig, g tensor.Shape, x ...int) opCase {
	return opCase{name: "weightnormlinear " + name, names: []string{"x", "v", "g", "b"},
		shapes: []tensor.Shape{x, {4, x[len(x)-1]}, g, {4}},
		build: func(n G.Nodes, _ *ops.RunningStats) (*G.Node, error) {
			return ops.WeightNormLinear(n[0], n[1], n[2], n[3], cfg)
		}}
}

// opCases are the forms of the ops that differ in their code or in their shapes. Results
// are new memory in each run.
var opCases = opCasesOf(false)

// opCasesOf returns these forms, with Reuse or without.
func opCasesOf(reuse bool) []opCase {
	layer := ops.LayerNormConfig{Eps: 1e-3, Reuse: reuse}
	unbiased := ops.LayerNormConfig{Eps: 1e-3, UnbiasedStd: true, Reuse: reuse}
	batch := ops.BatchNormConfig{Momentum: 0.1, Reuse: reuse}
	channelsLast := ops.BatchNormConfig{Momentum: 0.1, Reuse: reuse, ChannelAxis: -1}
	weight := func(axis int) ops.WeightNormConfig { return ops.WeightNormConfig{Axis: axis, Reuse: reuse} }
	return slices.Concat(groupNormCases(reuse), maskedCases(reuse), neighbourCases(reuse), spectralCases(reuse), []opCase{
		layerNormCase("rows", layer, tensor.Shape{6}, 4, 6),
		layerNormCase("unbiased", unbiased, tensor.Shape{6}, 4, 6),
		layerNormAxesCase("channel axis", layer, []int{1}, 2, 3, 4, 5),
		layerNormAxesCase("leading axes unbiased", unbiased, []int{0, 1}, 3, 2, 5),
		layerNormAxesCase("scattered axes", layer, []int{-1, 1}, 2, 3, 4, 2),
		layerNormCase("two axes", layer, tensor.Shape{3, 5}, 2, 3, 5),
		// Its dx is large enough to lie in the packed gradient instead of a copy.
		layerNormCase("large", layer, tensor.Shape{64}, 70, 64),
		rmsNormCase("rows", ops.RMSNormConfig{Eps: 1e-3, Reuse: reuse}, tensor.Shape{6}, 4, 6),
		rmsNormCase("plus one", ops.RMSNormConfig{Eps: 1e-3, ScalePlusOne: true, Reuse: reuse}, tensor.Shape{2, 3}, 4, 2, 3),
		rmsNormAxesCase("channel axis", ops.RMSNormConfig{Eps: 1e-3, Reuse: reuse}, []int{1}, 2, 3, 4, 5),
		rmsNormAxesCase("scattered axes plus one", ops.RMSNormConfig{Eps: 1e-3, ScalePlusOne: true, Reuse: reuse}, []int{0, 2}, 3, 2, 4),
		residualCase("rows", layer, tensor.Shape{6}, 4, 6),
		rmsResidualCase("plus one", ops.RMSNormConfig{Eps: 1e-3, ScalePlusOne: true, Reuse: reuse}, tensor.Shape{6}, 4, 6),
		residualCase("large", layer, tensor.Shape{64}, 65, 64), // its results are views
		batchNormCase("train rank 2", 3, batch, tensor.Shape{5, 3}),
		batchNormCase("eval rank 2", 3, batch, tensor.Shape{5, 3}, G.EvalMode()),
		batchNormCase("train rank 4", 3, batch, tensor.Shape{2, 3, 4, 2}),
		batchNormCase("eval rank 4", 3, batch, tensor.Shape{2, 3, 4, 2}, G.EvalMode()),
		batchNormCase("train channels last", 3, channelsLast, tensor.Shape{2, 4, 2, 3}),
		batchNormCase("eval channels last", 3, channelsLast, tensor.Shape{2, 4, 3}, G.EvalMode()),
		batchNormCase("untracked rank 3", 0, batch, tensor.Shape{2, 3, 4}),
		weightNormCase("axis 0", weight(0), tensor.Shape{4, 3}, tensor.Shape{4}),
		weightNormCase("axis 1", weight(1), tensor.Shape{2, 3, 4}, tensor.Shape{3}),
		weightNormCase("axis 2", weight(2), tensor.Shape{2, 3, 4, 2}, tensor.Shape{1, 1, 4, 1}),
		weightNormCase("whole tensor", weight(ops.WholeTensor), tensor.Shape{4, 3, 2}, tensor.Shape{1}),
		linearCase("axis 0", weight(0), tensor.Shape{4}, 3, 5),
		linearCase("axis 1", weight(1), tensor.Shape{1, 5}, 2, 3, 5),
		linearCase("whole tensor", weight(ops.WholeTensor), tensor.Shape{1, 1}, 3, 5),
	})
}

// eachOp runs f for every case.
func eachOp(t *testing.T, f func(t *testing.T, c opCase)) {
	for _, c := range opCases {
		t.Run(c.name, func(t *testing.T) { f(t, c) })
	}
}

// program is the graph of the cost Σ f(in)·dy with its gradients.
type program struct {
	g           *G.ExprGraph
	in          G.Nodes
	y, dy, cost *G.Node
	grads       G.Nodes
}

// newProgram builds the graph, without gradients if symbolic is false.
func newProgram(t testing.TB, f graphtest.Func, names []string, vs []*tensor.Dense, dy *tensor.Dense, symbolic bool) *program {
	t.Helper()
	p := &program{g: G.NewGraph()}
	p.in = leaves(p.g, names, vs)
	var err error
	p.y, err = f(p.in)
	require.NoError(t, err)
	p.dy = graphtest.Leaf(p.g, "dy", dy)
	// The product may be written over its first operand, but y is read later.
	p.cost = G.Must(G.Sum(G.Must(G.HadamardProd(p.dy, p.y))))
	if symbolic {
		p.grads, err = G.Grad(p.cost, p.in...)
		require.NoError(t, err)
	}
	return p
}

// run runs a new tape machine.
func (p *program) run(t *testing.T, opts ...G.VMOpt) {
	t.Helper()
	vm := G.NewTapeMachine(p.g, opts...)
	defer vm.Close()
	require.NoError(t, vm.RunAll())
}

// runLisp runs a new lisp machine on a graph without symbolic gradients.
func (p *program) runLisp(t *testing.T, opts ...G.VMOpt) {
	t.Helper()
	vm := G.NewLispMachine(p.g, opts...)
	defer vm.Close()
	require.NoError(t, vm.RunAll())
}

// floats returns the elements in row-major order, whatever the layout.
func floats(v G.Value) []float64 { return graphtest.Floats(v.(*tensor.Dense)) }

// bits returns the elements as they are, so that NaN and −0 compare too.
func bits(v G.Value) (all []uint64) {
	for _, f := range floats(v) {
		all = append(all, math.Float64bits(f))
	}
	return all
}

// values returns y and then every gradient, after a run.
func (p *program) values() (vs []*tensor.Dense) {
	for _, n := range append(G.Nodes{p.y}, p.grads...) {
		vs = append(vs, n.Value().(*tensor.Dense))
	}
	return vs
}

// requireSameResult requires equal values and gradients, bit for bit if the
// tolerance is 0.
func requireSameResult(t *testing.T, want, got graphtest.Result, tolerance float64, what string) {
	t.Helper()
	requireSame(t, append([]*tensor.Dense{want.Y}, want.Grads...), append([]*tensor.Dense{got.Y}, got.Grads...), tolerance, what)
}

func requireSame(t *testing.T, want, got []*tensor.Dense, tolerance float64, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	for i := range want {
		require.Equal(t, want[i].Shape(), got[i].Shape(), "%s: output %d", what, i)
		if tolerance > 0 {
			requireNear(t, floats(want[i]), floats(got[i]), tolerance, fmt.Sprintf("%s: output %d", what, i))
			continue
		}
		w, g := bits(want[i]), bits(got[i])
		for k := range w {
			if w[k] != g[k] {
				require.Fail(t, fmt.Sprintf("%s: output %d, element %d is %v, want %v",
					what, i, k, math.Float64frombits(g[k]), math.Float64frombits(w[k])))
			}
		}
	}
}

// requireNear requires equal numbers up to a relative difference.
func requireNear(t *testing.T, want, got []float64, tolerance float64, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	for i := range want {
		if !(math.Abs(want[i]-got[i]) <= tolerance*(1+math.Abs(want[i]))) {
			require.Fail(t, fmt.Sprintf("%s: element %d is %v, want %v", what, i, got[i], want[i]))
		}
	}
}

// sum adds the elements of tensors.
func sum(ds ...*tensor.Dense) []float64 {
	total := slices.Clone(floats(ds[0]))
	for _, d := range ds[1:] {
		for i, v := range floats(d) {
			total[i] += v
		}
	}
	return total
}
