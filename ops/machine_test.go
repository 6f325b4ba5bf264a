package ops_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// runCompiled runs a program that is compiled for some of its outputs.
func (p *program) runCompiled(t *testing.T, outputs G.Nodes, opts ...G.VMOpt) {
	t.Helper()
	used := p.g.ExactSubgraphRoots(outputs...).AllNodes()
	var in G.Nodes
	for _, n := range append(slices.Clone(p.in), p.dy) {
		if slices.Contains(used, n) {
			in = append(in, n)
		}
	}
	prog, at, err := G.CompileFunction(p.g, in, outputs)
	require.NoError(t, err)
	vm := G.NewTapeMachine(p.g, append(opts, G.WithPrecompiled(prog, at))...)
	defer vm.Close()
	for range 2 { // the second run is after a Reset
		vm.Reset()
		require.NoError(t, vm.RunAll())
	}
}

// subsets calls f with every subset of nodes that is not empty.
func subsets(nodes G.Nodes, f func(G.Nodes)) {
	for mask := 1; mask < 1<<len(nodes); mask++ {
		var some G.Nodes
		for i, n := range nodes {
			if mask>>i&1 == 1 {
				some = append(some, n)
			}
		}
		f(some)
	}
}

func TestCompiledSubsetsGiveTheSameNumbers(t *testing.T) {
	eachOp(t, func(t *testing.T, c opCase) {
		stats := c.stats(t)
		p := newProgram(t, c.with(stats), c.names, c.values(tensor.Float64, 0.4), c.dy(t, tensor.Float64), true)
		p.run(t, c.opts...)
		want := map[*G.Node][]uint64{}
		outputs := append(G.Nodes{p.y}, p.grads...)
		for _, n := range outputs {
			want[n] = bits(n.Value())
		}
		subsets(outputs, func(some G.Nodes) {
			for _, n := range some {
				require.NoError(t, G.UnsafeLet(n, tensor.New(tensor.WithShape(n.Shape()...), tensor.Of(tensor.Float64))))
			}
			before := batchesOf(stats)
			p.runCompiled(t, some, c.opts...)
			for _, n := range some {
				require.Equal(t, want[n], bits(n.Value()), "%v of %v", n, some)
			}
			if c.moves() {
				require.Equal(t, before+2, batchesOf(stats), "%v moved the statistics other than once a run", some)
			} else {
				require.Equal(t, before, batchesOf(stats))
			}
		})
	})
}

func batchesOf(s *ops.RunningStats) int64 {
	if s == nil {
		return 0
	}
	_, _, n := s.Values()
	return n
}

// moved returns the running statistics after the batches, by the definition.
func moved(s []float64, momentum float64, batches ...*tensor.Dense) []float64 {
	s = slices.Clone(s)
	channels := (len(s) - 1) / 2
	for _, x := range batches {
		v, n := floats(x), x.Size()/channels
		for c := range channels {
			var mean, m2 float64
			for i := range n {
				mean += v[i*channels+c] / float64(n)
			}
			for i := range n {
				d := v[i*channels+c] - mean
				m2 += d * d
			}
			s[c] += momentum * (mean - s[c])
			s[channels+c] += momentum * (m2/float64(n-1) - s[channels+c])
		}
		s[2*channels]++
	}
	return s
}

