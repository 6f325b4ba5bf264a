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

// maskLeaf makes the node of a mask in the graph of x.
func maskLeaf(x *G.Node, mask []float64, shape tensor.Shape) *G.Node {
	return graphtest.Leaf(x.Graph(), "mask", graphtest.Dense(x.Dtype(), mask, shape...))
}

// maskedCase is a case with a mask, which is a node besides the inputs.
func maskedCase(c opCase, mask []float64, shape tensor.Shape, build func(n G.Nodes, mask *G.Node, s *ops.RunningStats) (*G.Node, error)) opCase {
	c.name, c.masked = c.name+" masked", true
	c.build = func(n G.Nodes, s *ops.RunningStats) (*G.Node, error) {
		return build(n, maskLeaf(n[0], mask, shape), s)
	}
	return c
}

func maskedBatchCase(name string, channels int, cfg ops.BatchNormConfig, mask []float64, shape, x tensor.Shape, opts ...G.VMOpt) opCase {
	cfg.Eps = 1e-3
	return maskedCase(batchNormCase(name, channels, cfg, x, opts...), mask, shape, func(n G.Nodes, mask *G.Node, s *ops.RunningStats) (*G.Node, error) {
		cfg := cfg
		cfg.Mask = mask
		return ops.BatchNorm(n[0], n[1], n[2], s, cfg)
	})
}

func maskedInstanceCase(name string, channels int, cfg ops.BatchNormConfig, mask []float64, shape, x tensor.Shape, opts ...G.VMOpt) opCase {
	cfg.Eps = 1e-3
	return maskedCase(instanceNormCase(name, channels, cfg, x, opts...), mask, shape, func(n G.Nodes, mask *G.Node, s *ops.RunningStats) (*G.Node, error) {
		cfg := cfg
		cfg.Mask = mask
		return ops.InstanceNorm(n[0], n[1], n[2], s, cfg)
	})
}

func maskedGroupCase(name string, cfg ops.GroupNormConfig, mask []float64, shape tensor.Shape, x ...int) opCase {
	return maskedCase(groupNormCase(name, cfg, x...), mask, shape, func(n G.Nodes, mask *G.Node, _ *ops.RunningStats) (*G.Node, error) {
		cfg := cfg
		cfg.Mask = mask
		return ops.GroupNorm(n[0], n[1], n[2], cfg)
	})
}

// maskedCases are the forms of the norms with a mask.
func maskedCases(reuse bool) []opCase {
	batch := ops.BatchNormConfig{Momentum: 0.1, Reuse: reuse}
	last := ops.BatchNormConfig{Momentum: 0.1, Reuse: reuse, ChannelAxis: -1}
	group := ops.GroupNormConfig{Groups: 2, Eps: 1e-3, Reuse: reuse}
	rows, lengths := []float64{1, 0, 1, 1, 0}, []float64{3, 5}
	holes := []float64{0, 1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 0}
	return []opCase{
		maskedBatchCase("train rank 2", 3, batch, rows, tensor.Shape{5}, tensor.Shape{5, 3}),
		maskedBatchCase("train lengths", 3, batch, lengths, tensor.Shape{2}, tensor.Shape{2, 3, 5}),
		maskedBatchCase("eval lengths", 3, batch, lengths, tensor.Shape{2}, tensor.Shape{2, 3, 5}, G.EvalMode()),
		maskedBatchCase("untracked rank 4", 0, batch, holes, tensor.Shape{2, 3, 2}, tensor.Shape{2, 3, 3, 2}),
		maskedBatchCase("train channels last", 3, last, holes, tensor.Shape{2, 6}, tensor.Shape{2, 6, 3}),
		maskedInstanceCase("untracked", 0, batch, lengths, tensor.Shape{2}, tensor.Shape{2, 3, 5}),
		maskedInstanceCase("train", 3, batch, holes, tensor.Shape{2, 3, 2}, tensor.Shape{2, 3, 3, 2}),
		maskedInstanceCase("eval", 3, batch, lengths, tensor.Shape{2}, tensor.Shape{2, 3, 5}, G.EvalMode()),
		maskedGroupCase("holes", group, holes, tensor.Shape{2, 6}, 2, 4, 6),
		maskedGroupCase("lengths of rank 4", group, []float64{2, 0, 3}, tensor.Shape{3}, 3, 4, 2, 3),
	}
}

