package ops_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gorgonorm/norm/gradcheck"
	"github.com/gorgonorm/norm/internal/golden"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func groupNormCase(name string, cfg ops.GroupNormConfig, x ...int) opCase {
	per := tensor.Shape{x[1]}
	return opCase{name: "groupnorm " + name, names: []string{"x", "gamma", "beta"}, shapes: []tensor.Shape{x, per, per},
		build: func(n G.Nodes, _ *ops.RunningStats) (*G.Node, error) {
			return ops.GroupNorm(n[0], n[1], n[2], cfg)
		}}
}

func instanceNormCase(name string, channels int, cfg ops.InstanceNormConfig, x tensor.Shape, opts ...G.VMOpt) opCase {
	cfg.Eps = 1e-3
	per := tensor.Shape{x[1]}
	return opCase{name: "instancenorm " + name, names: []string{"x", "gamma", "beta"}, shapes: []tensor.Shape{x, per, per},
		channels: channels, opts: opts,
		build: func(n G.Nodes, s *ops.RunningStats) (*G.Node, error) {
			return ops.InstanceNorm(n[0], n[1], n[2], s, cfg)
		}}
}

func groupNormCases(reuse bool) []opCase {
	group := func(n int) ops.GroupNormConfig { return ops.GroupNormConfig{Groups: n, Eps: 1e-3, Reuse: reuse} }
	instance := ops.InstanceNormConfig{Momentum: 0.1, Reuse: reuse}
	return []opCase{
		groupNormCase("rank 2", group(2), 3, 6),
		groupNormCase("rank 3", group(3), 2, 6, 4),
		groupNormCase("one group", group(1), 2, 3, 2, 2),
		instanceNormCase("untracked", 0, instance, tensor.Shape{2, 3, 4}),
		instanceNormCase("train", 3, instance, tensor.Shape{2, 3, 4, 2}),
		instanceNormCase("eval", 3, instance, tensor.Shape{2, 3, 4, 2}, G.EvalMode()),
	}
}

func TestGroupNormMatchesGolden(t *testing.T) {
	eachCase(t, "GroupNorm", func(t *testing.T, c *golden.Case, m graphtest.Machine) {
		vs, names := present(c, "x", "gamma", "beta")
		eps, _ := c.Float("eps")
		groups, _ := c.Int("num_groups")
		f := func(n G.Nodes) (*G.Node, error) {
			return ops.GroupNorm(n[0], pick(n, names, "gamma"), pick(n, names, "beta"), ops.GroupNormConfig{Groups: groups, Eps: eps})
		}
		if c.Error != "" {
			_, err := m(f, vs, vs[0])
			require.ErrorIs(t, err, ops.ErrOption)
			return
		}
		r, err := m(f, vs, in(c, "dy"))
		require.NoError(t, err)
		checkResult(t, c, "y", r, names, "")
	})
}

func TestInstanceNormMatchesGolden(t *testing.T) {
	eachCase(t, "InstanceNorm", func(t *testing.T, c *golden.Case, m graphtest.Machine) {
		cfg := ops.InstanceNormConfig{}
		cfg.Eps, _ = c.Float("eps")
		momentum, hasMomentum := c.Float("momentum")
		cfg.Momentum, cfg.Cumulative = momentum, !hasMomentum
		var opts []G.VMOpt
		if !c.Bool("training") {
			opts = append(opts, G.EvalMode())
		}
		suffixes := []string{""}
		if n, ok := c.Int("steps"); ok {
			suffixes = []string{"0", "1", "2", "3", "4", "5"}[:n]
		}
		var stats *ops.RunningStats
		if c.Bool("track_running_stats") {
			stats = running(c.Inputs["x"+suffixes[0]].Shape[1])
			if _, given := c.Inputs["running_mean"]; given {
				require.NoError(t, stats.Set(c.Inputs["running_mean"].F64, c.Inputs["running_var"].F64, 0))
			}
		}
		for _, s := range suffixes {
			vs, names := present(c, "x"+s, "gamma", "beta")
			names[0] = "x"
			r, err := m(func(n G.Nodes) (*G.Node, error) {
				return ops.InstanceNorm(n[0], pick(n, names, "gamma"), pick(n, names, "beta"), stats, cfg)
			}, vs, in(c, "dy"+s), opts...)
			require.NoError(t, err)
			checkResult(t, c, "y", r, names, s)
			if stats != nil && s != "" {
				mean, variance, _ := stats.Values()
				check(t, c, "running_mean"+s, roundTo(c, mean))
				check(t, c, "running_var"+s, roundTo(c, variance))
			}
		}
	})
}

