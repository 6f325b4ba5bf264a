package diff_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gorgonorm/norm/diff"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// must is G.Must for any value.
func must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

// wave returns values of order one without a pattern.
func wave(shift float64, shape ...int) *tensor.Dense {
	v := make([]float64, tensor.Shape(shape).TotalSize())
	for i := range v {
		v[i] = math.Sin(1.7*float64(i)+shift) + 0.2
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(v))
}

// model is a graph with a cost of x and W.
type model struct {
	g          *G.ExprGraph
	x, w, cost *G.Node
}

func sum(n *G.Node) *G.Node { return must(G.Sum(n)) }

func cubeOf(n *G.Node) *G.Node { return must(G.HadamardProd(n, must(G.Square(n)))) }

// costs are built-in expressions.
var costs = map[string]func(x, w *G.Node) *G.Node{
	"sum x³": func(x, w *G.Node) *G.Node {
		return must(G.Add(sum(cubeOf(x)), sum(cubeOf(w))))
	},
	"sum (x·w)³":    func(x, w *G.Node) *G.Node { return sum(cubeOf(must(G.Mul(x, w)))) },
	"sum tanh(xW)²": func(x, w *G.Node) *G.Node { return sum(must(G.Square(must(G.Tanh(must(G.Mul(x, w))))))) },
}

func build(cost func(x, w *G.Node) *G.Node, x, w *tensor.Dense) model {
	g := G.NewGraph()
	leaf := func(name string, v *tensor.Dense) *G.Node {
		return graphtest.Leaf(g, name, v.Clone().(*tensor.Dense))
	}
	m := model{g: g, x: leaf("x", x), w: leaf("W", w)}
	m.cost = cost(m.x, m.w)
	return m
}

// penalties are functions of a cost and its gradient by x.
var penalties = map[string]func(cost, dx *G.Node) *G.Node{
	"sum(dx)":         func(_, dx *G.Node) *G.Node { return sum(dx) },
	"sum(dx²)":        func(_, dx *G.Node) *G.Node { return sum(must(G.Square(dx))) },
	"cost + sum(dx²)": func(c, dx *G.Node) *G.Node { return must(G.Add(c, sum(must(G.Square(dx))))) },
}

// run returns the elements of the nodes' values.
func run(t testing.TB, g *G.ExprGraph, nodes ...*G.Node) [][]float64 {
	t.Helper()
	return runIn(t, g, nil, nodes...)
}

// runIn is run in a machine with options.
func runIn(t testing.TB, g *G.ExprGraph, opts []G.VMOpt, nodes ...*G.Node) (all [][]float64) {
	t.Helper()
	values := make([]G.Value, len(nodes))
	for i, n := range nodes {
		G.Read(n, &values[i])
	}
	vm := G.NewTapeMachine(g, opts...)
	defer vm.Close()
	require.NoError(t, vm.RunAll())
	for _, v := range values {
		switch d := v.Data().(type) {
		case float64:
			all = append(all, []float64{d})
		case []float64:
			all = append(all, slices.Clone(d))
		case []float32:
			all = append(all, graphtest.Floats(v.(*tensor.Dense)))
		}
	}
	return all
}

// differences returns the central differences of f with respect to the elements of v.
func differences(v *tensor.Dense, f func() float64) []float64 {
	const h = 1.0 / (1 << 10)
	data := v.Data().([]float64)
	d := make([]float64, len(data))
	for i, x := range data {
		at := func(k float64) float64 {
			data[i] = x + k*h
			defer func() { data[i] = x }()
			return f()
		}
		d[i] = (8*(at(1)-at(-1)) - (at(2) - at(-2))) / (12 * h)
	}
	return d
}

// takers are the ways to take the gradient of a gradient: what takes the first, and what
// takes the second.
var takers = map[string][2]func(*G.Node, ...*G.Node) (G.Nodes, error){
	"diff, diff":     {diff.Grad, diff.Grad},
	"diff, gorgonia": {diff.Grad, G.Grad},
	"gorgonia, diff": {G.Grad, diff.Grad},
}