// A mask of lengths and one of flags give the same bits.
func TestLengthsAreAMask(t *testing.T) {
	for _, p := range paddedData {
		if p.given == nil {
			continue
		}
		flags := p
		flags.given, flags.givenShape = nil, slices.Delete(p.shape.Clone(), p.axis, p.axis+1)
		run := func(p padded) graphtest.Result {
			x := p.value(tensor.Float32, 0.5, 7)
			r, err := graphtest.Tape(func(n G.Nodes) (*G.Node, error) {
				return ops.BatchNorm(n[0], nil, nil, nil, ops.BatchNormConfig{Eps: 1e-3, ChannelAxis: p.axis - len(p.shape), Mask: p.node(n[0])})
			}, []*tensor.Dense{x}, p.value(tensor.Float32, -0.2, 9))
			require.NoError(t, err)
			return r
		}
		requireSameResult(t, run(flags), run(p), 0, p.name)
	}
}

// Lengths may change from run to run.
func TestMaskChangesFromRunToRun(t *testing.T) {
	for _, reuse := range []bool{false, true} {
		s := statsOf(t, 3)
		g := G.NewGraph()
		x, dy := graphtest.Leaf(g, "x", wave(0.4, 2, 3, 5)), graphtest.Leaf(g, "dy", wave(-0.7, 2, 3, 5))
		mask := graphtest.Leaf(g, "mask", graphtest.Dense(tensor.Float64, []float64{5, 5}, 2))
		cfg := ops.BatchNormConfig{Eps: 1e-3, Momentum: 0.1, Mask: mask, Reuse: reuse}
		y := G.Must(ops.BatchNorm(x, nil, nil, s, cfg))
		dx, err := G.Grad(G.Must(G.Sum(G.Must(G.HadamardProd(dy, y)))), x)
		require.NoError(t, err)
		vm := G.NewTapeMachine(g)
		defer vm.Close()
		for _, lengths := range [][]float64{{5, 5}, {1, 4}, {5, 0}, {2, 3}} {
			require.NoError(t, G.Let(mask, graphtest.Dense(tensor.Float64, lengths, 2)))
			before := snapshot(s)
			vm.Reset()
			require.NoError(t, vm.RunAll())
			p := padded{"", tensor.Shape{2, 3, 5}, 1, lengthMask(5, int(lengths[0]), int(lengths[1])), lengths, tensor.Shape{2}}
			want, err := graphtest.Tape(func(n G.Nodes) (*G.Node, error) {
				return ops.BatchNorm(n[0], nil, nil, nil, ops.BatchNormConfig{Eps: 1e-3})
			}, []*tensor.Dense{p.unpadded(x.Value().(*tensor.Dense), 0, 1)}, p.unpadded(dy.Value().(*tensor.Dense), 0, 1))
			require.NoError(t, err)
			requireNear(t, floats(want.Y), floats(p.unpadded(y.Value().(*tensor.Dense), 0, 1)), 1e-13, "y")
			requireNear(t, floats(want.Grads[0]), floats(p.unpadded(dx[0].Value().(*tensor.Dense), 0, 1)), 1e-13, "dx")
			requireNear(t, moved(before, 0.1, p.unpadded(x.Value().(*tensor.Dense), 0, 1)), snapshot(s), 1e-13, "statistics")
		}
	}
}

