package ops_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// evalCase is an op with the function that evaluates it without a graph.
type evalCase struct {
	opCase
	activations int // how many of the first inputs are not parameters
	eval        evalFunc
}

type evalFunc func(dst *tensor.Dense, in []*tensor.Dense, s *ops.RunningStats) (*tensor.Dense, error)

// evalCases are the forms of the ops that differ in how they are evaluated.
func evalCases() []evalCase {
	layer := ops.LayerNormConfig{Eps: 1e-3}
	unbiased := ops.LayerNormConfig{Eps: 1e-3, UnbiasedStd: true}
	rms := ops.RMSNormConfig{Eps: 1e-3, ScalePlusOne: true}
	return slices.Concat(evalChannelCases(), evalWeightCases(), []evalCase{
		{layerNormCase("rows", layer, six, 4, 6), 1, evalLN(six, layer)},
		{layerNormCase("unbiased", unbiased, six, 4, 6), 1, evalLN(six, unbiased)},
		{layerNormCase("a row", layer, six, 6), 1, evalLN(six, layer)},
		{layerNormCase("two axes", layer, tensor.Shape{3, 5}, 2, 3, 5), 1, evalLN(tensor.Shape{3, 5}, layer)},
		{layerNormCase("large", layer, tensor.Shape{64}, 300, 64), 1, evalLN(tensor.Shape{64}, layer)},
		{layerNormAxesCase("channel axis", layer, []int{1}, 2, 3, 4, 5), 1, evalLNAxes([]int{1}, layer)},
		{layerNormAxesCase("trailing axis", layer, []int{-1}, 2, 3, 4), 1, evalLNAxes([]int{-1}, layer)},
		{layerNormAxesCase("leading axes unbiased", unbiased, []int{0, 1}, 3, 2, 5), 1, evalLNAxes([]int{0, 1}, unbiased)},
		{layerNormAxesCase("scattered axes", layer, []int{-1, 1}, 2, 3, 4, 2), 1, evalLNAxes([]int{-1, 1}, layer)},
		{rmsNormCase("rows", ops.RMSNormConfig{Eps: 1e-3}, six, 4, 6), 1, evalRMS(six, ops.RMSNormConfig{Eps: 1e-3})},
		{rmsNormCase("plus one", ops.RMSNormConfig{Eps: 1e-3, ScalePlusOne: true}, tensor.Shape{2, 3}, 4, 2, 3), 1,
			evalRMS(tensor.Shape{2, 3}, ops.RMSNormConfig{Eps: 1e-3, ScalePlusOne: true})},
		{rmsNormAxesCase("channel axis", rms, []int{1}, 2, 3, 4, 5), 1, evalRMSAxes([]int{1}, rms)},
		{rmsNormAxesCase("trailing axis", rms, []int{-1}, 2, 3, 4), 1, evalRMSAxes([]int{-1}, rms)},
		{rmsNormAxesCase("scattered axes", rms, []int{-1, 1}, 2, 3, 4, 2), 1, evalRMSAxes([]int{-1, 1}, rms)},
		evalResidual("addlayernorm", 0), evalResidual("addlayernorm", 1),
		evalResidual("addrmsnorm", 0), evalResidual("addrmsnorm", 1),
		evalNeighbours(ops.NormalizeConfig{P: 2, Axis: -1, Eps: 1e-3}, 4, 6),
		evalNeighbours(ops.NormalizeConfig{P: 3, Axis: 0, Eps: 1e-3}, 4, 6),
		evalNeighbours(ops.NormalizeConfig{P: 2, Axis: ops.WholeTensor, Eps: 1e-3}, 2, 3, 2),
		evalLocal(ops.LocalResponseNormConfig{Size: 3, Alpha: 1, Beta: 0.75, K: 1}, 2, 5, 3),
	})
}