// The gradient of a gradient is right for every combination of gorgonia.Grad and Grad,
// for all costs and penalties, with respect to the input and the weight.
func TestGradientOfGradient(t *testing.T) {
	for costName, cost := range costs {
		for penaltyName, penalty := range penalties {
			x, w := wave(0.3, 4, 3), wave(1.1, 3, 2)
			value := func() float64 { // of a graph of its own, with gorgonia.Grad once
				m := build(cost, x, w)
				dx := must(G.Grad(m.cost, m.x))[0]
				return run(t, m.g, penalty(m.cost, dx))[0][0]
			}
			wantX, wantW := differences(x, value), differences(w, value)
			for takerName, take := range takers {
				t.Run(fmt.Sprintf("%s/%s/%s", costName, penaltyName, takerName), func(t *testing.T) {
					m := build(cost, x, w)
					dx := must(take[0](m.cost, m.x))[0]
					p := penalty(m.cost, dx)
					wrt := G.Nodes{m.x}
					byW := costName != "sum x³" || penaltyName == "cost + sum(dx²)"
					if byW {
						wrt = append(wrt, m.w)
					}
					second, err := take[1](p, wrt...)
					require.NoError(t, err)
					got := run(t, m.g, second...)
					require.InDeltaSlice(t, wantX, got[0], 1e-6)
					if byW {
						require.InDeltaSlice(t, wantW, got[1], 1e-6)
					}
				})
			}
		}
	}
}

// Three derivatives of Σx⁴ give 24x.
func TestThirdOrder(t *testing.T) {
	m := build(func(x, _ *G.Node) *G.Node { return sum(must(G.Square(must(G.Square(x))))) }, wave(0, 5), wave(0, 1))
	n := m.cost
	for range 3 {
		n = sum(must(diff.Grad(n, m.x))[0])
	}
	got := run(t, m.g, must(diff.Grad(n, m.x))[0])[0]
	for _, v := range got {
		require.InDelta(t, 24, v, 1e-12)
	}
}

// Two costs share a trunk. Each gradient is that of its own cost, whichever is taken
// first.
func TestTwoCostsOnOneTrunk(t *testing.T) {
	x, w := wave(0.3, 4, 3), wave(1.1, 3, 2)
	heads := []func(h *G.Node) *G.Node{
		func(h *G.Node) *G.Node { return sum(must(G.Square(h))) },
		func(h *G.Node) *G.Node { return sum(cubeOf(h)) },
	}
	trunk := func(x, w *G.Node) *G.Node { return must(G.Tanh(must(G.Mul(x, w)))) }
	var want [][]float64
	for _, head := range heads {
		m := build(func(x, w *G.Node) *G.Node { return head(trunk(x, w)) }, x, w)
		want = append(want, run(t, m.g, must(G.Grad(m.cost, m.w))[0])[0])
	}
	for name, take := range takers {
		for _, order := range [][]int{{0, 1}, {1, 0}} {
			t.Run(fmt.Sprint(name, order), func(t *testing.T) {
				m := build(trunk, x, w)
				c := []*G.Node{heads[0](m.cost), heads[1](m.cost)}
				grads := make([]*G.Node, 2)
				for i, k := range order {
					grads[k] = must(take[i](c[k], m.w))[0]
				}
				got := run(t, m.g, grads...)
				require.InDeltaSlice(t, want[0], got[0], 1e-12)
				require.InDeltaSlice(t, want[1], got[1], 1e-12)
			})
		}
	}
}

// Inner nodes have gradients too. That of the cost itself is 1.
func TestGradOfInnerNodes(t *testing.T) {
	m := build(costs["sum tanh(xW)²"], wave(0.3, 4, 3), wave(1.1, 3, 2))
	h := must(G.Mul(m.x, m.w)) // the same node again
	grads, err := diff.Grad(m.cost, h, m.cost, h)
	require.NoError(t, err)
	require.Same(t, grads[0], grads[2])
	got := run(t, m.g, append(grads, h)...)
	require.Equal(t, []float64{1}, got[1])
	for i, v := range got[3] {
		th := math.Tanh(v)
		require.InDelta(t, 2*th*(1-th*th), got[0][i], 1e-12)
	}
}