// The running statistics of instance norm are means over the samples that have a
// variance, whatever their lengths.
func TestMaskedInstanceStatistics(t *testing.T) {
	p := padded{"", tensor.Shape{4, 3, 6}, 1, lengthMask(6, 6, 2, 0, 1), []float64{6, 2, 0, 1}, tensor.Shape{4}}
	want := make([]float64, 6)
	for _, sample := range []int{0, 1} {
		alone := moved(make([]float64, 7), 1, p.unpadded(wave(0.5, p.shape...), sample))
		for i := range want {
			want[i] += alone[i] / 2
		}
	}
	eachMachine(t, func(t *testing.T, dt tensor.Dtype, m graphtest.Machine) {
		s := running(3)
		r, err := m(func(n G.Nodes) (*G.Node, error) {
			return ops.InstanceNorm(n[0], n[1], n[2], s, ops.InstanceNormConfig{Eps: 1e-3, Momentum: 1, Mask: p.node(n[0])})
		}, []*tensor.Dense{p.value(dt, 0.5, math.NaN()), graphtest.Wave(dt, 1.2, 3), graphtest.Wave(dt, -0.3, 3)}, p.value(dt, -0.2, math.NaN()))
		require.NoError(t, err)
		requireNear(t, append(want, 1), snapshot(s), map[tensor.Dtype]float64{tensor.Float32: 1e-6, tensor.Float64: 1e-13}[dt], "statistics")
		// The sample of length 1 is constant.
		require.Equal(t, floats(graphtest.Wave(dt, -0.3, 3)), floats(p.unpadded(r.Y, 3)))
		require.InDeltaSlice(t, make([]float64, 3), floats(p.unpadded(r.Grads[0], 3)), 1e-6)
	})
}

// A batch of padding alone has no statistics. It is an error in training, and gives zeros
// if no statistics are needed.
func TestMaskOfNothing(t *testing.T) {
	for _, lengths := range [][]float64{{0, 0}, {0, 1}} {
		for name, m := range graphtest.Machines {
			t.Run(fmt.Sprint(name, lengths), func(t *testing.T) {
				s := statsOf(t, 3)
				before := snapshot(s)
				run := func(f func(n G.Nodes, mask *G.Node) (*G.Node, error), opts ...G.VMOpt) (graphtest.Result, error) {
					x := wave(0.4, 2, 3, 5)
					return m(func(n G.Nodes) (*G.Node, error) {
						return f(n, maskLeaf(n[0], lengths, tensor.Shape{2}))
					}, []*tensor.Dense{x, wave(1.2, 3), wave(-0.3, 3)}, x, opts...)
				}
				with := func(op func(x, gamma, beta *G.Node, s *ops.RunningStats, cfg ops.BatchNormConfig) (*G.Node, error), s *ops.RunningStats) func(G.Nodes, *G.Node) (*G.Node, error) {
					return func(n G.Nodes, mask *G.Node) (*G.Node, error) {
						return op(n[0], n[1], n[2], s, ops.BatchNormConfig{Eps: 1e-3, Momentum: 0.1, Mask: mask})
					}
				}
				finite := func(r graphtest.Result, err error) {
					require.NoError(t, err)
					for _, v := range floats(r.Y)[:15] { // of the empty sample
						require.Zero(t, v)
					}
					for i, d := range r.Grads {
						for _, v := range floats(d) {
							require.False(t, math.IsNaN(v) || math.IsInf(v, 0), "gradient %d has %v", i, v)
						}
					}
				}
				finite(run(with(ops.BatchNorm, s), G.EvalMode()))
				finite(run(with(ops.InstanceNorm, s), G.EvalMode()))
				finite(run(with(ops.InstanceNorm, nil)))
				finite(run(func(n G.Nodes, mask *G.Node) (*G.Node, error) {
					return ops.GroupNorm(n[0], n[1], n[2], ops.GroupNormConfig{Groups: 3, Eps: 1e-3, Mask: mask})
				}))
				if name == "lisp" && raceDetector {
					return
				}
				for words, f := range map[string]func(G.Nodes, *G.Node) (*G.Node, error){
					"norm: batchnorm: x is (2, 3, 5) but for what the mask leaves out, want more than one value per channel in training; drop":                        with(ops.BatchNorm, s),
					"norm: instancenorm: x is (2, 3, 5) but for what the mask leaves out, want more than one value in each channel of a sample in training; evaluate": with(ops.InstanceNorm, s),
				} {
					_, err := run(f)
					require.True(t, ops.Is(err, ops.ErrBatch), "%v", err)
					require.ErrorContains(t, err, words)
				}
				_, err := run(with(ops.BatchNorm, nil), G.EvalMode())
				require.True(t, ops.Is(err, ops.ErrBatch), "%v", err)
				require.Equal(t, before, snapshot(s))
			})
		}
	}
}