func evalLN(shape tensor.Shape, cfg ops.LayerNormConfig) evalFunc {
	return func(dst *tensor.Dense, in []*tensor.Dense, _ *ops.RunningStats) (*tensor.Dense, error) {
		return ops.EvalLayerNorm(dst, in[0], in[1], in[2], shape, cfg)
	}
}

func evalLNAxes(axes []int, cfg ops.LayerNormConfig) evalFunc {
	return func(dst *tensor.Dense, in []*tensor.Dense, _ *ops.RunningStats) (*tensor.Dense, error) {
		return ops.EvalLayerNormAxes(dst, in[0], in[1], in[2], axes, cfg)
	}
}

func evalRMS(shape tensor.Shape, cfg ops.RMSNormConfig) evalFunc {
	return func(dst *tensor.Dense, in []*tensor.Dense, _ *ops.RunningStats) (*tensor.Dense, error) {
		return ops.EvalRMSNorm(dst, in[0], in[1], in[2], shape, cfg)
	}
}

func evalRMSAxes(axes []int, cfg ops.RMSNormConfig) evalFunc {
	return func(dst *tensor.Dense, in []*tensor.Dense, _ *ops.RunningStats) (*tensor.Dense, error) {
		return ops.EvalRMSNormAxes(dst, in[0], in[1], in[2], axes, cfg)
	}
}

// evalResidual returns the case of one of the two results, y and the sum, of a residual
// norm.
func evalResidual(name string, which int) evalCase {
	layer, rms := ops.LayerNormConfig{Eps: 1e-3}, ops.RMSNormConfig{Eps: 1e-3, ScalePlusOne: true}
	c := opCase{name: fmt.Sprint(name, " result ", which), names: []string{"x", "r", "gamma", "beta"}, shapes: []tensor.Shape{{4, 6}, {4, 6}, six, six},
		build: func(n G.Nodes, _ *ops.RunningStats) (*G.Node, error) {
			y, sum, err := ops.AddLayerNorm(n[0], n[1], n[2], n[3], six, layer)
			if name == "addrmsnorm" {
				y, sum, err = ops.AddRMSNorm(n[0], n[1], n[2], n[3], six, rms)
			}
			return []*G.Node{y, sum}[which], err
		}}
	return evalCase{c, 2, func(dst *tensor.Dense, in []*tensor.Dense, _ *ops.RunningStats) (*tensor.Dense, error) {
		var to [2]*tensor.Dense
		to[which] = dst
		y, sum, err := evalSum(name)(to[0], to[1], in, layer, rms)
		return []*tensor.Dense{y, sum}[which], err
	}}
}

// six is kept, since a literal would be allocated by the test itself.
var six = tensor.Shape{6}

func evalSum(name string) func(y, sum *tensor.Dense, in []*tensor.Dense, layer ops.LayerNormConfig, rms ops.RMSNormConfig) (_, _ *tensor.Dense, err error) {
	return func(y, sum *tensor.Dense, in []*tensor.Dense, layer ops.LayerNormConfig, rms ops.RMSNormConfig) (_, _ *tensor.Dense, err error) {
		if name == "addrmsnorm" {
			return ops.EvalAddRMSNorm(y, sum, in[0], in[1], in[2], in[3], six, rms)
		}
		return ops.EvalAddLayerNorm(y, sum, in[0], in[1], in[2], in[3], six, layer)
	}
}

func evalNeighbours(cfg ops.NormalizeConfig, x ...int) evalCase {
	name := fmt.Sprintf("p = %v axis %d", cfg.P, cfg.Axis)
	return evalCase{normalizeCase(name, cfg, x...), 1, func(dst *tensor.Dense, in []*tensor.Dense, _ *ops.RunningStats) (*tensor.Dense, error) {
		return ops.EvalNormalize(dst, in[0], cfg)
	}}
}

