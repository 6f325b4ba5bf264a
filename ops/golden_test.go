package ops_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gorgonorm/norm/internal/golden"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// level returns how exact an output has to be: as from float64 arithmetic, rounded once,
// except for float32 matrix products, which the BLAS computes.
func level(c *golden.Case, output string) golden.Level {
	if c.Op == "WeightNormLinear" && output != "w" && c.DType == "float32" {
		return golden.Strict
	}
	return golden.Goal
}

// eachCase runs the cases of an op in both machines.
func eachCase(t *testing.T, op string, run func(t *testing.T, c *golden.Case, m graphtest.Machine)) {
	cases, err := golden.Cases(op)
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	for _, c := range cases {
		for name, m := range graphtest.Machines {
			t.Run(c.Name+"/"+name, func(t *testing.T) { run(t, c, m) })
		}
	}
}

func dtype(c *golden.Case) tensor.Dtype {
	if c.DType == "float32" {
		return tensor.Float32
	}
	return tensor.Float64
}

// in returns an input as a tensor. A scalar becomes one of shape (1).
func in(c *golden.Case, name string) *tensor.Dense {
	v := c.Inputs[name]
	shape := v.Shape
	if len(shape) == 0 {
		shape = []int{1}
	}
	return graphtest.Dense(dtype(c), v.F64, shape...)
}

// present returns the inputs that the case has, and their names.
func present(c *golden.Case, names ...string) (vs []*tensor.Dense, has []string) {
	for _, n := range names {
		if _, ok := c.Inputs[n]; ok {
			vs, has = append(vs, in(c, n)), append(has, n)
		}
	}
	return vs, has
}

// pick returns the node of a name, or nil.
func pick(nodes G.Nodes, names []string, name string) *G.Node {
	if i := slices.Index(names, name); i >= 0 {
		return nodes[i]
	}
	return nil
}

func check(t *testing.T, c *golden.Case, output string, got []float64) {
	t.Helper()
	require.NoError(t, c.Check(output, got, level(c, output)))
}

// checkResult checks y and the gradients of the named inputs, with suffix
// after the names of the outputs.
func checkResult(t *testing.T, c *golden.Case, y string, r graphtest.Result, names []string, suffix string) {
	t.Helper()
	check(t, c, y+suffix, graphtest.Floats(r.Y))
	for i, n := range names {
		check(t, c, "d"+n+suffix, graphtest.Floats(r.Grads[i]))
	}
}

func TestLayerNormMatchesGolden(t *testing.T) {
	for op, unbiased := range map[string]bool{"LayerNorm": false, "LayerNormStd": true} {
		eachCase(t, op, func(t *testing.T, c *golden.Case, m graphtest.Machine) {
			vs, names := present(c, "x", "gamma", "beta")
			shape := tensor.Shape(c.Ints("normalized_shape"))
			if unbiased {
				shape = vs[0].Shape()[vs[0].Dims()-1:]
			}
			eps, _ := c.Float("eps")
			r, err := m(func(n G.Nodes) (*G.Node, error) {
				return ops.LayerNorm(n[0], pick(n, names, "gamma"), pick(n, names, "beta"), shape,
					ops.LayerNormConfig{Eps: eps, UnbiasedStd: unbiased})
			}, vs, in(c, "dy"))
			require.NoError(t, err)
			checkResult(t, c, "y", r, names, "")
		})
	}
}

// The cases have their channels in axis 1. Moved to the end, they give the same results.
func TestBatchNormMatchesGolden(t *testing.T) {
	t.Run("channels first", func(t *testing.T) { batchNormMatchesGolden(t, 1) })
	t.Run("channels last", func(t *testing.T) { batchNormMatchesGolden(t, -1) })
}

func batchNormMatchesGolden(t *testing.T, axis int) {
	toAxis := func(d *tensor.Dense) *tensor.Dense { return moveAxis(d, 1, axis) }
	fromAxis := func(d *tensor.Dense) *tensor.Dense { return moveAxis(d, axis, 1) }
	eachCase(t, "BatchNorm", func(t *testing.T, c *golden.Case, m graphtest.Machine) {
		if c.Error != "" {
			if raceDetector && strings.HasSuffix(t.Name(), "/lisp") {
				t.Skip("Gorgonia's LispMachine has a race of its own where an op fails")
			}
			_, err := m(func(n G.Nodes) (*G.Node, error) {
				s, err := ops.NewRunningStats(n[0].Shape()[1])
				require.NoError(t, err)
				return ops.BatchNorm(n[0], nil, nil, s, ops.BatchNormConfig{Eps: 1e-5, Momentum: 0.1})
			}, []*tensor.Dense{in(c, "x")}, in(c, "x"))
			require.True(t, ops.Is(err, ops.ErrBatch), "%v", err)
			return
		}
		cfg := ops.BatchNormConfig{ChannelAxis: axis}
		cfg.Eps, _ = c.Float("eps")
		momentum, hasMomentum := c.Float("momentum")
		cfg.Momentum, cfg.Cumulative = momentum, !hasMomentum
		var opts []G.VMOpt
		if !c.Bool("training") {
			opts = append(opts, G.EvalMode())
		}
		steps, ok := c.Int("steps")
		suffixes := []string{""}
		if ok {
			suffixes = []string{"0", "1", "2", "3", "4", "5"}[:steps]
		}
		var stats *ops.RunningStats
		if c.Bool("track_running_stats") {
			var err error
			stats, err = ops.NewRunningStats(c.Inputs["x"+suffixes[0]].Shape[1])
			require.NoError(t, err)
			if _, given := c.Inputs["running_mean"]; given {
				require.NoError(t, stats.Set(c.Inputs["running_mean"].F64, c.Inputs["running_var"].F64, 0))
			}
		}
		for _, s := range suffixes {
			vs, names := present(c, "x"+s, "gamma", "beta")
			names[0], vs[0] = "x", toAxis(vs[0])
			r, err := m(func(n G.Nodes) (*G.Node, error) {
				return ops.BatchNorm(n[0], pick(n, names, "gamma"), pick(n, names, "beta"), stats, cfg)
			}, vs, toAxis(in(c, "dy"+s)), opts...)
			require.NoError(t, err)
			r.Y, r.Grads[0] = fromAxis(r.Y), fromAxis(r.Grads[0])
			checkResult(t, c, "y", r, names, s)
			if stats != nil && ok {
				mean, variance, _ := stats.Values()
				check(t, c, "running_mean"+s, roundTo(c, mean))
				check(t, c, "running_var"+s, roundTo(c, variance))
			}
		}
	})
}

