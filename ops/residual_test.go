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

// residuals are the ways to use the two results of a residual norm.
var residuals = map[string]func(y, sum *G.Node) (*G.Node, error){
	"y":    func(y, _ *G.Node) (*G.Node, error) { return y, nil },
	"sum":  func(_, sum *G.Node) (*G.Node, error) { return G.Mul(G.NewConstant(2.0), sum) },
	"both": func(y, sum *G.Node) (*G.Node, error) { return G.HadamardProd(y, sum) },
}

func TestResidualGradients(t *testing.T) {
	for use, result := range residuals {
		for name, a := range affines {
			t.Run(use+"/"+name, func(t *testing.T) {
				if use == "sum" && (a.gamma || a.beta) {
					return // they have no gradient
				}
				in := append([]*tensor.Dense{wave(0.5, 2, 3, 5)}, affineValues(a.gamma, a.beta, 5)...)
				in = append(in, wave(0.9, 2, 3, 5))
				for _, rms := range []bool{false, true} {
					gradients(t, func(ns G.Nodes) (*G.Node, error) {
						x, r := ns[0], ns[len(ns)-1]
						gamma, beta := affineNodes(ns[:len(ns)-1], a.gamma, a.beta)
						y, sum, err := ops.AddLayerNorm(x, r, gamma, beta, tensor.Shape{5}, ops.LayerNormConfig{Eps: 1e-2})
						if rms {
							y, sum, err = ops.AddRMSNorm(x, r, gamma, beta, tensor.Shape{5}, ops.RMSNormConfig{Eps: 1e-2})
						}
						if err != nil {
							return nil, err
						}
						return result(y, sum)
					}, in)
				}
			})
		}
	}
}

func TestResidualIsNormOfSum(t *testing.T) {
	six := tensor.Shape{6}
	layer, rms := ops.LayerNormConfig{Eps: 1e-5}, ops.RMSNormConfig{Eps: 1e-5}
	for name, a := range affines {
		g := G.NewGraph()
		x, r := graphtest.Leaf(g, "x", wave(0.5, 4, 6)), graphtest.Leaf(g, "r", wave(0.9, 4, 6))
		wantSum := G.Must(G.Add(x, r))
		in := G.Nodes{x}
		for i, v := range affineValues(a.gamma, a.beta, 6) {
			in = append(in, graphtest.Leaf(g, fmt.Sprint("p", i), v))
		}
		gamma, beta := affineNodes(in, a.gamma, a.beta)
		y, sum, err := ops.AddLayerNorm(x, r, gamma, beta, six, layer)
		require.NoError(t, err)
		rmsY, rmsSum, err := ops.AddRMSNorm(x, r, gamma, beta, six, rms)
		require.NoError(t, err)
		want := G.Must(ops.LayerNorm(wantSum, gamma, beta, six, layer))
		rmsWant := G.Must(ops.RMSNorm(wantSum, gamma, beta, six, rms))
		m := G.NewTapeMachine(g)
		defer m.Close()
		require.NoError(t, m.RunAll())
		require.Equal(t, want.Value().Data(), y.Value().Data(), name)
		require.Equal(t, rmsWant.Value().Data(), rmsY.Value().Data(), name)
		require.Equal(t, wantSum.Value().Data(), sum.Value().Data(), name)
		require.Equal(t, wantSum.Value().Data(), rmsSum.Value().Data(), name)
	}
}

// The terms of a residual sum have the same gradient. Each parameter has its own node for
// it, since a solver clears the gradient of one before it uses the other's.
func TestResidualOfParameters(t *testing.T) {
	add := func(x, r *G.Node) (y, sum *G.Node) {
		y, sum, err := ops.AddLayerNorm(x, r, nil, nil, tensor.Shape{3}, ops.LayerNormConfig{Eps: modelEps})
		require.NoError(t, err)
		return y, sum
	}
	for _, c := range []struct {
		name  string
		used  int // parameters
		build func(x *G.Node, p G.Nodes) (y, sum *G.Node)
	}{
		{"both terms", 2, func(_ *G.Node, p G.Nodes) (y, sum *G.Node) { return add(p[0], p[1]) }},
		{"one, after a sum of Gorgonia", 2, func(x *G.Node, p G.Nodes) (y, sum *G.Node) {
			return add(G.Must(G.Add(x, p[0])), p[1])
		}},
		{"one, after another", 2, func(x *G.Node, p G.Nodes) (y, sum *G.Node) {
			_, sum = add(x, p[0])
			return add(sum, p[1])
		}},
		{"one, after both terms", 3, func(_ *G.Node, p G.Nodes) (y, sum *G.Node) {
			_, sum = add(p[0], p[1])
			return add(sum, p[2])
		}},
		{"sums of two", 4, func(_ *G.Node, p G.Nodes) (y, sum *G.Node) {
			_, first := add(p[0], p[1])
			_, second := add(p[2], p[3])
			return add(first, second)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := G.NewGraph()
			var params G.Nodes
			for i, name := range []string{"a", "b", "c", "d"} {
				params = append(params, graphtest.Leaf(g, name, wave(float64(i), 2, 3)))
			}
			y, sum := c.build(G.Must(G.Tanh(graphtest.Leaf(g, "x", wave(0.5, 2, 3)))), params)
			params = params[:c.used]
			cost := G.Must(G.Sum(G.Must(G.HadamardProd(y, sum))))
			_, err := G.Grad(cost, params...)
			require.NoError(t, err)
			m := G.NewTapeMachine(g)
			defer m.Close()
			require.NoError(t, m.RunAll())
			moved := make([][]float64, len(params))
			for i, p := range params {
				for _, v := range floats(p.Value()) {
					moved[i] = append(moved[i], -v)
				}
			}
			require.NoError(t, solvers["vanilla"]().Step(G.NodesToValueGrads(params)))
			for i, p := range params {
				for k, v := range floats(p.Value()) {
					moved[i][k] += v
					require.NotZero(t, moved[i][k], "parameter %d", i)
				}
				require.InDeltaSlice(t, moved[0], moved[i], 1e-14, "parameter %d", i)
			}
		})
	}
}