func TestInstanceNormMatchesONNX(t *testing.T) {
	eachCase(t, "InstanceNormalization", func(t *testing.T, c *golden.Case, m graphtest.Machine) {
		eps, _ := c.Float("epsilon")
		x := in(c, "input")
		r, err := m(func(n G.Nodes) (*G.Node, error) {
			return ops.InstanceNorm(n[0], n[1], n[2], nil, ops.InstanceNormConfig{Eps: eps})
		}, []*tensor.Dense{x, in(c, "scale"), in(c, "B")}, x)
		require.NoError(t, err)
		check(t, c, "output", graphtest.Floats(r.Y))
	})
}

func TestGroupNormGradients(t *testing.T) {
	check := func(t *testing.T, groups int, x ...int) {
		if tensor.Shape(x).TotalSize() == groups {
			return // an error
		}
		for name, a := range affines {
			t.Run(name, func(t *testing.T) {
				in := append([]*tensor.Dense{wave(0.5, x...)}, affineValues(a.gamma, a.beta, x[1])...)
				gradients(t, func(n G.Nodes) (*G.Node, error) {
					gamma, beta := affineNodes(n, a.gamma, a.beta)
					return ops.GroupNorm(n[0], gamma, beta, ops.GroupNormConfig{Groups: groups, Eps: 1e-2})
				}, in)
			})
		}
	}
	for _, n := range sizes {
		for groups, x := range map[int][]int{2: {2, 4, n}, 1: {2, n}, 3: {n, 3, 2}} {
			t.Run(fmt.Sprintf("%v in %d", tensor.Shape(x), groups), func(t *testing.T) { check(t, groups, x...) })
		}
		t.Run(fmt.Sprintf("(2, %d) in %[1]d", n), func(t *testing.T) { check(t, n, 2, n) })
	}
	for _, x := range [][]int{{2, 6}, {2, 6, 3}, {2, 6, 2, 3}, {2, 6, 2, 1, 3}, {1, 6, 7000}} {
		for _, groups := range []int{1, 2, 3, 6} {
			t.Run(fmt.Sprintf("%v in %d", tensor.Shape(x), groups), func(t *testing.T) { check(t, groups, x...) })
		}
	}
}

func TestInstanceNormGradients(t *testing.T) {
	for mode, opts := range map[string][]gradcheck.Option{"train": nil, "eval": {gradcheck.WithEvalMode()}} {
		for _, x := range [][]int{{2, 3, 5}, {1, 3, 17}, {2, 3, 2, 3}, {2, 3, 2, 2, 3}} {
			for name, a := range affines {
				for _, tracked := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s/%v/%s/tracked=%v", mode, tensor.Shape(x), name, tracked), func(t *testing.T) {
						var stats *ops.RunningStats
						if tracked {
							stats = statsOf(t, 3)
						}
						before := snapshot(stats)
						in := append([]*tensor.Dense{wave(0.5, x...)}, affineValues(a.gamma, a.beta, 3)...)
						gradients(t, func(n G.Nodes) (*G.Node, error) {
							gamma, beta := affineNodes(n, a.gamma, a.beta)
							return ops.InstanceNorm(n[0], gamma, beta, stats, ops.InstanceNormConfig{Eps: 1e-2, Momentum: 0.1})
						}, in, opts...)
						require.Equal(t, before, snapshot(stats), "the check moved the statistics")
					})
				}
			}
		}
	}
}

