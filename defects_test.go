package norm_test

import (
	"bytes"
	"fmt"
	"log"
	"math"
	"os"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/diff"
	"github.com/gorgonorm/norm/gradcheck"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Each test here is named after a defect of the normalization ops of Gorgonia
// v0.9.18, found by experiment, and shows that this package does not have it. The
// first six are those of its GroupNorm.

// standardized returns (x − mean)/√(variance + eps) for the elements of each
// group, with group(i) the group of element i.
func standardized(x []float64, eps float64, groups int, group func(i int) int) []float64 {
	n, sum, sq := make([]float64, groups), make([]float64, groups), make([]float64, groups)
	for i, v := range x {
		n[group(i)]++
		sum[group(i)] += v
	}
	for i, v := range x {
		d := v - sum[group(i)]/n[group(i)]
		sq[group(i)] += d * d
	}
	y := make([]float64, len(x))
	for i, v := range x {
		k := group(i)
		y[i] = (v - sum[k]/n[k]) / math.Sqrt(sq[k]/n[k]+eps)
	}
	return y
}

func TestDefectWrongFrom264ValuesPerGroup(t *testing.T) {
	for _, n := range []int{256, 263, 264, 300, 384, 512, 1000, 4096} {
		x, g := wave(tensor.Float64, 3, 2, 2*n), G.NewGraph()
		gn := norm.Must(norm.NewGroupNorm(g, tensor.Float64, 2, 2*n))
		want := standardized(graphtest.Floats(x), 1e-5, 4, func(i int) int { return i / n })
		require.InDeltaSlice(t, want, run(t, norm.Must(gn.Fwd(input(g, x)))), 1e-13, "n = %d", n)
	}
}

func TestDefectGradientWrongFrom264ValuesPerGroup(t *testing.T) {
	for _, n := range []int{256, 263, 264, 300, 600} {
		require.NoError(t, gradcheck.Check(func(in G.Nodes) (*G.Node, error) {
			return norm.Must(norm.NewGroupNorm(in[0].Graph(), tensor.Float64, 2, 2*n)).Fwd(in[0])
		}, []*tensor.Dense{wave(tensor.Float64, 0, 2, 2*n)}, gradcheck.WithMaxElements(10)))
	}
}

func TestDefectLispMachineGradientWrong(t *testing.T) {
	f := func(in G.Nodes) (*G.Node, error) {
		gn := norm.Must(norm.NewGroupNorm(in[0].Graph(), tensor.Float64, 2, 4))
		return G.Cube(norm.Must(gn.Fwd(in[0])))
	}
	require.NoError(t, gradcheck.Check(f, []*tensor.Dense{wave(tensor.Float64, 0, 2, 4, 2, 2)},
		gradcheck.WithMachines(gradcheck.Lisp)))
}

func TestDefectBackwardWritesToTheLog(t *testing.T) {
	var out bytes.Buffer
	log.SetOutput(&out)
	defer log.SetOutput(os.Stderr)
	g := G.NewGraph()
	x := input(g, wave(tensor.Float64, 1, 2, 4, 2, 2))
	gn := norm.Must(norm.NewGroupNorm(g, tensor.Float64, 2, 4))
	norm.Must(G.Grad(norm.Must(G.Sum(norm.Must(gn.Fwd(x)))), x))
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	require.NoError(t, vm.RunAll())
	require.Empty(t, out.String())
}

func TestDefectTrailingChannelsSilentlyZero(t *testing.T) {
	g := G.NewGraph()
	x := input(g, wave(tensor.Float64, 0, 2, 4, 2))
	_, err := norm.NewGroupNorm(g, tensor.Float64, 3, 4)
	require.ErrorIs(t, err, norm.ErrOption, "3 groups of 4 channels")
	for _, channels := range []int{3, 6} {
		_, err := norm.Must(norm.NewGroupNorm(g, tensor.Float64, 3, channels)).Fwd(x)
		require.ErrorIs(t, err, norm.ErrShape, "%d channels for 4", channels)
	}
}

func TestDefectHashWithoutEps(t *testing.T) {
	g := G.NewGraph()
	x := input(g, wave(tensor.Float64, 0, 2, 4))
	layer := func(eps float64) *G.Node {
		gn := norm.Must(norm.NewGroupNorm(g, tensor.Float64, 2, 4, norm.WithEps(eps), norm.WithoutAffine()))
		return norm.Must(gn.Fwd(x))
	}
	require.NotSame(t, layer(1e-5), layer(10))
	require.NotSame(t, layer(1e-5), layer(1.0000000000000002e-5))
	require.Same(t, layer(1e-5), layer(1e-5))
}

func TestDefectHashWithOneDecimal(t *testing.T) {
	g, x, a := batchNorm(t, tensor.Float64, []int{8, 3}, norm.WithMomentum(0.1), norm.WithoutAffine())
	b := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3, norm.WithMomentum(0.12), norm.WithEps(1e-2), norm.WithoutAffine()))
	same := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3, norm.WithMomentum(0.1), norm.WithoutAffine()))
	ya, yb := norm.Must(a.Fwd(x)), norm.Must(b.Fwd(x))
	require.NotSame(t, ya, yb)
	require.NotSame(t, ya, norm.Must(same.Fwd(x)), "two layers with statistics of their own")
	run(t, ya)
	for _, l := range []*norm.BatchNorm{a, b, same} {
		mean, _ := l.Stats()
		require.NotZero(t, mean[0], "every layer has seen the batch")
	}
}