// Values that a mask may not have are an error of the machine, and change nothing.
func TestBadMaskValues(t *testing.T) {
	flags := slices.Repeat([]float64{1}, 10)
	flags[7] = 0.5
	for _, c := range []struct {
		name, text string
		mask       []float64
		shape      tensor.Shape
	}{
		{"too long", "the length of sample 1 is 6, want a whole number from 0 to 5", []float64{5, 6}, tensor.Shape{2}},
		{"negative", "the length of sample 0 is -1, want a whole number from 0 to 5", []float64{-1, 5}, tensor.Shape{2}},
		{"half", "the length of sample 1 is 2.5, want a whole number from 0 to 5", []float64{5, 2.5}, tensor.Shape{2}},
		{"NaN", "the length of sample 0 is NaN, want a whole number from 0 to 5", []float64{nan, 5}, tensor.Shape{2}},
		{"infinite", "the length of sample 1 is +Inf, want a whole number from 0 to 5", []float64{5, inf}, tensor.Shape{2}},
		{"flags", "the mask of sample 1 has 0.5, want 0 or 1", flags, tensor.Shape{2, 5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachMachine(t, func(t *testing.T, dt tensor.Dtype, m graphtest.Machine) {
				if raceDetector {
					t.Skip("Gorgonia's lisp machine has a race of its own when its run fails")
				}
				s := statsOf(t, 3)
				before := snapshot(s)
				for op, f := range map[string]func(x, mask *G.Node) (*G.Node, error){
					"BatchStats(": func(x, mask *G.Node) (*G.Node, error) {
						return ops.BatchNorm(x, nil, nil, s, ops.BatchNormConfig{Eps: 1e-3, Momentum: 0.1, Mask: mask})
					},
					"BatchNorm(": func(x, mask *G.Node) (*G.Node, error) {
						return ops.BatchNorm(x, nil, nil, s, ops.BatchNormConfig{Eps: 1e-3, Frozen: true, Mask: mask})
					},
					"GroupNorm(": func(x, mask *G.Node) (*G.Node, error) {
						return ops.GroupNorm(x, nil, nil, ops.GroupNormConfig{Groups: 3, Eps: 1e-3, Mask: mask})
					},
					"InstanceNorm(": func(x, mask *G.Node) (*G.Node, error) {
						return ops.InstanceNorm(x, nil, nil, nil, ops.InstanceNormConfig{Eps: 1e-3, Mask: mask})
					},
				} {
					x := graphtest.Wave(dt, 0.4, 2, 3, 5)
					_, err := m(func(n G.Nodes) (*G.Node, error) {
						return f(n[0], maskLeaf(n[0], c.mask, c.shape))
					}, []*tensor.Dense{x}, x)
					require.True(t, ops.Is(err, ops.ErrValue), "%v", err)
					require.ErrorContains(t, err, "norm: "+op)
					require.ErrorContains(t, err, ": "+c.text)
				}
				require.Equal(t, before, snapshot(s))
			})
		})
	}
}

// A mask of a matrix has a flag for each sample, not a length.
func TestMaskOfAMatrixHasFlags(t *testing.T) {
	x := wave(0.4, 5, 3)
	_, err := graphtest.Tape(func(n G.Nodes) (*G.Node, error) {
		return ops.BatchNorm(n[0], nil, nil, nil, ops.BatchNormConfig{Eps: 1e-3, Mask: maskLeaf(n[0], []float64{1, 2, 1, 0, 1}, tensor.Shape{5})})
	}, []*tensor.Dense{x}, x)
	require.True(t, ops.Is(err, ops.ErrValue), "%v", err)
	require.ErrorContains(t, err, "the mask of sample 1 has 2, want 0 or 1")
}