// These norms are the same function by definition.
func TestGroupNormIsOtherNorms(t *testing.T) {
	group := func(groups int) graphtest.Func {
		return func(n G.Nodes) (*G.Node, error) {
			return ops.GroupNorm(n[0], nil, nil, ops.GroupNormConfig{Groups: groups, Eps: 1e-5})
		}
	}
	for _, x := range []tensor.Shape{{3, 4, 5}, {2, 4, 3, 3}, {2, 4, 40, 40}} {
		for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			vs := []*tensor.Dense{graphtest.Dense(dt, floats(wave(0.4, x...)), x...)}
			dy := graphtest.Dense(dt, floats(wave(-0.7, x...)), x...)
			same := func(what string, a, b graphtest.Func) {
				want, err := graphtest.Tape(a, vs, dy)
				require.NoError(t, err)
				got, err := graphtest.Tape(b, vs, dy)
				require.NoError(t, err)
				requireSameResult(t, want, got, map[bool]float64{true: 1e-6, false: 1e-13}[dt == tensor.Float32], what)
			}
			same("layer norm", group(1), func(n G.Nodes) (*G.Node, error) {
				return ops.LayerNorm(n[0], nil, nil, x[1:], ops.LayerNormConfig{Eps: 1e-5})
			})
			same("instance norm", group(4), func(n G.Nodes) (*G.Node, error) {
				return ops.InstanceNorm(n[0], nil, nil, nil, ops.InstanceNormConfig{Eps: 1e-5})
			})
			same("tracked instance norm", group(4), func(n G.Nodes) (*G.Node, error) {
				return ops.InstanceNorm(n[0], nil, nil, statsOf(t, 4), ops.InstanceNormConfig{Eps: 1e-5})
			})
		}
	}
}

// One spatial element is an error in training and leaves the statistics unchanged. In
// evaluation it is allowed.
func TestInstanceNormOfOneElement(t *testing.T) {
	x := []*tensor.Dense{wave(0.5, 2, 3, 1)}
	for name, m := range graphtest.Machines {
		s := statsOf(t, 3)
		f := func(n G.Nodes) (*G.Node, error) {
			return ops.InstanceNorm(n[0], nil, nil, s, ops.InstanceNormConfig{Eps: 1e-5, Momentum: 0.1})
		}
		before := snapshot(s)
		_, err := m(f, x, x[0], G.EvalMode())
		require.NoError(t, err)
		if name == "lisp" && raceDetector {
			continue
		}
		_, err = m(f, x, x[0])
		require.True(t, ops.Is(err, ops.ErrBatch), "%v", err)
		require.ErrorContains(t, err, "norm: instancenorm: ")
		require.Equal(t, before, snapshot(s))
	}
}

// Groups of one element are constant: y is β, and x has no gradient.
func TestGroupNormOfOneElement(t *testing.T) {
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		at := func(mean float64, s ...int) *tensor.Dense { return graphtest.Dense(dt, floats(wave(mean, s...)), s...) }
		r, err := graphtest.Tape(func(n G.Nodes) (*G.Node, error) {
			return ops.GroupNorm(n[0], n[1], n[2], ops.GroupNormConfig{Groups: 3, Eps: 1e-5})
		}, []*tensor.Dense{at(0.5, 2, 3), at(1.2, 3), at(-0.3, 3)}, at(-0.7, 2, 3))
		require.NoError(t, err)
		beta := floats(at(-0.3, 3))
		require.Equal(t, slices.Concat(beta, beta), floats(r.Y))
		require.InDeltaSlice(t, make([]float64, 6), floats(r.Grads[0]), 1e-13)
		require.Equal(t, []float64{0, 0, 0}, floats(r.Grads[1]))
	}
}

// Axis 1 of the channels is the default.
func TestInstanceNormOfChannelsInAxis1(t *testing.T) {
	x := graphtest.Leaf(G.NewGraph(), "x", wave(0.4, 2, 3, 4))
	y, err := ops.InstanceNorm(x, nil, nil, nil, ops.InstanceNormConfig{Eps: 1e-3, ChannelAxis: 1})
	require.NoError(t, err)
	require.Same(t, G.Must(ops.InstanceNorm(x, nil, nil, nil, ops.InstanceNormConfig{Eps: 1e-3})), y)
}

