package ops_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gorgonorm/norm/diff"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A third derivative of any op is an error, and everything that was there before still
// runs.
func TestThirdOrderIsAnError(t *testing.T) {
	eachOp(t, func(t *testing.T, c opCase) {
		dy := c.dy(t, tensor.Float64)
		// The square makes every gradient depend on every input.
		squared := func() graphtest.Func {
			s := c.stats(t)
			return func(n G.Nodes) (*G.Node, error) { return G.Square(G.Must(c.build(n, s))) }
		}
		want, err := graphtest.Tape(squared(), c.values(tensor.Float64, 0.4), dy, c.opts...)
		require.NoError(t, err)
		sumOfSquares := func(n *G.Node) *G.Node { return G.Must(G.Sum(G.Must(G.Square(n)))) }
		p := newProgram(t, squared(), c.names, c.values(tensor.Float64, 0.4), dy, false)
		p.grads, err = diff.Grad(p.cost, p.in...)
		require.NoError(t, err)
		for i, of := range c.names {
			second, err := diff.Grad(sumOfSquares(p.grads[i]), p.in...)
			require.NoError(t, err)
			for k, wrt := range c.names {
				_, err := diff.Grad(sumOfSquares(second[k]), p.in...)
				require.ErrorIs(t, err, ops.ErrOrder, "d³/d%s d%s", of, wrt)
				require.NotErrorIs(t, err, ops.ErrShape)
				require.ErrorContains(t, err, "third derivative")
				if i == 0 && k == 0 { // only once
					_, err = G.Grad(sumOfSquares(second[k]), p.in[k])
					require.True(t, ops.Is(err, ops.ErrOrder), "d³/d%s d%s: %v", of, wrt, err)
				}
			}
		}
		read := make([]G.Value, len(p.grads)) // an op that takes a gradient may write over it
		for i, d := range p.grads {
			G.Read(d, &read[i])
		}
		p.run(t, c.opts...)
		for i, v := range read {
			require.Equal(t, bits(want.Grads[i]), bits(v), "d%s, after the errors", c.names[i])
		}
	})
}

// These forms of ops on one input differ in what their names say.
func TestOpsThatDifferAreDifferentNodes(t *testing.T) {
	g := G.NewGraph()
	x := graphtest.Leaf(g, "x", wave(0, 4, 6, 6))
	same := graphtest.Leaf(g, "p", wave(1, 6))
	weight := graphtest.Leaf(g, "v", wave(1, 6, 6))
	one, another := statsOf(t, 6), statsOf(t, 6)
	layer := func(gamma, beta *G.Node, shape tensor.Shape, eps float64, unbiased bool) *G.Node {
		return G.Must(ops.LayerNorm(x, gamma, beta, shape, ops.LayerNormConfig{Eps: eps, UnbiasedStd: unbiased}))
	}
	batch := func(gamma, beta *G.Node, s *ops.RunningStats, cfg ops.BatchNormConfig) *G.Node {
		return G.Must(ops.BatchNorm(x, gamma, beta, s, cfg))
	}
	build := func() map[string]*G.Node {
		return map[string]*G.Node{
			"layer":                     layer(nil, nil, tensor.Shape{6}, 1e-5, false),
			"layer, other eps":          layer(nil, nil, tensor.Shape{6}, 1.0000001e-5, false),
			"layer, next eps":           layer(nil, nil, tensor.Shape{6}, math.Nextafter(1e-5, 1), false),
			"layer, unbiased":           layer(nil, nil, tensor.Shape{6}, 1e-5, true),
			"layer, two axes":           layer(nil, nil, tensor.Shape{6, 6}, 1e-5, false),
			"layer, gamma":              layer(same, nil, tensor.Shape{6}, 1e-5, false),
			"layer, beta":               layer(nil, same, tensor.Shape{6}, 1e-5, false),
			"layer, both":               layer(same, same, tensor.Shape{6}, 1e-5, false),
			"batch":                     batch(nil, nil, one, ops.BatchNormConfig{Eps: 1e-5, Momentum: 0.1}),
			"batch, other statistics":   batch(nil, nil, another, ops.BatchNormConfig{Eps: 1e-5, Momentum: 0.1}),
			"batch, no statistics":      batch(nil, nil, nil, ops.BatchNormConfig{Eps: 1e-5, Momentum: 0.1}),
			"batch, other eps":          batch(nil, nil, one, ops.BatchNormConfig{Eps: 1.0000001e-5, Momentum: 0.1}),
			"batch, other eps, none":    batch(nil, nil, nil, ops.BatchNormConfig{Eps: 1.0000001e-5}),
			"batch, other momentum":     batch(nil, nil, one, ops.BatchNormConfig{Eps: 1e-5, Momentum: 0.12}),
			"batch, cumulative":         batch(nil, nil, one, ops.BatchNormConfig{Eps: 1e-5, Momentum: 0.1, Cumulative: true}),
			"batch, frozen":             batch(nil, nil, one, ops.BatchNormConfig{Eps: 1e-5, Momentum: 0.1, Frozen: true}),
			"batch, gamma":              batch(same, nil, one, ops.BatchNormConfig{Eps: 1e-5, Momentum: 0.1}),
			"batch, beta":               batch(nil, same, one, ops.BatchNormConfig{Eps: 1e-5, Momentum: 0.1}),
			"weight, axis 0":            G.Must(ops.WeightNorm(weight, same, ops.WeightNormConfig{Axis: 0})),
			"weight, axis 1":            G.Must(ops.WeightNorm(weight, same, ops.WeightNormConfig{Axis: 1})),
			"linear, axis 0":            G.Must(ops.WeightNormLinear(x, weight, same, nil, ops.WeightNormConfig{Axis: 0})),
			"linear, axis 1":            G.Must(ops.WeightNormLinear(x, weight, same, nil, ops.WeightNormConfig{Axis: 1})),
			"linear, axis 0, with bias": G.Must(ops.WeightNormLinear(x, weight, same, same, ops.WeightNormConfig{Axis: 0})),
		}
	}
	nodes := build()
	names, hashes := map[*G.Node]string{}, map[uint32]string{}
	for name, n := range nodes {
		require.Empty(t, names[n], "%s is one node with", name)
		require.Empty(t, hashes[n.Hashcode()], "%s has the hash of", name)
		names[n], hashes[n.Hashcode()] = name, name
	}
	before := len(g.AllNodes())
	for name, n := range build() {
		require.Same(t, nodes[name], n, "%s: the same op again is another node", name)
	}
	require.Len(t, g.AllNodes(), before)
}