// A value of x with another number of channels is an error, even if the mask fits it.
func TestMaskedValueOfOtherChannels(t *testing.T) {
	c := maskedBatchCase("", 3, ops.BatchNormConfig{Momentum: 0.1}, []float64{3, 5}, tensor.Shape{2}, tensor.Shape{2, 3, 5})
	masked := 0
	for _, k := range c.calls(t, tensor.Float64) {
		if len(k.in) > 1 { // of x and a mask
			_, err := k.op.Do(k.replaced(0, wave(0.4, 2, 4, 5))...)
			require.ErrorIs(t, err, ops.ErrValue, "%v", k.op)
			require.ErrorContains(t, err, "x is (2, 4, 5)")
			masked++
		}
	}
	require.NotZero(t, masked)
}

// A large size may become larger when it is rounded to float32.
func TestLengthBeyondALargeSize(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 200 MB")
	}
	const size = 1<<24 + 3
	g := G.NewGraph()
	x := graphtest.Leaf(g, "x", tensor.New(tensor.WithShape(1, 1, size), tensor.Of(tensor.Float32)))
	_, err := ops.GroupNorm(x, nil, nil, ops.GroupNormConfig{Groups: 1, Eps: 1e-3, Mask: maskLeaf(x, []float64{size}, tensor.Shape{1})})
	require.NoError(t, err)
	m := G.NewTapeMachine(g)
	defer m.Close()
	err = m.RunAll()
	require.True(t, ops.Is(err, ops.ErrValue), "%v", err)
	require.ErrorContains(t, err, "want a whole number from 0 to 16777219")
}

// A mask has no gradient, and asking for one is an error.
func TestMaskHasNoGradient(t *testing.T) {
	g := G.NewGraph()
	x := graphtest.Leaf(g, "x", wave(0.4, 2, 3, 5))
	mask := maskLeaf(x, []float64{5, 3}, tensor.Shape{2})
	y := G.Must(ops.BatchNorm(x, nil, nil, nil, ops.BatchNormConfig{Eps: 1e-3, Mask: mask}))
	_, err := G.Grad(G.Must(G.Sum(y)), mask)
	require.ErrorContains(t, err, "Non Differentiable")
}

// First and second gradients are checked for data of many lengths.
func TestMaskedGradients(t *testing.T) {
	for _, n := range []int{2, 7, 17, 65, 129} {
		for name, a := range affines {
			x := tensor.Shape{2, 4, n}
			lengths, holes := []float64{float64(n), float64(n / 2)}, make([]float64, 2*n)
			for i := range holes {
				holes[i] = float64(i % 3 & 1)
			}
			holes[0], holes[n], holes[n+1] = 1, 1, 1
			for kind, f := range map[string]func(x, gamma, beta, mask *G.Node) (*G.Node, error){
				"batch": func(x, gamma, beta, mask *G.Node) (*G.Node, error) {
					return ops.BatchNorm(x, gamma, beta, nil, ops.BatchNormConfig{Eps: 1e-2, Mask: mask})
				},
				"frozen": func(x, gamma, beta, mask *G.Node) (*G.Node, error) {
					return ops.BatchNorm(x, gamma, beta, statsOf(t, 4), ops.BatchNormConfig{Eps: 1e-2, Frozen: true, Mask: mask})
				},
				"group": func(x, gamma, beta, mask *G.Node) (*G.Node, error) {
					return ops.GroupNorm(x, gamma, beta, ops.GroupNormConfig{Groups: 2, Eps: 1e-2, Mask: mask})
				},
			} {
				for mask, build := range map[string]func(x *G.Node) *G.Node{
					"lengths": func(x *G.Node) *G.Node { return maskLeaf(x, lengths, tensor.Shape{2}) },
					"holes":   func(x *G.Node) *G.Node { return maskLeaf(x, holes, tensor.Shape{2, n}) },
				} {
					t.Run(fmt.Sprintf("%s/%s/%s/%d", kind, mask, name, n), func(t *testing.T) {
						in := append([]*tensor.Dense{wave(0.5, x...)}, affineValues(a.gamma, a.beta, 4)...)
						of := func(ns G.Nodes) (*G.Node, error) {
							gamma, beta := affineNodes(ns, a.gamma, a.beta)
							return f(ns[0], gamma, beta, build(ns[0]))
						}
						gradients(t, of, in, gradcheck.WithoutGradOf("mask"))
						if n < 20 || name == "both" {
							secondGradients(t, of, in, x, gradcheck.WithoutGradOf("mask"))
						}
					})
				}
			}
		}
	}
}