func badResiduals() []badCall {
	add := func(x, r *G.Node) error {
		_, _, err := ops.AddLayerNorm(x, r, nil, nil, shape(6), ops.LayerNormConfig{Eps: 1e-5})
		return err
	}
	return []badCall{
		{"addlayernorm: r nil", ops.ErrGraph, func(b *bench) error { return add(b.f(4, 6), nil) }},
		{"addlayernorm: r of another shape", ops.ErrShape, func(b *bench) error { return add(b.f(4, 6), b.f(6, 4)) }},
		{"addlayernorm: r of another graph", ops.ErrGraph, func(b *bench) error { return add(b.f(4, 6), b.elsewhere(4, 6)) }},
		{"addrmsnorm: scale plus one without gamma", ops.ErrOption, func(b *bench) error {
			_, _, err := ops.AddRMSNorm(b.f(4, 6), b.f(4, 6), nil, nil, shape(6), ops.RMSNormConfig{Eps: 1e-5, ScalePlusOne: true})
			return err
		}},
		{"addlayernorm: r float32", ops.ErrDtype, func(b *bench) error { return add(b.f(4, 6), b.of(tensor.Float32, 4, 6)) }},
	}
}

// The gradient that the caller gives is not changed.
func TestResidualLeavesTheGivenGradient(t *testing.T) {
	g := G.NewGraph()
	var in G.Nodes
	for i, name := range []string{"x", "r", "dsum"} {
		in = append(in, graphtest.Leaf(g, name, wave(float64(i), 2, 3)))
	}
	_, sum, err := ops.AddRMSNorm(in[0], in[1], nil, nil, tensor.Shape{3}, ops.RMSNormConfig{Eps: modelEps})
	require.NoError(t, err)
	_, err = G.Backpropagate(G.Nodes{sum}, in[2:], in[:2])
	require.NoError(t, err)
	m := G.NewTapeMachine(g, G.BindDualValues(in[:2]...))
	defer m.Close()
	want := slices.Clone(floats(in[2].Value()))
	for range 2 {
		require.NoError(t, m.RunAll())
		m.Reset()
	}
	for _, n := range in[:2] { // two runs without a step of a solver add up
		for i, v := range floats(must(n.Grad())) {
			require.InDelta(t, 2*want[i], v, 1e-14)
		}
	}
	require.NoError(t, solvers["vanilla"]().Step(G.NodesToValueGrads(in[:2])))
	require.Equal(t, want, floats(in[2].Value()))
}

// A constant belongs to no graph until an op takes it, as with Gorgonia's own ops.
func TestConstantsAreInputs(t *testing.T) {
	run := func(of func(*G.ExprGraph, *tensor.Dense) *G.Node) []float64 {
		g := G.NewGraph()
		x := graphtest.Leaf(g, "x", wave(0.5, 4, 2, 3))
		y, sum, err := ops.AddLayerNorm(x, of(g, wave(0.9, 4, 2, 3)), of(g, wave(0.2, 3)), nil, tensor.Shape{3}, ops.LayerNormConfig{Eps: modelEps})
		require.NoError(t, err)
		lengths := tensor.New(tensor.WithShape(4), tensor.WithBacking([]float64{1, 3, 2, 3}))
		z, err := ops.GroupNorm(G.Must(G.Add(y, sum)), nil, nil, ops.GroupNormConfig{Groups: 2, Eps: modelEps, Mask: of(g, lengths)})
		require.NoError(t, err)
		dx, err := G.Grad(G.Must(G.Sum(G.Must(G.Cube(z)))), x)
		require.NoError(t, err)
		m := G.NewTapeMachine(g)
		defer m.Close()
		require.NoError(t, m.RunAll())
		return slices.Concat(floats(z.Value()), floats(dx[0].Value()))
	}
	inputs := 0
	require.Equal(t, run(func(g *G.ExprGraph, v *tensor.Dense) *G.Node {
		inputs++
		return graphtest.Leaf(g, string(rune('a'+inputs)), v)
	}), run(func(_ *G.ExprGraph, v *tensor.Dense) *G.Node { return G.NewConstant(v) }))
}