func evalLocal(cfg ops.LocalResponseNormConfig, x ...int) evalCase {
	return evalCase{localCase("odd", cfg, x...), 1, func(dst *tensor.Dense, in []*tensor.Dense, _ *ops.RunningStats) (*tensor.Dense, error) {
		return ops.EvalLocalResponseNorm(dst, in[0], cfg)
	}}
}

func evalChannelCases() (all []evalCase) {
	batch := func(name string, channels, axis int, x ...int) {
		cfg := ops.BatchNormConfig{Eps: 1e-3, Momentum: 0.1, ChannelAxis: axis}
		all = append(all, evalCase{batchNormCase(name, channels, cfg, x, G.EvalMode()), 1,
			func(dst *tensor.Dense, in []*tensor.Dense, s *ops.RunningStats) (*tensor.Dense, error) {
				return ops.EvalBatchNorm(dst, in[0], in[1], in[2], s, cfg)
			}})
	}
	batch("a row", 3, 0, 1, 3)
	batch("rank 4", 3, 0, 2, 3, 4, 2)
	batch("channels last", 3, -1, 2, 4, 3)
	batch("untracked", 0, 0, 2, 3, 4)
	for _, channels := range []int{0, 3} {
		cfg := ops.InstanceNormConfig{Eps: 1e-3, Momentum: 0.1}
		c := instanceNormCase(fmt.Sprint(channels, " running"), channels, cfg, tensor.Shape{2, 3, 4, 2}, G.EvalMode())
		all = append(all, evalCase{c, 1, func(dst *tensor.Dense, in []*tensor.Dense, s *ops.RunningStats) (*tensor.Dense, error) {
			return ops.EvalInstanceNorm(dst, in[0], in[1], in[2], s, cfg)
		}})
	}
	for _, x := range []tensor.Shape{{3, 6}, {2, 6, 4}} {
		cfg := ops.GroupNormConfig{Groups: 2, Eps: 1e-3}
		all = append(all, evalCase{groupNormCase(fmt.Sprint("rank ", len(x)), cfg, x...), 1,
			func(dst *tensor.Dense, in []*tensor.Dense, _ *ops.RunningStats) (*tensor.Dense, error) {
				return ops.EvalGroupNorm(dst, in[0], in[1], in[2], cfg)
			}})
	}
	return all
}

func evalWeightCases() (all []evalCase) {
	weight := func(name string, axis int, v, g tensor.Shape) {
		cfg := ops.WeightNormConfig{Axis: axis}
		all = append(all, evalCase{weightNormCase(name, cfg, v, g), 0,
			func(dst *tensor.Dense, in []*tensor.Dense, _ *ops.RunningStats) (*tensor.Dense, error) {
				return ops.EvalWeightNorm(dst, in[0], in[1], cfg)
			}})
	}
	weight("axis 0", 0, tensor.Shape{4, 3}, tensor.Shape{4})
	weight("axis 2", 2, tensor.Shape{2, 3, 4, 2}, tensor.Shape{1, 1, 4, 1})
	weight("whole tensor", ops.WholeTensor, tensor.Shape{4, 3, 2}, tensor.Shape{1})
	linear := func(name string, axis int, g tensor.Shape, x ...int) {
		cfg := ops.WeightNormConfig{Axis: axis}
		all = append(all, evalCase{linearCase(name, cfg, g, x...), 1,
			func(dst *tensor.Dense, in []*tensor.Dense, _ *ops.RunningStats) (*tensor.Dense, error) {
				return ops.EvalWeightNormLinear(dst, in[0], in[1], in[2], in[3], cfg)
			}})
	}
	linear("axis 0", 0, tensor.Shape{4}, 3, 5)
	linear("axis 1", 1, tensor.Shape{1, 5}, 2, 3, 5)
	linear("whole tensor", ops.WholeTensor, tensor.Shape{1, 1}, 3, 5)
	for axis, shape := range []tensor.Shape{{4, 3}, {2, 3, 4}} {
		c := spectralCase(fmt.Sprint("axis ", axis), axis, false, shape...)
		c.opts = []G.VMOpt{G.EvalMode()}
		vectors := must(ops.NewSingularVectors(wave(0.2, shape...), axis))
		c.build = func(n G.Nodes, _ *ops.RunningStats) (*G.Node, error) {
			return ops.SpectralNorm(n[0], vectors, ops.DefaultSpectralNorm())
		}
		all = append(all, evalCase{c, 0, func(dst *tensor.Dense, in []*tensor.Dense, _ *ops.RunningStats) (*tensor.Dense, error) {
			return ops.EvalSpectralNorm(dst, in[0], vectors)
		}})
	}
	return all
}