// An op whose statistics are not shared updates them by itself.
func TestStatisticsOfTwoOpsOnOneInput(t *testing.T) {
	g := G.NewGraph()
	batch := wave(0.4, 5, 3)
	x := graphtest.Leaf(g, "x", batch)
	one, another := statsOf(t, 3), statsOf(t, 3)
	start := snapshot(one)
	for _, s := range []*ops.RunningStats{one, another, one} {
		_, err := ops.BatchNorm(x, nil, nil, s, ops.BatchNormConfig{Eps: 1e-3, Momentum: 0.1})
		require.NoError(t, err)
	}
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	require.NoError(t, vm.RunAll())
	requireNear(t, moved(start, 0.1, batch), snapshot(one), 1e-14, "applied twice to one input, it is one op")
	requireNear(t, moved(start, 0.1, batch), snapshot(another), 1e-14, "the other statistics")
}

// Ops of different dtypes are not merged either.
func TestDtypesInOneGraph(t *testing.T) {
	g := G.NewGraph()
	var ys G.Nodes
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		x := graphtest.Leaf(g, "x", graphtest.Dense(dt, floats(wave(0.4, 5, 3)), 5, 3))
		ys = append(ys, G.Must(ops.LayerNorm(x, nil, nil, tensor.Shape{3}, ops.LayerNormConfig{Eps: 1e-3})))
		ys = append(ys, G.Must(ops.BatchNorm(x, nil, nil, nil, ops.BatchNormConfig{Eps: 1e-3})))
	}
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	require.NoError(t, vm.RunAll())
	for i := range 2 {
		requireNear(t, floats(ys[i+2].Value()), floats(ys[i].Value()), 1e-6, "float32")
	}
}

// Graphs can be drawn and printed. A '|' would break the labels of the drawing.
func TestGraphsCanBePrinted(t *testing.T) {
	eachOp(t, func(t *testing.T, c opCase) {
		p := newProgram(t, c.with(c.stats(t)), c.names, c.values(tensor.Float64, 0.4), c.dy(t, tensor.Float64), true)
		dot := p.g.ToDot()
		found := 0
		for _, n := range p.g.AllNodes() {
			require.NotEmpty(t, fmt.Sprintf("%v %+v %s", n, n, n.ToDot()))
			if n.Op() == nil || !strings.HasPrefix(n.Op().String(), "norm.") {
				continue
			}
			found++
			require.NotContains(t, n.Op().String(), "|")
			require.Contains(t, dot, strings.SplitN(n.Op().String(), "(", 2)[0])
		}
		require.GreaterOrEqual(t, found, 2+len(c.names)) // forward, gradient, and a part for each input
		require.NotEmpty(t, fmt.Sprintf("%v %s %+v", p.g, p.g, p.g))
	})
}