func badGroupNorms() []badCall {
	gn := func(x, gamma, beta *G.Node, groups int, eps float64) error {
		_, err := ops.GroupNorm(x, gamma, beta, ops.GroupNormConfig{Groups: groups, Eps: eps})
		return err
	}
	in := func(x, gamma *G.Node, s *ops.RunningStats, change func(*ops.InstanceNormConfig)) error {
		_, err := ops.InstanceNorm(x, gamma, nil, s, cfgWith(change))
		return err
	}
	keep := func(*ops.InstanceNormConfig) {}
	return []badCall{
		{"groupnorm: x nil", ops.ErrGraph, func(b *bench) error { return gn(nil, b.f(6), nil, 3, 1e-5) }},
		{"groupnorm: x int", ops.ErrDtype, func(b *bench) error { return gn(b.of(tensor.Int, 4, 6), nil, nil, 3, 1e-5) }},
		{"groupnorm: gamma float32, x float64", ops.ErrDtype, func(b *bench) error { return gn(b.f(4, 6), b.of(tensor.Float32, 6), nil, 3, 1e-5) }},
		{"groupnorm: x scalar", ops.ErrShape, func(b *bench) error { return gn(b.scalar(), nil, nil, 1, 1e-5) }},
		{"groupnorm: x of rank 1", ops.ErrShape, func(b *bench) error { return gn(b.f(6), nil, nil, 3, 1e-5) }},
		{"groupnorm: x of rank 6", ops.ErrShape, func(b *bench) error { return gn(b.f(1, 6, 1, 1, 1, 2), nil, nil, 3, 1e-5) }},
		{"groupnorm: x without shape", ops.ErrShape, func(b *bench) error { return gn(b.shapeless(), nil, nil, 3, 1e-5) }},
		{"groupnorm: groups do not divide channels", ops.ErrOption, func(b *bench) error { return gn(b.f(2, 6, 4), nil, nil, 4, 1e-5) }},
		{"groupnorm: more groups than channels", ops.ErrOption, func(b *bench) error { return gn(b.f(2, 6, 4), nil, nil, 12, 1e-5) }},
		{"groupnorm: no groups", ops.ErrOption, func(b *bench) error { return gn(b.f(2, 6, 4), nil, nil, 0, 1e-5) }},
		{"groupnorm: negative groups", ops.ErrOption, func(b *bench) error { return gn(b.f(2, 6, 4), nil, nil, -3, 1e-5) }},
		{"groupnorm: one sample of one value per group", ops.ErrBatch, func(b *bench) error { return gn(b.f(1, 6), nil, nil, 6, 1e-5) }},
		{"groupnorm: gamma of groups", ops.ErrShape, func(b *bench) error { return gn(b.f(4, 6), b.f(3), nil, 3, 1e-5) }},
		{"groupnorm: beta of the channels' rank", ops.ErrShape, func(b *bench) error { return gn(b.f(4, 6, 2), nil, b.f(6, 1), 3, 1e-5) }},
		{"groupnorm: beta of another graph", ops.ErrGraph, func(b *bench) error { return gn(b.f(4, 6), nil, b.elsewhere(6), 3, 1e-5) }},
		{"groupnorm: eps 0", ops.ErrOption, func(b *bench) error { return gn(b.f(4, 6), nil, nil, 3, 0) }},
		{"groupnorm: eps NaN", ops.ErrOption, func(b *bench) error { return gn(b.f(4, 6), nil, nil, 3, nan) }},
		{"instancenorm: x nil", ops.ErrGraph, func(*bench) error { return in(nil, nil, nil, keep) }},
		{"instancenorm: x int", ops.ErrDtype, func(b *bench) error { return in(b.of(tensor.Int, 4, 3, 2), nil, nil, keep) }},
		{"instancenorm: x of rank 2", ops.ErrShape, func(b *bench) error { return in(b.f(4, 3), nil, nil, keep) }},
		{"instancenorm: x of rank 6", ops.ErrShape, func(b *bench) error { return in(b.f(4, 3, 1, 1, 1, 2), nil, nil, keep) }},
		{"instancenorm: one spatial element", ops.ErrBatch, func(b *bench) error { return in(b.f(4, 3, 1, 1), nil, nil, keep) }},
		{"instancenorm: other number of channels", ops.ErrShape, func(b *bench) error { return in(b.f(4, 3, 2), nil, running(5), keep) }},
		{"instancenorm: gamma too long", ops.ErrShape, func(b *bench) error { return in(b.f(4, 3, 2), b.f(6), nil, keep) }},
		{"instancenorm: channels last", ops.ErrOption, func(b *bench) error {
			return in(b.f(4, 3, 2), nil, nil, func(c *ops.InstanceNormConfig) { c.ChannelAxis = -1 })
		}},
		{"instancenorm: eps negative", ops.ErrOption, func(b *bench) error {
			return in(b.f(4, 3, 2), nil, nil, func(c *ops.InstanceNormConfig) { c.Eps = -1 })
		}},
		{"instancenorm: momentum over 1", ops.ErrOption, func(b *bench) error {
			return in(b.f(4, 3, 2), nil, running(3), func(c *ops.InstanceNormConfig) { c.Momentum = 1.1 })
		}},
		{"instancenorm: frozen without statistics", ops.ErrOption, func(b *bench) error {
			return in(b.f(4, 3, 2), nil, nil, func(c *ops.InstanceNormConfig) { c.Frozen = true })
		}},
	}
}
