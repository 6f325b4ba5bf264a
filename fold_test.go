package norm_test

import (
	"fmt"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// affineLayers are layers that a batch norm can be folded into: the shapes of x, of the
// weight, and of a bias that is broadcast.
var affineLayers = map[string]struct {
	x, w, b []int
	outAxis int
	fwd     func(x, w *G.Node) (*G.Node, error)
	along   []byte
}{
	"x·wᵀ": {[]int{5, 4}, []int{3, 4}, []int{1, 3}, 0, func(x, w *G.Node) (*G.Node, error) {
		return G.Mul(x, norm.Must(G.Transpose(w)))
	}, []byte{0}},
	"x·w": {[]int{5, 4}, []int{4, 3}, []int{1, 3}, -1, G.Mul, []byte{0}},
	"convolution": {[]int{2, 2, 6, 5}, []int{3, 2, 3, 3}, []int{1, 3, 1, 1}, 0, func(x, w *G.Node) (*G.Node, error) {
		return G.Conv2d(x, w, tensor.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1})
	}, []byte{0, 2, 3}},
}

// A folded model gives the results of the model with its batch norm in evaluation.
func TestFold(t *testing.T) {
	options := map[string][]norm.BatchNormOption{
		"affine": nil, "plain": {norm.WithoutAffine()}, "shift only": {norm.WithoutScale()}, "large eps": {norm.WithEps(0.5)},
	}
	for name, l := range affineLayers {
		for option, opts := range options {
			for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
				for _, biased := range []bool{true, false} {
					t.Run(fmt.Sprintf("%s/%s/%v/bias=%v", name, option, dt, biased), func(t *testing.T) {
						g := G.NewGraph()
						bn := norm.Must(norm.NewBatchNorm(g, dt, 3, opts...))
						for i, p := range bn.Learnables() {
							require.NoError(t, G.Let(p, wave(dt, 0.7-float64(i), 3)))
						}
						require.NoError(t, bn.SetStats([]float64{0.5, -2, 3}, []float64{0.1, 4, 1}))
						x, w := wave(dt, 0.3, l.x...), wave(dt, 0.1, l.w...)
						var b *tensor.Dense
						if biased {
							b = wave(dt, 2, l.b...)
						}
						apply := func(g *G.ExprGraph, w, b *tensor.Dense) *G.Node {
							y := norm.Must(l.fwd(input(g, x), graphtest.Leaf(g, "w", w)))
							if b == nil {
								return y
							}
							if b.Dims() == 1 { // as Gorgonia broadcasts it
								require.Equal(t, tensor.Shape{3}, b.Shape())
								require.NoError(t, b.Reshape(l.b...))
							}
							require.Equal(t, tensor.Shape(l.b), b.Shape())
							return norm.Must(G.BroadcastAdd(y, graphtest.Leaf(g, "b", b), nil, l.along))
						}
						want := run(t, norm.Must(bn.Fwd(apply(g, w, b))), G.EvalMode())
						w2, b2, err := bn.Fold(w, b, l.outAxis)
						require.NoError(t, err)
						require.Equal(t, wave(dt, 0.1, l.w...).Data(), w.Data(), "the weight stays as it is")
						if biased {
							require.Equal(t, tensor.Shape(l.b), b2.Shape())
						}
						got := run(t, apply(G.NewGraph(), w2, b2))
						tolerance := 1e-14
						if dt == tensor.Float32 {
							tolerance = 1e-5
						}
						for i := range want {
							require.InDelta(t, want[i], got[i], 3*tolerance)
						}
					})
				}
			}
		}
	}
}

// A weight of any layout can be folded. The result is row-major.
func TestFoldOfTransposedWeight(t *testing.T) {
	bn := norm.Must(norm.NewBatchNorm(G.NewGraph(), tensor.Float64, 3))
	require.NoError(t, bn.SetStats([]float64{1, 2, 3}, []float64{1, 4, 9}))
	w := wave(tensor.Float64, 0, 3, 4)
	want, _, err := bn.Fold(w, nil, 0)
	require.NoError(t, err)
	turned := w.Clone().(*tensor.Dense)
	require.NoError(t, turned.T())
	got, _, err := bn.Fold(turned, nil, 1)
	require.NoError(t, err)
	require.Equal(t, tensor.Shape{4, 3}, got.Shape())
	require.NoError(t, got.T())
	require.Equal(t, graphtest.Floats(want), graphtest.Floats(got))
}