// roundTo rounds statistics, which are float64 here, to the dtype of the case.
func roundTo(c *golden.Case, v []float64) []float64 {
	return graphtest.Floats(graphtest.Dense(dtype(c), v, len(v)))
}

// axis returns the axis of a case, from PyTorch's dim.
func axis(c *golden.Case) int {
	if d, ok := c.Int("dim"); ok {
		return d
	}
	return ops.WholeTensor
}

func TestWeightNormMatchesGolden(t *testing.T) {
	eachCase(t, "WeightNorm", func(t *testing.T, c *golden.Case, m graphtest.Machine) {
		r, err := m(func(n G.Nodes) (*G.Node, error) {
			return ops.WeightNorm(n[0], n[1], ops.WeightNormConfig{Axis: axis(c)})
		},
			[]*tensor.Dense{in(c, "v"), in(c, "g")}, in(c, "dw"))
		require.NoError(t, err)
		checkResult(t, c, "w", r, []string{"v", "g"}, "")
	})
}

func TestWeightNormLinearMatchesGolden(t *testing.T) {
	eachCase(t, "WeightNormLinear", func(t *testing.T, c *golden.Case, m graphtest.Machine) {
		vs, names := present(c, "x", "v", "g", "b")
		r, err := m(func(n G.Nodes) (*G.Node, error) {
			return ops.WeightNormLinear(n[0], n[1], n[2], pick(n, names, "b"), ops.WeightNormConfig{Axis: axis(c)})
		}, vs, in(c, "dy"))
		require.NoError(t, err)
		checkResult(t, c, "y", r, names, "")

		r, err = m(func(n G.Nodes) (*G.Node, error) {
			return ops.WeightNorm(n[0], n[1], ops.WeightNormConfig{Axis: axis(c)})
		},
			vs[1:3], vs[1])
		require.NoError(t, err)
		check(t, c, "w", graphtest.Floats(r.Y))
	})
}

func TestLayerNormMatchesONNX(t *testing.T) {
	eachCase(t, "LayerNormalization", func(t *testing.T, c *golden.Case, m graphtest.Machine) {
		x := in(c, "X")
		a, _ := c.Int("axis")
		shape := x.Shape()[(a+x.Dims())%x.Dims():]
		eps, _ := c.Float("epsilon")
		r, err := m(func(n G.Nodes) (*G.Node, error) {
			return ops.LayerNorm(n[0], n[1], n[2], shape, ops.LayerNormConfig{Eps: eps})
		}, []*tensor.Dense{x, in(c, "Scale"), in(c, "B")}, x)
		require.NoError(t, err)
		check(t, c, "Y", graphtest.Floats(r.Y)) // the op has no outputs Mean and InvStdDev
	})
}

func TestBatchNormMatchesONNX(t *testing.T) {
	eachCase(t, "BatchNormalization", func(t *testing.T, c *golden.Case, m graphtest.Machine) {
		names := c.InputNames
		x := in(c, names[0])
		eps, _ := c.Float("epsilon")
		keep, _ := c.Float("momentum")
		stats, err := ops.NewRunningStats(x.Shape()[1])
		require.NoError(t, err)
		require.NoError(t, stats.Set(c.Inputs[names[3]].F64, c.Inputs[names[4]].F64, 0))
		var opts []G.VMOpt
		training, _ := c.Int("training_mode")
		if training == 0 {
			opts = append(opts, G.EvalMode())
		}
		r, err := m(func(n G.Nodes) (*G.Node, error) {
			return ops.BatchNorm(n[0], n[1], n[2], stats, ops.BatchNormConfig{Eps: eps, Momentum: 1 - keep})
		}, []*tensor.Dense{x, in(c, names[1]), in(c, names[2])}, x, opts...)
		require.NoError(t, err)
		check(t, c, c.OutputNames[0], graphtest.Floats(r.Y))
		if training != 0 {
			mean, variance, _ := stats.Values()
			check(t, c, c.OutputNames[1], roundTo(c, mean))
			// ONNX keeps the biased variance.
			n := float64(x.Size() / x.Shape()[1])
			before := c.Inputs[names[4]].F64
			for i, v := range variance {
				batch := (v - keep*before[i]) / (1 - keep)
				variance[i] = keep*before[i] + (1-keep)*batch*(n-1)/n
			}
			check(t, c, c.OutputNames[2], roundTo(c, variance))
		}
	})
}