// Of several machines on one graph, for training and for evaluation, the one built last
// sets the mode. Building a machine changes no statistics.
func TestLastMachineBuiltSetsTheMode(t *testing.T) {
	for name, build := range map[string]func(*G.ExprGraph, ...G.VMOpt) G.VM{
		"tape": func(g *G.ExprGraph, opts ...G.VMOpt) G.VM { return G.NewTapeMachine(g, opts...) },
		"lisp": func(g *G.ExprGraph, opts ...G.VMOpt) G.VM {
			return G.NewLispMachine(g, append(opts, G.ExecuteFwdOnly())...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := batchNormCase("", 3, ops.BatchNormConfig{Momentum: 0.1}, tensor.Shape{5, 3})
			s := c.stats(t)
			start := snapshot(s)
			p := newProgram(t, c.with(s), c.names, c.values(tensor.Float64, 0.4), c.dy(t, tensor.Float64), false)
			for i, evaluate := range []bool{false, true, true, false, true} {
				var opts []G.VMOpt
				if evaluate {
					opts = append(opts, G.EvalMode())
				}
				before := snapshot(s)
				first := build(p.g, opts...)
				defer first.Close()
				require.Equal(t, before, snapshot(s), "building machine %d moved the statistics", i)
				require.NoError(t, first.RunAll())
				require.Equal(t, evaluate, slices.Equal(before, snapshot(s)), "machine %d", i)
			}
			requireNear(t, moved(start, 0.1, p.in[0].Value().(*tensor.Dense), p.in[0].Value().(*tensor.Dense)),
				snapshot(s), 1e-14, "statistics")
		})
	}
}

// An older machine for training runs in the mode of the machine built after it.
func TestOlderMachineTakesTheModeOfTheLast(t *testing.T) {
	c := batchNormCase("", 3, ops.BatchNormConfig{Momentum: 0.1}, tensor.Shape{5, 3})
	s := c.stats(t)
	p := newProgram(t, c.with(s), c.names, c.values(tensor.Float64, 0.4), c.dy(t, tensor.Float64), true)
	older := G.NewTapeMachine(p.g)
	defer older.Close()
	newer := G.NewTapeMachine(p.g, G.EvalMode())
	defer newer.Close()
	before := snapshot(s)
	require.NoError(t, older.RunAll())
	require.Equal(t, before, snapshot(s))
	evaluated := bits(p.y.Value())
	require.NoError(t, newer.RunAll())
	require.Equal(t, evaluated, bits(p.y.Value()))
}

// There is a new machine for each training step, with the value that Let binds.
func TestMachinePerStep(t *testing.T) {
	for _, machine := range []string{"tape", "lisp", "one tape machine"} {
		t.Run(machine, func(t *testing.T) {
			c := batchNormCase("", 3, ops.BatchNormConfig{Momentum: 0.2}, tensor.Shape{5, 3})
			s := c.stats(t)
			start := snapshot(s)
			p := newProgram(t, c.with(s), c.names, c.values(tensor.Float64, 0.4), c.dy(t, tensor.Float64), machine != "lisp")
			vm := G.NewTapeMachine(p.g)
			defer vm.Close()
			var batches []*tensor.Dense
			for step := range 20 {
				x := wave(float64(step), 5, 3)
				batches = append(batches, x)
				require.NoError(t, G.Let(p.in[0], x))
				switch machine {
				case "tape":
					p.run(t)
				case "lisp":
					p.runLisp(t)
				default:
					vm.Reset()
					require.NoError(t, vm.RunAll())
				}
				want, err := graphtest.Tape(c.with(c.stats(t)), []*tensor.Dense{x, c.values(tensor.Float64, 0.4)[1], c.values(tensor.Float64, 0.4)[2]}, c.dy(t, tensor.Float64))
				require.NoError(t, err)
				require.Equal(t, bits(want.Y), bits(p.y.Value()), "step %d", step)
			}
			requireNear(t, moved(start, 0.2, batches...), snapshot(s), 1e-13, "statistics")
		})
	}
}

// After Let replaces values, also by other layouts, the results are those of the new
// values.
func TestLetReplacesValues(t *testing.T) {
	eachOp(t, func(t *testing.T, c opCase) {
		dy := c.dy(t, tensor.Float64)
		p := newProgram(t, c.with(c.stats(t)), c.names, c.values(tensor.Float64, 0.4), dy, true)
		vm := G.NewTapeMachine(p.g, c.opts...)
		defer vm.Close()
		for round, layout := range []string{"plain", "column-major", "clone of a column view", "plain"} {
			vs := c.values(tensor.Float64, float64(round))
			for i, v := range vs {
				place(t, v, func(name string, s *slot) {
					if name == layout {
						v = s.view
					}
				})
				require.NoError(t, G.Let(p.in[i], v))
			}
			vm.Reset()
			require.NoError(t, vm.RunAll())
			want, err := graphtest.Tape(c.with(c.stats(t)), vs, dy, c.opts...)
			require.NoError(t, err)
			requireSame(t, append([]*tensor.Dense{want.Y}, want.Grads...), p.values(), 0, fmt.Sprintf("round %d", round))
		}
	})
}