func TestFoldRefuses(t *testing.T) {
	f64 := tensor.Float64
	bn := norm.Must(norm.NewBatchNorm(G.NewGraph(), f64, 3))
	four, one := norm.Must(norm.NewBatchNorm(G.NewGraph(), f64, 4)), norm.Must(norm.NewBatchNorm(G.NewGraph(), f64, 1))
	w, b := wave(f64, 0, 3, 4), wave(f64, 0, 3)
	grown := norm.Must(norm.NewBatchNorm(G.NewGraph(), f64, 3))
	*grown.Learnables()[0].Value().(*tensor.Dense) = *wave(f64, 0, 4) // Let would refuse it
	grownBias := norm.Must(norm.NewBatchNorm(G.NewGraph(), f64, 3))
	*grownBias.Learnables()[1].Value().(*tensor.Dense) = *wave(f64, 0, 4)
	masked := tensor.New(tensor.WithShape(3, 1), tensor.WithBacking([]float64{1, 2, 3}, []bool{true, false, false}))
	for _, c := range []struct {
		bn   *norm.BatchNorm
		w, b *tensor.Dense
		axis int
		kind error
		text string
	}{
		{bn, nil, b, 0, norm.ErrValue, "the weight is nil, want a tensor"},
		{bn, tensor.New(tensor.FromScalar(1.0)), b, 0, norm.ErrShape, "the weight is a scalar, want a tensor"},
		{bn, wave(tensor.Float32, 0, 3, 4), b, 0, norm.ErrDtype, "the weight is float32, want float64"},
		{bn, w, wave(tensor.Float32, 0, 3), 0, norm.ErrDtype, "the bias is float32, want float64"},
		{bn, w, b, 1, norm.ErrShape, "the weight is (3, 4) with the outputs in axis 1, want as many outputs as channels, 3"},
		{bn, w, b, -1, norm.ErrShape, "the weight is (3, 4) with the outputs in axis 1, want as many outputs as channels, 3"},
		{bn, w, b, 2, norm.ErrShape, "the axis of the outputs is 2, want -2 to 1 for a weight (3, 4)"},
		{bn, w, b, -3, norm.ErrShape, "the axis of the outputs is -3, want -2 to 1 for a weight (3, 4)"},
		{bn, w, wave(f64, 0, 4), 0, norm.ErrShape, "the bias is (4), want (3), or 3 in one axis and 1 in the others"},
		{bn, w, wave(f64, 0, 3, 4), 0, norm.ErrShape, "the bias is (3, 4), want (3), or 3 in one axis and 1 in the others"},
		{bn, w, wave(f64, 0, 2, 3), 0, norm.ErrShape, "the bias is (2, 3), want (3), or 3 in one axis and 1 in the others"},
		{four, wave(f64, 0, 4, 3), wave(f64, 0, 2, 2), 0, norm.ErrShape, "the bias is (2, 2), want (4), or 4 in one axis and 1 in the others"},
		{one, wave(f64, 0, 1, 3), tensor.New(tensor.FromScalar(1.0)), 0, norm.ErrShape, "the bias is (), want (1), or 1 in one axis and 1 in the others"},
		{bn, tensor.New(tensor.WithShape(3, 0), tensor.Of(tensor.Float64)), b, 0, norm.ErrValue, "the weight is (3, 0), want no empty axis"},
		{grown, w, b, 0, norm.ErrValue, "batchnorm.gamma has 4 elements, want 3"},
		{grownBias, w, b, 0, norm.ErrValue, "batchnorm.beta has 4 elements, want 3"},
		{bn, masked, b, 0, norm.ErrValue, "the weight is masked, want a tensor without mask"},
		{norm.Must(norm.NewBatchNorm(G.NewGraph(), f64, 3, norm.WithoutRunningStats())), w, b, 0, norm.ErrOption,
			"the layer has no running statistics, want WithoutRunningStats left out"},
	} {
		_, _, err := c.bn.Fold(c.w, c.b, c.axis)
		require.ErrorIs(t, err, c.kind)
		require.EqualError(t, err, "norm: batchnorm: "+c.text)
	}
}