// eachEval runs f for every case and dtype.
func eachEval(t *testing.T, f func(t *testing.T, c evalCase, dt tensor.Dtype)) {
	for _, c := range evalCases() {
		for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			t.Run(c.name+"/"+dt.String(), func(t *testing.T) { f(t, c, dt) })
		}
	}
}

// graph evaluates the case in a machine.
func (c evalCase) graph(t *testing.T, in []*tensor.Dense) *tensor.Dense {
	y, err := c.build(leaves(G.NewGraph(), c.names, in), c.stats(t))
	require.NoError(t, err)
	var v G.Value
	G.Read(y, &v)
	vm := G.NewTapeMachine(y.Graph(), G.EvalMode())
	defer vm.Close()
	require.NoError(t, vm.RunAll())
	return v.(*tensor.Dense)
}

// requireBits requires equal shapes and bits.
func requireBits(t *testing.T, want, got *tensor.Dense, what string) {
	t.Helper()
	requireSame(t, []*tensor.Dense{want}, []*tensor.Dense{got}, 0, what)
}

// The bits are those of the graph, in new memory and in given memory. Inputs and running
// statistics are unchanged.
func TestEvalIsTheGraphs(t *testing.T) {
	eachEval(t, func(t *testing.T, c evalCase, dt tensor.Dtype) {
		in, s := c.values(dt, 0.4), c.stats(t)
		want := c.graph(t, in)
		before, stats := c.values(dt, 0.4), snapshot(s)
		for round := range 2 { // the second uses what the first has kept
			made, err := c.eval(nil, in, s)
			require.NoError(t, err)
			requireBits(t, want, made, "made")
			dst := poisoned(dt, want.Shape()...)
			got, err := c.eval(dst, in, s)
			require.NoError(t, err)
			require.Same(t, dst, got)
			requireBits(t, want, dst, fmt.Sprint("given, round ", round))
		}
		for i := range in {
			requireBits(t, before[i], in[i], c.names[i])
		}
		require.Equal(t, stats, snapshot(s))
	})
}

// Inputs and the destination may have any layout. The memory between the elements of the
// destination is unchanged.
func TestEvalTakesAnyLayout(t *testing.T) {
	eachEval(t, func(t *testing.T, c evalCase, dt tensor.Dtype) {
		plain, s := c.values(dt, 0.4), c.stats(t)
		want, err := c.eval(nil, plain, s)
		require.NoError(t, err)
		for i := range plain {
			place(t, plain[i], func(layout string, in *slot) {
				what, before := c.names[i]+" as "+layout, in.state()
				vs := slices.Clone(plain)
				vs[i] = in.view
				got, err := c.eval(nil, vs, s)
				require.NoError(t, err, what)
				if layout == "row slice" && dt == tensor.Float32 && strings.HasPrefix(c.name, "weightnormlinear") {
					requireSame(t, []*tensor.Dense{want}, []*tensor.Dense{got}, 1e-6, what) // see checkLayouts
				} else {
					requireBits(t, want, got, what)
				}
				require.Equal(t, before, in.state(), what)
			})
		}
		place(t, want, func(layout string, dst *slot) {
			full := dst.state()
			dst.put(make([]float64, want.Shape().TotalSize()))
			got, err := c.eval(dst.view, plain, s)
			require.NoError(t, err, layout)
			require.Same(t, dst.view, got)
			requireBits(t, want, got, "the destination as "+layout)
			require.Equal(t, full, dst.state(), "memory around the destination as %s", layout)
		})
	})
}