func TestDefectLispMachineKillsTheProcess(t *testing.T) {
	for _, opts := range [][]G.VMOpt{nil, {G.EvalMode()}} {
		g, x, bn := batchNorm(t, tensor.Float64, []int{4, 3, 2})
		norm.Must(G.Sum(norm.Must(bn.Fwd(x))))
		vm := G.NewLispMachine(g, opts...)
		require.NoError(t, vm.RunAll())
		vm.Close()
	}
}

func TestDefectEvaluationGradientOfRank4(t *testing.T) {
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		_, x, bn := batchNorm(t, dt, []int{4, 2, 1, 3}, norm.WithoutAffine())
		require.NoError(t, bn.SetStats([]float64{0, 0}, []float64{4, 4}))
		cost := norm.Must(G.Sum(norm.Must(bn.Fwd(x))))
		dx := norm.Must(G.Grad(cost, x))[0]
		want := 1 / math.Sqrt(4+1e-5)
		for _, d := range run(t, dx, G.EvalMode()) {
			require.InDelta(t, want, d, 1e-7)
		}
	}
}

func TestDefectBatchOfOneMakesNaN(t *testing.T) {
	for _, shape := range [][]int{{1, 2}, {1, 2, 1, 1}} {
		g, x, bn := batchNorm(t, tensor.Float64, shape)
		y := norm.Must(bn.Fwd(x))
		vm := G.NewTapeMachine(g)
		err := vm.RunAll()
		vm.Close()
		require.True(t, norm.Is(err, norm.ErrBatch), "%v", err)
		mean, variance := bn.Stats()
		require.Equal(t, []float64{0, 0}, mean)
		require.Equal(t, []float64{1, 1}, variance)
		for _, v := range run(t, y, G.EvalMode()) {
			require.False(t, math.IsNaN(v))
		}
	}
}

func TestDefectStatisticsLostWithNewMachine(t *testing.T) {
	g, x, bn := batchNorm(t, tensor.Float64, []int{4, 3})
	norm.Must(G.Sum(norm.Must(bn.Fwd(x))))
	require.NoError(t, bn.SetStats([]float64{4, 4, 4}, []float64{2, 2, 2}))
	for _, opts := range [][]G.VMOpt{nil, {G.EvalMode()}, nil} {
		tape := G.NewTapeMachine(g, opts...)
		tape.Close()
		G.NewLispMachine(g, opts...).Close()
		mean, variance := bn.Stats()
		require.Equal(t, []float64{4, 4, 4}, mean)
		require.Equal(t, []float64{2, 2, 2}, variance)
	}
}

