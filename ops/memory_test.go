package ops_test

import (
	"testing"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// reusing are ops with Reuse or without.
func reusing(reuse bool) map[string]func(n G.Nodes, s *ops.RunningStats) (*G.Node, error) {
	return map[string]func(n G.Nodes, s *ops.RunningStats) (*G.Node, error){
		"layernorm": func(n G.Nodes, _ *ops.RunningStats) (*G.Node, error) {
			return ops.LayerNorm(n[0], n[2], n[3], tensor.Shape{6}, ops.LayerNormConfig{Eps: 1e-5, Reuse: reuse})
		},
		"rmsnorm": func(n G.Nodes, _ *ops.RunningStats) (*G.Node, error) {
			return ops.RMSNorm(n[0], n[2], n[3], tensor.Shape{6}, ops.RMSNormConfig{Eps: 1e-5, Reuse: reuse})
		},
		"groupnorm": func(n G.Nodes, _ *ops.RunningStats) (*G.Node, error) {
			return ops.GroupNorm(n[0], n[2], n[3], ops.GroupNormConfig{Groups: 2, Eps: 1e-5, Reuse: reuse})
		},
		"batchnorm": func(n G.Nodes, s *ops.RunningStats) (*G.Node, error) {
			return ops.BatchNorm(n[0], n[2], n[3], s, ops.BatchNormConfig{Eps: 1e-5, Momentum: 0.1, Reuse: reuse})
		},
		"weightnorm": func(n G.Nodes, _ *ops.RunningStats) (*G.Node, error) {
			w, err := ops.WeightNorm(n[1], n[2], ops.WeightNormConfig{Reuse: reuse})
			if err != nil {
				return nil, err
			}
			return G.Mul(n[0], w)
		},
		"weightnormlinear": func(n G.Nodes, _ *ops.RunningStats) (*G.Node, error) {
			return ops.WeightNormLinear(n[0], n[1], n[2], n[3], ops.WeightNormConfig{Reuse: reuse})
		},
	}
}

// trace trains for some steps, with the op applied twice and its input used twice, and
// returns the results of every step.
func trace(t *testing.T, build func(n G.Nodes, s *ops.RunningStats) (*G.Node, error)) (all [][]float64) {
	g := G.NewGraph()
	node := func(name string, shape ...int) *G.Node { return graphtest.Leaf(g, name, wave(0.4, shape...)) }
	n := G.Nodes{node("x", 5, 6), node("v", 6, 6), node("g", 6), node("b", 6)}
	stats := statsOf(t, 6)
	h := G.Must(build(n, stats))
	again := append(G.Nodes{G.Must(G.Tanh(h))}, n[1:]...)
	y := G.Must(G.Add(G.Must(build(again, stats)), h))
	cost := G.Must(G.Sum(G.Must(G.Cube(y))))
	var yv, cv G.Value
	G.Read(y, &yv)
	G.Read(cost, &cv)
	grads := must(G.Grad(cost, n[0], n[2]))
	values := make([]G.Value, len(grads))
	for i := range grads {
		G.Read(grads[i], &values[i])
	}
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	for step := range 3 {
		require.NoError(t, G.Let(n[0], wave(float64(step), 5, 6)))
		require.NoError(t, vm.RunAll())
		for _, v := range append([]G.Value{yv}, values...) {
			all = append(all, append([]float64(nil), v.Data().([]float64)...))
		}
		vm.Reset()
	}
	return all
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// If its conditions hold, Reuse does not change the results.
func TestReuseGivesTheSameNumbers(t *testing.T) {
	fresh := reusing(false)
	for name, build := range reusing(true) {
		require.Equal(t, trace(t, fresh[name]), trace(t, build), name)
	}
}

// With Reuse a run writes into the memory of the run before, for the op of a case, the
// ops of its gradients, and their parts. By default it does not.
func TestReuseKeepsMemory(t *testing.T) {
	for _, reuse := range []bool{false, true} {
		for _, c := range opCasesOf(reuse) {
			for _, k := range c.calls(t, tensor.Float64) {
				first := must(k.op.Do(k.in...)).(*tensor.Dense)
				second := must(k.op.Do(k.in...)).(*tensor.Dense)
				if dense.Overlap(first, k.in[len(k.in)-1].(*tensor.Dense)) {
					require.True(t, isPiece(k.op.String()))
					continue
				}
				require.Equal(t, reuse, dense.Overlap(first, second), "%s: %v", c.name, k.op)
			}
		}
	}
}