// A training batch of one value per channel fails in the machine and changes nothing. The
// graph and the machine can still be used.
func TestBatchOfOneFailsAndHarmsNothing(t *testing.T) {
	s := statsOf(t, 3)
	start := snapshot(s)
	good, bad := wave(0.4, 4, 3), wave(0.4, 1, 3)
	g := G.NewGraph()
	// Let refuses another batch size, so the node is made with it.
	x := G.NewMatrix(g, tensor.Float64, G.WithShape(4, 3), G.WithName("x"), G.WithValue(bad))
	y, err := ops.BatchNorm(x, nil, nil, s, ops.BatchNormConfig{Eps: 1e-3, Momentum: 0.1})
	require.NoError(t, err)
	_, err = G.Grad(G.Must(G.Sum(y)), x)
	require.NoError(t, err)

	vm := G.NewTapeMachine(g)
	defer vm.Close()
	err = vm.RunAll()
	require.True(t, ops.Is(err, ops.ErrBatch), "%v", err)
	require.ErrorContains(t, err, "norm: batchnorm: x is (1, 3), want more than one value per channel in training")
	require.Equal(t, start, snapshot(s))

	require.NoError(t, G.Let(x, good))
	vm.Reset()
	require.NoError(t, vm.RunAll())
	requireNear(t, moved(start, 0.1, good), snapshot(s), 1e-14, "statistics")
}

// In evaluation a batch of one is allowed, also on a graph that has failed to train.
func TestBatchOfOneEvaluates(t *testing.T) {
	c := batchNormCase("", 3, ops.BatchNormConfig{Momentum: 0.1}, tensor.Shape{1, 3})
	for name := range graphtest.Machines {
		t.Run(name, func(t *testing.T) {
			if name == "lisp" && raceDetector {
				t.Skip("Gorgonia's lisp machine has a race of its own when its run fails")
			}
			s := c.stats(t)
			before := snapshot(s)
			p := newProgram(t, c.with(s), c.names, c.values(tensor.Float64, 0.4), c.dy(t, tensor.Float64), name == "tape")
			build := func(opts ...G.VMOpt) G.VM { return G.NewLispMachine(p.g, opts...) }
			if name == "tape" {
				build = func(opts ...G.VMOpt) G.VM { return G.NewTapeMachine(p.g, opts...) }
			}
			train := build()
			defer train.Close()
			require.True(t, ops.Is(train.RunAll(), ops.ErrBatch))
			evaluate := build(G.EvalMode())
			defer evaluate.Close()
			require.NoError(t, evaluate.RunAll())
			require.Equal(t, before, snapshot(s))
			want, err := graphtest.Tape(c.with(s), c.values(tensor.Float64, 0.4), c.dy(t, tensor.Float64), G.EvalMode())
			require.NoError(t, err)
			require.Equal(t, bits(want.Y), bits(p.y.Value()))
		})
	}
}

// A node without a value is an error of the tape machine. (A lisp machine itself panics.)
func TestMissingValueIsAnError(t *testing.T) {
	eachOp(t, func(t *testing.T, c opCase) {
		for missing := range c.names {
			g := G.NewGraph()
			ns := leaves(g, c.names, c.values(tensor.Float64, 0.4))
			ns[missing] = G.NewTensor(g, tensor.Float64, len(c.shapes[missing]), G.WithShape(c.shapes[missing]...), G.WithName("missing"))
			_, err := c.build(ns, c.stats(t))
			require.NoError(t, err)
			vm := G.NewTapeMachine(g, c.opts...)
			require.ErrorContains(t, vm.RunAll(), "missing")
			vm.Close()
		}
	})
}