// No gradient passes through a flat op, even if both its input and its result are asked
// for.
func TestGradOfFlatOp(t *testing.T) {
	x := wave(0.3, 5)
	m := build(func(x, w *G.Node) *G.Node { return sum(must(G.HadamardProd(x, must(G.Sign(x))))) }, x, wave(1.1, 1))
	sign := must(G.Sign(m.x)) // the same node again
	got := run(t, m.g, append(must(diff.Grad(m.cost, sign, m.x)), sign)...)
	require.Equal(t, x.Data(), got[0])
	require.Equal(t, got[2], got[1])
}

// A second call adds nothing to the graph, and returns the same nodes.
func TestGradAgainIsTheSame(t *testing.T) {
	m := build(costs["sum (x·w)³"], wave(0.3, 4, 3), wave(1.1, 3, 2))
	one := must(diff.Grad(m.cost, m.x, m.w))
	before := len(m.g.AllNodes())
	require.Equal(t, one, must(diff.Grad(m.cost, m.x, m.w)))
	require.Len(t, m.g.AllNodes(), before)
	require.Nil(t, m.w.Deriv())
}

// Both dtypes in one graph.
func TestDtypes(t *testing.T) {
	g := G.NewGraph()
	var costs, leaves G.Nodes
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		x := G.NewVector(g, dt, G.WithShape(3), G.WithName("x"), G.WithInit(G.RangedFrom(1)))
		// The gradient of a square has a constant 2, for which Gorgonia has one node for
		// both dtypes.
		leaves, costs = append(leaves, x), append(costs, sum(must(G.HadamardProd(x, x))))
	}
	values := make([]G.Value, 2)
	for i, c := range costs {
		G.Read(must(diff.Grad(c, leaves[i]))[0], &values[i])
	}
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	require.NoError(t, vm.RunAll())
	require.Equal(t, []float32{2, 4, 6}, values[0].Data())
	require.Equal(t, []float64{2, 4, 6}, values[1].Data())
}

// With Bind a solver steps down a cost with a penalty, with dual values and without.
func TestBindServesSolvers(t *testing.T) {
	for _, dual := range []bool{true, false} {
		m := build(costs["sum tanh(xW)²"], wave(0.3, 4, 3), wave(1.1, 3, 2))
		dx := must(diff.Grad(m.cost, m.x))[0]
		cost := penalties["cost + sum(dx²)"](m.cost, dx)
		grads := must(diff.Grad(cost, m.w))
		require.NoError(t, diff.Bind(G.Nodes{m.w}, grads))
		var value, grad G.Value
		G.Read(cost, &value)
		G.Read(grads[0], &grad)
		var opts []G.VMOpt
		if dual {
			opts = append(opts, G.BindDualValues(m.w))
		}
		vm := G.NewTapeMachine(m.g, opts...)
		defer vm.Close()
		solver := G.NewVanillaSolver(G.WithLearnRate(0.01))
		var seen []float64
		for range 30 {
			before := slices.Clone(m.w.Value().Data().([]float64))
			require.NoError(t, vm.RunAll())
			seen = append(seen, value.Data().(float64))
			require.NoError(t, solver.Step(G.NodesToValueGrads(G.Nodes{m.w})))
			for i, w := range m.w.Value().Data().([]float64) {
				require.InDelta(t, before[i]-0.01*grad.Data().([]float64)[i], w, 1e-12)
			}
			vm.Reset()
		}
		require.Less(t, seen[29], 0.9*seen[0])
	}
}

// Gorgonia has several shapes for one element. A gradient of one element may have any of
// them, but does not fit a node with more elements.
func TestBindOfOneElement(t *testing.T) {
	g := G.NewGraph()
	node := func(shape ...int) *G.Node {
		return G.NewTensor(g, tensor.Float64, len(shape), G.WithShape(shape...), G.WithName(fmt.Sprint(len(g.AllNodes()))))
	}
	for _, shape := range [][]int{{}, {1}, {1, 1}} {
		for _, other := range [][]int{{}, {1}, {1, 1}} {
			require.NoError(t, diff.Bind(G.Nodes{node(shape...)}, G.Nodes{node(other...)}))
		}
		require.ErrorIs(t, diff.Bind(G.Nodes{node(shape...)}, G.Nodes{node(3)}), diff.ErrShape)
		require.ErrorIs(t, diff.Bind(G.Nodes{node(3)}, G.Nodes{node(shape...)}), diff.ErrShape)
	}
}
