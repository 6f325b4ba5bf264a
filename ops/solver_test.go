package ops_test

import (
	"slices"
	"testing"

	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// solvers are those that work with Gorgonia. Its AdamW never changes a weight.
var solvers = map[string]func() G.Solver{
	"vanilla":  func() G.Solver { return G.NewVanillaSolver(G.WithLearnRate(0.05)) },
	"momentum": func() G.Solver { return G.NewMomentum(G.WithLearnRate(0.05)) },
	"adam":     func() G.Solver { return G.NewAdamSolver(G.WithLearnRate(0.05)) },
	"rmsprop":  func() G.Solver { return G.NewRMSPropSolver(G.WithLearnRate(0.05)) },
	"adagrad":  func() G.Solver { return G.NewAdaGradSolver(G.WithLearnRate(0.05)) },
}

const modelEps = 1e-3

// models are each made of an op of this package and of primitive ops of Gorgonia. Their
// parameters are the w of x·w and those of the op.
var models = map[string]struct {
	params          []tensor.Shape
	ours, primitive func(x *G.Node, p G.Nodes) (*G.Node, error)
}{
	"layernorm": {
		[]tensor.Shape{{3, 4}, {4}, {4}},
		func(x *G.Node, p G.Nodes) (*G.Node, error) {
			return ops.LayerNorm(G.Must(G.Mul(x, p[0])), p[1], p[2], tensor.Shape{4}, ops.LayerNormConfig{Eps: modelEps})
		},
		func(x *G.Node, p G.Nodes) (*G.Node, error) {
			return primitiveNorm(G.Must(G.Mul(x, p[0])), p[1], p[2], rowMeans), nil
		},
	},
	"batchnorm": {
		[]tensor.Shape{{3, 4}, {4}, {4}},
		func(x *G.Node, p G.Nodes) (*G.Node, error) {
			s, err := ops.NewRunningStats(4)
			if err != nil {
				return nil, err
			}
			return ops.BatchNorm(G.Must(G.Mul(x, p[0])), p[1], p[2], s, ops.BatchNormConfig{Eps: modelEps, Momentum: 0.1})
		},
		func(x *G.Node, p G.Nodes) (*G.Node, error) {
			return primitiveNorm(G.Must(G.Mul(x, p[0])), p[1], p[2], columnMeans), nil
		},
	},
	"weightnorm": {
		[]tensor.Shape{{3, 4}, {3}},
		func(x *G.Node, p G.Nodes) (*G.Node, error) {
			return G.Mul(x, G.Must(ops.WeightNorm(p[0], p[1], ops.WeightNormConfig{Axis: 0})))
		},
		func(x *G.Node, p G.Nodes) (*G.Node, error) { return G.Mul(x, primitiveWeight(p[0], p[1])) },
	},
	"weightnormlinear": {
		[]tensor.Shape{{4, 3}, {4}, {4}},
		func(x *G.Node, p G.Nodes) (*G.Node, error) {
			return ops.WeightNormLinear(x, p[0], p[1], p[2], ops.WeightNormConfig{Axis: 0})
		},
		func(x *G.Node, p G.Nodes) (*G.Node, error) {
			y := G.Must(G.Mul(x, G.Must(G.Transpose(primitiveWeight(p[0], p[1])))))
			return G.Add(y, spread(p[2], y))
		},
	},
}

// filled returns a constant matrix of equal values.
func filled(g *G.ExprGraph, name string, v float64, rows, cols int) *G.Node {
	return graphtest.Leaf(g, name, tensor.New(tensor.WithShape(rows, cols), tensor.WithBacking(slices.Repeat([]float64{v}, rows*cols))))
}

// rowMeans returns a matrix with the mean of the row at each place, and columnMeans one
// with that of the column, without broadcasting.
func rowMeans(x *G.Node) *G.Node {
	n := x.Shape()[1]
	return G.Must(G.Mul(x, filled(x.Graph(), "average", 1/float64(n), n, n)))
}

func columnMeans(x *G.Node) *G.Node {
	n := x.Shape()[0]
	return G.Must(G.Mul(filled(x.Graph(), "average", 1/float64(n), n, n), x))
}

// spread returns a matrix like y with the vector v in every row.
func spread(v, y *G.Node) *G.Node {
	row := G.Must(G.Reshape(v, tensor.Shape{1, v.Shape()[0]}))
	return G.Must(G.Mul(filled(v.Graph(), "ones", 1, y.Shape()[0], 1), row))
}

func primitiveNorm(x, gamma, beta *G.Node, means func(*G.Node) *G.Node) *G.Node {
	d := G.Must(G.Sub(x, means(x)))
	eps := filled(x.Graph(), "eps", modelEps, x.Shape()[0], x.Shape()[1])
	std := G.Must(G.Sqrt(G.Must(G.Add(means(G.Must(G.Square(d))), eps))))
	scaled := G.Must(G.HadamardProd(G.Must(G.HadamardDiv(d, std)), spread(gamma, x)))
	return G.Must(G.Add(scaled, spread(beta, x)))
}

// primitiveWeight returns v with its rows scaled to the lengths g.
func primitiveWeight(v, g *G.Node) *G.Node {
	rows, cols := v.Shape()[0], v.Shape()[1]
	squares := G.Must(G.Mul(G.Must(G.Square(v)), filled(v.Graph(), "sum", 1, cols, cols)))
	length := G.Must(G.Mul(G.Must(G.Reshape(g, tensor.Shape{rows, 1})), filled(v.Graph(), "ones in a row", 1, 1, cols)))
	return G.Must(G.HadamardProd(G.Must(G.HadamardDiv(v, G.Must(G.Sqrt(squares)))), length))
}

// train returns the parameters after some steps.
func train(t *testing.T, model func(*G.Node, G.Nodes) (*G.Node, error), shapes []tensor.Shape, solver G.Solver) (after [][]float64) {
	const steps = 6
	g := G.NewGraph()
	x := graphtest.Leaf(g, "x", wave(0.5, 5, 3))
	var params G.Nodes
	for i, s := range shapes {
		params = append(params, graphtest.Leaf(g, string(rune('a'+i)), wave(0.8+0.1*float64(i), s...)))
	}
	y, err := model(x, params)
	require.NoError(t, err)
	d := G.Must(G.Sub(y, graphtest.Leaf(g, "target", wave(-0.2, y.Shape()...))))
	_, err = G.Grad(G.Must(G.Mean(G.Must(G.Square(d)))), params...)
	require.NoError(t, err)
	vm := G.NewTapeMachine(g, G.BindDualValues(params...))
	defer vm.Close()
	for step := range steps {
		require.NoError(t, G.Let(x, wave(0.5+float64(step), 5, 3)))
		require.NoError(t, vm.RunAll())
		require.NoError(t, solver.Step(G.NodesToValueGrads(params)))
		vm.Reset()
	}
	for _, p := range params {
		after = append(after, floats(p.Value()))
	}
	return after
}

// A solver changes gradients in place and sets them to 0, so each must have its own
// memory. Then the parameters are those of the same model made of Gorgonia's ops.
func TestSolversTrainAsWithPrimitiveOps(t *testing.T) {
	for name, m := range models {
		for solver, s := range solvers {
			t.Run(name+"/"+solver, func(t *testing.T) {
				want := train(t, m.primitive, m.params, s())
				got := train(t, m.ours, m.params, s())
				for i := range want {
					require.NotEqual(t, floats(wave(0.8+0.1*float64(i), m.params[i]...)), got[i], "parameter %d was not trained", i)
					requireNear(t, want[i], got[i], 1e-9, string(rune('a'+i)))
				}
			})
		}
	}
}