func TestDefectFreshLayerInEvaluation(t *testing.T) {
	_, x, bn := batchNorm(t, tensor.Float64, []int{4, 3})
	y := run(t, norm.Must(bn.Fwd(x)), G.EvalMode())
	for i, v := range graphtest.Floats(x.Value().(*tensor.Dense)) {
		require.InDelta(t, v/math.Sqrt(1+1e-5), y[i], 1e-15, "mean 0 and variance 1 from the start")
	}
}

func TestDefectParametersShapedLikeTheBatch(t *testing.T) {
	_, _, bn := batchNorm(t, tensor.Float64, []int{7, 3, 2, 2})
	params := bn.Learnables()
	for i, want := range [][]float64{{1, 1, 1}, {0, 0, 0}} {
		require.Equal(t, tensor.Shape{3}, params[i].Shape())
		require.Equal(t, want, graphtest.Floats(params[i].Value().(*tensor.Dense)))
	}
}

func TestDefectLayoutIgnored(t *testing.T) {
	wide := wave(tensor.Float64, 0, 5, 6)
	view, err := wide.Slice(nil, G.S(1, 4))
	require.NoError(t, err)
	x := view.(*tensor.Dense)
	_, node, bn := batchNorm(t, tensor.Float64, []int{5, 3})
	plain := graphtest.Dense(tensor.Float64, graphtest.Floats(x), 5, 3)
	y := norm.Must(bn.Fwd(node))
	require.NoError(t, G.Let(node, plain))
	want := run(t, y)
	require.NoError(t, G.Let(node, x))
	require.Equal(t, want, run(t, y))
}

func TestDefectEvaluationMachineStopsTraining(t *testing.T) {
	g, x, bn := batchNorm(t, tensor.Float64, []int{4, 3})
	norm.Must(bn.Fwd(x))
	train := G.NewTapeMachine(g)
	defer train.Close()

	g2 := G.NewGraph()
	bn2 := norm.Must(bn.In(g2))
	norm.Must(bn2.Fwd(input(g2, wave(tensor.Float64, 1, 2, 3))))
	eval := G.NewTapeMachine(g2, G.EvalMode())
	defer eval.Close()

	require.NoError(t, eval.RunAll())
	mean, _ := bn.Stats()
	require.Equal(t, []float64{0, 0, 0}, mean, "evaluation does not move them")
	require.NoError(t, train.RunAll())
	mean, _ = bn2.Stats()
	require.NotEqual(t, []float64{0, 0, 0}, mean, "training still does, and both graphs see it")
}

func TestDefectSecondOrderSilentlyWrong(t *testing.T) {
	for name, layer := range map[string]func(g *G.ExprGraph) func(*G.Node) (*G.Node, error){
		"batch norm": func(g *G.ExprGraph) func(*G.Node) (*G.Node, error) {
			return norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3)).Fwd
		},
		"layer norm": func(g *G.ExprGraph) func(*G.Node) (*G.Node, error) {
			return norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{3})).Fwd
		},
		"weight norm": func(g *G.ExprGraph) func(*G.Node) (*G.Node, error) {
			weight := norm.WithWeight(wave(tensor.Float64, 1, 2, 3))
			return norm.Must(norm.NewWeightNormLinear(g, tensor.Float64, 3, 2, weight)).Fwd
		},
	} {
		penalty := func(in G.Nodes) (*G.Node, error) { // a gradient of this contains a gradient
			y, err := layer(in[0].Graph())(in[0])
			if err != nil {
				return nil, err
			}
			cost := norm.Must(G.Sum(norm.Must(G.HadamardProd(y, norm.Must(G.Square(y))))))
			dx, err := diff.Grad(cost, in[0])
			if err != nil {
				return nil, err
			}
			return G.Square(dx[0])
		}
		err := gradcheck.Check(penalty, []*tensor.Dense{wave(tensor.Float64, 0, 4, 3)}, gradcheck.WithMachines(gradcheck.Tape))
		require.NoError(t, err, name)
	}
}