// The destination may be the normalized tensor, or overlap it in any way.
func TestEvalOverWhatIsNormalized(t *testing.T) {
	eachEval(t, func(t *testing.T, c evalCase, dt tensor.Dtype) {
		want, err := c.eval(nil, c.values(dt, 0.4), c.stats(t))
		require.NoError(t, err)
		n := want.Shape().TotalSize()
		for i := range c.activations {
			size := c.shapes[i].TotalSize()
			for _, shift := range []int{0, 1, 6, size - 1, -1, -6, 1 - n} {
				// Both lie in one piece of memory, dst shift elements later.
				in, s := c.values(dt, 0.4), c.stats(t)
				values := floats(in[i])
				const room = 8 // for any shift
				memory := make([]float64, 2*(n+size+room))
				x := n + room
				copy(memory[x:], values)
				all := graphtest.Dense(dt, memory, len(memory))
				in[i] = part(all, x, c.shapes[i])
				dst := part(all, x+shift, want.Shape())
				got, err := c.eval(dst, in, s)
				require.NoError(t, err)
				require.Same(t, dst, got)
				if strings.HasPrefix(c.name, "weightnormlinear") {
					requireSame(t, []*tensor.Dense{want}, []*tensor.Dense{got}, 1e-6, fmt.Sprint(c.names[i], " shifted by ", shift))
					continue
				}
				requireBits(t, want, got, fmt.Sprint(c.names[i], " shifted by ", shift))
			}
		}
	})
}

// part returns a tensor in the memory of a vector.
func part(of *tensor.Dense, at int, shape tensor.Shape) *tensor.Dense {
	n := shape.TotalSize()
	switch all := of.Data().(type) {
	case []float32:
		return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(all[at:at+n:at+n]))
	default:
		return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(all.([]float64)[at:at+n:at+n]))
	}
}

// Without b the result is that of a b of zeros.
func TestEvalLinearWithoutBias(t *testing.T) {
	x, v, g := wave(0.5, 2, 3), wave(0.2, 4, 3), wave(1.1, 4)
	want := must(ops.EvalWeightNormLinear(nil, x, v, g, graphtest.Dense(tensor.Float64, make([]float64, 4), 4), ops.WeightNormConfig{}))
	got := must(ops.EvalWeightNormLinear(nil, x, v, g, nil, ops.WeightNormConfig{}))
	require.Equal(t, floats(want), floats(got))
}

// The lengths in float32 are those in float64, rounded.
func TestWeightLengthsOfBothDtypes(t *testing.T) {
	v := graphtest.Wave(tensor.Float32, 0.4, 3, 4)
	want := must(ops.WeightLengths(graphtest.Dense(tensor.Float64, floats(v), 3, 4), 1))
	got := must(ops.WeightLengths(v, 1))
	require.Equal(t, tensor.Float32, got.Dtype())
	requireNear(t, floats(want), floats(got), 1e-7, "lengths")
}

// A panic becomes an error also without a machine.
func TestEvalReturnsItsFaults(t *testing.T) {
	x, r := wave(0.4, 4, 6), wave(0.7, 4, 6)
	x.Raw = x.Raw[:8]
	_, err := ops.EvalLayerNorm(nil, x, nil, nil, tensor.Shape{6}, ops.LayerNormConfig{Eps: 1e-3})
	require.ErrorIs(t, err, ops.ErrInternal)
	require.ErrorContains(t, err, "internal fault: runtime error: ")
	_, _, err = ops.EvalAddLayerNorm(nil, nil, x, r, nil, nil, tensor.Shape{6}, ops.LayerNormConfig{Eps: 1e-3})
	require.ErrorIs(t, err, ops.ErrInternal)
}
