package ops_test

import (
	"slices"
	"testing"

	"github.com/gorgonorm/norm/diff"
	"github.com/gorgonorm/norm/internal/golden"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// secondOrder builds the op of a case from its nodes by name.
var secondOrder = map[string]func(c *golden.Case, n map[string]*G.Node) (*G.Node, error){
	"LayerNorm": func(c *golden.Case, n map[string]*G.Node) (*G.Node, error) {
		return ops.LayerNorm(n["x"], n["gamma"], n["beta"], c.Ints("normalized_shape"), ops.LayerNormConfig{Eps: eps(c)})
	},
	"LayerNormStd": func(c *golden.Case, n map[string]*G.Node) (*G.Node, error) {
		s := n["x"].Shape()
		return ops.LayerNorm(n["x"], n["gamma"], n["beta"], s[len(s)-1:], ops.LayerNormConfig{Eps: eps(c), UnbiasedStd: true})
	},
	"RMSNorm": func(c *golden.Case, n map[string]*G.Node) (*G.Node, error) {
		return ops.RMSNorm(n["x"], n["gamma"], n["beta"], c.Ints("normalized_shape"), ops.RMSNormConfig{Eps: eps(c)})
	},
	"BatchNorm": func(c *golden.Case, n map[string]*G.Node) (*G.Node, error) {
		cfg := ops.BatchNormConfig{Eps: eps(c)}
		if c.Bool("training") {
			return ops.BatchNorm(n["x"], n["gamma"], n["beta"], nil, cfg)
		}
		s, err := ops.NewRunningStats(n["x"].Shape()[1])
		if err != nil {
			return nil, err
		}
		if err := s.Set(c.Inputs["running_mean"].F64, c.Inputs["running_var"].F64, 1); err != nil {
			return nil, err
		}
		cfg.Frozen = true
		return ops.BatchNorm(n["x"], n["gamma"], n["beta"], s, cfg)
	},
	"GroupNorm": func(c *golden.Case, n map[string]*G.Node) (*G.Node, error) {
		groups, _ := c.Int("num_groups")
		return ops.GroupNorm(n["x"], n["gamma"], n["beta"], ops.GroupNormConfig{Groups: groups, Eps: eps(c)})
	},
	"WeightNorm": func(c *golden.Case, n map[string]*G.Node) (*G.Node, error) {
		return ops.WeightNorm(n["v"], n["g"], ops.WeightNormConfig{Axis: axis(c)})
	},
	"WeightNormLinear": func(c *golden.Case, n map[string]*G.Node) (*G.Node, error) {
		return ops.WeightNormLinear(n["x"], n["v"], n["g"], n["b"], ops.WeightNormConfig{Axis: axis(c)})
	},
}

func eps(c *golden.Case) float64 {
	e, _ := c.Float("eps")
	return e
}

// The cases that have inputs u_… have outputs ds_d…. They are tested in their dtype and
// in float32, with the tolerance of float32.
func TestSecondOrderMatchesGolden(t *testing.T) {
	found := 0
	for op, build := range secondOrder {
		cases, err := golden.Cases(op)
		require.NoError(t, err)
		for _, c := range cases {
			if _, ok := c.Inputs["u_x"]; !ok && c.Inputs["u_v"].Shape == nil {
				continue
			}
			found++
			t.Run(c.Name, func(t *testing.T) {
				require.NotEmpty(t, checkSecond(t, c, build, dtype(c), func(output string, got []float64) {
					require.NoError(t, c.Check(output, got, golden.Strict))
				}))
			})
			t.Run(c.Name+"/float32", func(t *testing.T) {
				checkSecond(t, c, build, tensor.Float32, func(output string, got []float64) {
					want := c.Want(output)
					size := 1e-3
					for _, w := range want {
						size = max(size, w, -w)
					}
					for i, w := range want {
						require.InDelta(t, w, got[i], 2e-5*size, "%s[%d]", output, i)
					}
				})
			})
		}
	}
	require.GreaterOrEqual(t, found, 8)
}

// checkSecond runs Σ_p ⟨d p, u_p⟩ and calls check with its gradients. It returns the
// names of the outputs.
func checkSecond(t *testing.T, c *golden.Case, build func(*golden.Case, map[string]*G.Node) (*G.Node, error), dt tensor.Dtype, check func(string, []float64)) (outputs []string) {
	g := G.NewGraph()
	n := map[string]*G.Node{}
	for name := range c.Inputs {
		n[name] = graphtest.Leaf(g, name, graphtest.Dense(dt, graphtest.Floats(in(c, name)), in(c, name).Shape()...))
	}
	y, err := build(c, n)
	require.NoError(t, err)
	up := "dy"
	if n[up] == nil {
		up = "dw"
	}
	cost := G.Must(G.Sum(G.Must(G.HadamardProd(y, n[up]))))
	var s *G.Node
	for _, p := range []string{"x", "gamma", "beta", "v", "g", "b"} {
		u := n["u_"+p]
		if u == nil {
			continue
		}
		d, err := diff.Grad(cost, n[p])
		require.NoError(t, err)
		term := G.Must(G.Sum(G.Must(G.HadamardProd(d[0], u))))
		if s == nil {
			s = term
		} else {
			s = G.Must(G.Add(s, term))
		}
	}
	var wrt G.Nodes
	for _, p := range []string{"x", "gamma", "v", "g", up} {
		if slices.Contains(c.OutputNames, "ds_d"+p) {
			wrt, outputs = append(wrt, n[p]), append(outputs, "ds_d"+p)
		}
	}
	grads, err := diff.Grad(s, wrt...)
	require.NoError(t, err)
	values := make([]G.Value, len(grads))
	for i, d := range grads {
		G.Read(d, &values[i])
	}
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	require.NoError(t, vm.RunAll())
	for i, name := range outputs {
		check(name, floats(values[i]))
	}
	return outputs
}