func TestDefectDigitsLostAtLargeMean(t *testing.T) {
	for _, mean := range []float64{0, 100, 1e4, 1e5} {
		x := wave(tensor.Float32, mean, 4096, 1)
		_, node, bn := batchNorm(t, tensor.Float32, []int{4096, 1}, norm.WithoutAffine())
		y := norm.Must(bn.Fwd(node))
		require.NoError(t, G.Let(node, x))
		got := run(t, y)
		want := standardized(graphtest.Floats(x), 1e-5, 1, func(int) int { return 0 })
		require.InDeltaSlice(t, want, got, 2e-7, "mean %v", mean)
	}
}

func TestDefectManyNodesForOneLayer(t *testing.T) {
	g, x, bn := batchNorm(t, tensor.Float64, []int{4, 3})
	before := len(g.AllNodes())
	norm.Must(bn.Fwd(x))
	require.Equal(t, before+2, len(g.AllNodes()), "statistics and one fused op")
}

func TestDefectStateOfTheForwardPassShared(t *testing.T) {
	// There are two applications, and both run forward before either runs backward. Each
	// gradient must use its own statistics.
	f := func(in G.Nodes) (*G.Node, error) {
		bn := norm.Must(norm.NewBatchNorm(in[0].Graph(), tensor.Float64, 3))
		return G.Add(norm.Must(bn.Fwd(in[0])), norm.Must(bn.Fwd(norm.Must(G.Cube(in[1])))))
	}
	require.NoError(t, gradcheck.Check(f, []*tensor.Dense{wave(tensor.Float64, 0, 4, 3), wave(tensor.Float64, 2, 4, 3)}))
}

func TestDefectScaleOfRank1Refused(t *testing.T) {
	for _, shape := range [][]int{{4, 3}, {4, 3, 2}, {4, 3, 2, 2}, {4, 3, 2, 2, 2}} {
		_, x, bn := batchNorm(t, tensor.Float64, shape)
		y, err := bn.Fwd(x)
		require.NoError(t, err, fmt.Sprint(shape))
		require.Equal(t, tensor.Shape(shape), y.Shape())
	}
}

// gorgonia.Grad of one of its own gradients is refused, since the result would be wrong.
func TestDefectGradOfGrad(t *testing.T) {
	for _, by := range []func(x *G.Node, ln *norm.LayerNorm) *G.Node{
		func(x *G.Node, _ *norm.LayerNorm) *G.Node { return x },
		func(_ *G.Node, ln *norm.LayerNorm) *G.Node { return ln.Learnable("gamma") },
	} {
		g := G.NewGraph()
		x := input(g, wave(tensor.Float64, 0, 4, 3))
		ln := norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{3}, norm.WithName("first")))
		cost := norm.Must(G.Sum(norm.Must(G.Cube(norm.Must(ln.Fwd(x))))))
		n := by(x, ln)
		penalty := norm.Must(G.Sum(norm.Must(G.Square(norm.Must(G.Grad(cost, n))[0]))))
		_, err := G.Grad(penalty, n)
		require.True(t, norm.Is(err, norm.ErrOrder), "%v", err)
		require.ErrorContains(t, err, `norm: layernorm "first": `+n.Name()+" has a gradient from gorgonia.Grad")
		require.ErrorContains(t, err, "want diff.Grad for the gradient of a gradient")
		second, err := diff.Grad(penalty, n)
		require.NoError(t, err)
		_, err = diff.Grad(norm.Must(G.Sum(second[0])), x)
		require.ErrorIs(t, err, norm.ErrOrder)
		require.ErrorContains(t, err, `norm: layernorm "first": a third derivative is not implemented, want the second at most`)
	}
}