func badMasks() []badCall {
	type op = func(x, mask *G.Node) error
	batch := func(x, mask *G.Node) error {
		return bn(x, nil, nil, nil, cfgWith(func(c *ops.BatchNormConfig) { c.Mask = mask }))
	}
	last := func(x, mask *G.Node) error {
		return bn(x, nil, nil, nil, cfgWith(func(c *ops.BatchNormConfig) { c.Mask, c.ChannelAxis = mask, -1 }))
	}
	group := func(x, mask *G.Node) error {
		_, err := ops.GroupNorm(x, nil, nil, ops.GroupNormConfig{Groups: 3, Eps: 1e-5, Mask: mask})
		return err
	}
	instance := func(x, mask *G.Node) error {
		_, err := ops.InstanceNorm(x, nil, nil, nil, cfgWith(func(c *ops.InstanceNormConfig) { c.Mask = mask }))
		return err
	}
	with := func(f op, x []int, mask ...int) func(*bench) error {
		return func(b *bench) error { return f(b.f(x...), b.f(mask...)) }
	}
	image := []int{4, 3, 5, 8}
	return []badCall{
		{"batchnorm: mask of x's shape", ops.ErrShape, with(batch, image, image...)},
		{"batchnorm: mask of another length", ops.ErrShape, with(batch, image, 4, 5, 7)},
		{"batchnorm: lengths of another batch", ops.ErrShape, with(batch, image, 3)},
		{"batchnorm: mask of one row", ops.ErrShape, with(batch, image, 1, 5, 8)},
		{"batchnorm: mask of the channels", ops.ErrShape, with(batch, []int{4, 3}, 3)},
		{"batchnorm: mask of channels last", ops.ErrShape, with(last, []int{4, 8, 3}, 4, 3)},
		{"batchnorm: mask int", ops.ErrDtype, func(b *bench) error { return batch(b.f(4, 3, 8), b.of(tensor.Int, 4)) }},
		{"batchnorm: mask bool", ops.ErrDtype, func(b *bench) error { return batch(b.f(4, 3, 8), b.of(tensor.Bool, 4, 8)) }},
		{"batchnorm: mask float32, x float64", ops.ErrDtype, func(b *bench) error { return batch(b.f(4, 3, 8), b.of(tensor.Float32, 4)) }},
		{"batchnorm: mask scalar", ops.ErrShape, func(b *bench) error { return batch(b.f(4, 3, 8), b.scalar()) }},
		{"batchnorm: mask of another graph", ops.ErrGraph, func(b *bench) error { return batch(b.f(4, 3, 8), b.elsewhere(4)) }},
		{"groupnorm: mask of groups", ops.ErrShape, with(group, []int{4, 6, 8}, 4, 3)},
		{"groupnorm: mask float32, x float64", ops.ErrDtype, func(b *bench) error { return group(b.f(4, 6, 8), b.of(tensor.Float32, 4)) }},
		{"instancenorm: mask of one sample", ops.ErrShape, with(instance, []int{4, 6, 8}, 8)},
		{"instancenorm: mask of another graph", ops.ErrGraph, func(b *bench) error { return instance(b.f(4, 6, 8), b.elsewhere(4, 8)) }},
	}
}
