package norm_test

import (
	"math"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/gradcheck"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// g starts as ‖v‖ along every axis, so the first w is v.
func TestWeightNormStartsAsItsWeight(t *testing.T) {
	w := wave(tensor.Float64, 0.3, 4, 2, 3, 3)
	for axis, k := range map[int]int{0: 4, 1: 2, 2: 3, 3: 3, norm.WholeTensor: 1} {
		g := G.NewGraph()
		wn := norm.Must(norm.NewWeightNorm(g, tensor.Float64, w.Shape(), norm.WithWeight(w), norm.WithAxis(axis)))
		require.Equal(t, tensor.Shape{k}, wn.Learnables()[1].Shape())
		require.InDeltaSlice(t, graphtest.Floats(w), run(t, norm.Must(wn.Weight())), 1e-15)
		require.NotSame(t, w, wn.Learnables()[0].Value(), "a copy")
	}
}

func TestWeightNormWeightOfAnyLayout(t *testing.T) {
	w := wave(tensor.Float64, 0.3, 3, 4)
	require.NoError(t, w.T())
	g := G.NewGraph()
	wn := norm.Must(norm.NewWeightNorm(g, tensor.Float64, tensor.Shape{4, 3}, norm.WithWeight(w)))
	require.InDeltaSlice(t, graphtest.Floats(w), run(t, norm.Must(wn.Weight())), 1e-15)
}

func TestWeightNormIsOneNode(t *testing.T) {
	wn := norm.Must(norm.NewWeightNorm(G.NewGraph(), tensor.Float32, tensor.Shape{4, 3}))
	require.Same(t, norm.Must(wn.Weight()), norm.Must(wn.Weight()))
}

// A zero row has no direction. w is 0 there, and so are its gradients.
func TestWeightNormZeroRow(t *testing.T) {
	w := wave(tensor.Float64, 0.3, 3, 4)
	clear(w.Data().([]float64)[4:8])
	g := G.NewGraph()
	wn := norm.Must(norm.NewWeightNorm(g, tensor.Float64, tensor.Shape{3, 4}, norm.WithWeight(w)))
	set(t, wn.Learnables()[1], []float64{1, 2, 3})
	wNode := norm.Must(wn.Weight())
	cost := norm.Must(G.Sum(norm.Must(G.Cube(norm.Must(G.Mul(input(g, wave(tensor.Float64, 0, 2, 3)), wNode))))))
	grads := norm.Must(G.Grad(cost, wn.Learnables()...))
	require.Equal(t, make([]float64, 4), run(t, wNode)[4:8])
	dv, dg := run(t, grads[0]), run(t, grads[1])
	require.Equal(t, make([]float64, 4), dv[4:8])
	require.Zero(t, dg[1])
	for i, d := range append(dv, dg...) {
		require.False(t, math.IsNaN(d))
		require.True(t, d != 0 || i/4 == 1 || i == 13, "the other rows have gradients")
	}
}

// The gradients of a convolution with a normalized filter, through Gorgonia's own Conv2d,
// agree with differences.
func TestWeightNormOfConvolution(t *testing.T) {
	f := func(in G.Nodes) (*G.Node, error) {
		wn, err := norm.NewWeightNorm(in[0].Graph(), tensor.Float64, tensor.Shape{2, 3, 2, 2},
			norm.WithWeight(wave(tensor.Float64, 0.2, 2, 3, 2, 2)))
		if err != nil {
			return nil, err
		}
		return G.Conv2d(in[0], norm.Must(wn.Weight()), tensor.Shape{2, 2}, []int{0, 0}, []int{1, 1}, []int{1, 1})
	}
	require.NoError(t, gradcheck.Check(f, []*tensor.Dense{wave(tensor.Float64, 0.5, 2, 3, 4, 4)}))
}

// The weight of a convolution is normalized filter by filter.
func TestWeightNormOfConvolutionIsPerFilter(t *testing.T) {
	w := wave(tensor.Float64, 0.3, 4, 2, 3, 3)
	g := G.NewGraph()
	wn := norm.Must(norm.NewWeightNorm(g, tensor.Float64, w.Shape(), norm.WithWeight(w)))
	lengths := []float64{2, -1, 0, 0.5}
	set(t, wn.Learnables()[1], lengths)
	got := run(t, norm.Must(wn.Weight()))
	for i, length := range lengths {
		filter, square := graphtest.Floats(w)[i*18:(i+1)*18], 0.0
		for _, v := range filter {
			square += v * v
		}
		for k, v := range filter {
			require.InDelta(t, length*v/math.Sqrt(square), got[i*18+k], 1e-15)
		}
	}
}

// Materialize gives the weight that the graph computes with.
func TestMaterializeWeightNorm(t *testing.T) {
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		for _, axis := range []int{0, 1, norm.WholeTensor} {
			g := G.NewGraph()
			wn := norm.Must(norm.NewWeightNorm(g, dt, tensor.Shape{4, 3}, norm.WithAxis(axis)))
			lengths := wn.Learnables()[1].Value().(*tensor.Dense)
			set(t, wn.Learnables()[1], []float64{2, -3, 0.5, 1}[:lengths.Size()])
			require.Equal(t, run(t, norm.Must(wn.Weight())), graphtest.Floats(norm.Must(wn.Materialize())), "axis %d", axis)
		}
	}
	g := G.NewGraph()
	fc := norm.Must(norm.NewWeightNormLinear(g, tensor.Float64, 3, 2))
	w, x := norm.Must(fc.Materialize()), wave(tensor.Float64, 1, 5, 3)
	require.Equal(t, tensor.Shape{2, 3}, w.Shape())
	dst := wave(tensor.Float64, 2, 2, 3)
	require.Same(t, dst, norm.Must(fc.EvalWeight(dst)))
	require.Equal(t, graphtest.Floats(w), graphtest.Floats(dst))
	y := run(t, norm.Must(fc.Fwd(input(g, x))))
	for r := range 5 {
		for o := range 2 {
			want := 0.0
			for i := range 3 {
				want += graphtest.Floats(x)[r*3+i] * graphtest.Floats(w)[o*3+i]
			}
			require.InDelta(t, want, y[r*2+o], 1e-14)
		}
	}
	before := graphtest.Floats(w)
	set(t, fc.Learnables()[1], []float64{7, 8})
	require.Equal(t, before, graphtest.Floats(w), "a tensor of its own")
}

func TestWeightNormLinearIsALinearMap(t *testing.T) {
	w, x := wave(tensor.Float64, 0.3, 3, 4), wave(tensor.Float64, 1, 5, 4)
	for _, axis := range []int{0, 1, norm.WholeTensor} {
		g := G.NewGraph()
		fc := norm.Must(norm.NewWeightNormLinear(g, tensor.Float64, 4, 3, norm.WithWeight(w), norm.WithAxis(axis)))
		set(t, fc.Learnables()[2], []float64{1, 2, 3})
		got := run(t, norm.Must(fc.Fwd(input(g, x))))
		wv, xv := graphtest.Floats(w), graphtest.Floats(x)
		for r := range 5 {
			for o := range 3 {
				want := float64(o + 1)
				for i := range 4 {
					want += xv[r*4+i] * wv[o*4+i]
				}
				require.InDelta(t, want, got[r*3+o], 1e-14)
			}
		}
	}
}

func TestWeightNormLinearLayerGradients(t *testing.T) {
	for _, opts := range [][]norm.WeightNormLinearOption{
		nil, {norm.WithoutBias()}, {norm.WithAxis(1)}, {norm.WithAxis(norm.WholeTensor)},
	} {
		f := func(in G.Nodes) (*G.Node, error) {
			fc, err := norm.NewWeightNormLinear(in[0].Graph(), tensor.Float64, 4, 3, opts...)
			if err != nil {
				return nil, err
			}
			return fc.Fwd(in[0])
		}
		require.NoError(t, gradcheck.Check(f, []*tensor.Dense{wave(tensor.Float64, 1, 2, 3, 4)}))
	}
}

// countingBLAS counts the matrix products of the BLAS that was set by tensor.Use.
type countingBLAS struct {
	tensor.BLAS
	products *int
}

func (b countingBLAS) Dgemm(tA, tB blas.Transpose, m, n, k int, alpha float64, a []float64, lda int, bb []float64, ldb int, beta float64, c []float64, ldc int) {
	*b.products++
	b.BLAS.Dgemm(tA, tB, m, n, k, alpha, a, lda, bb, ldb, beta, c, ldc)
}

func TestWeightNormLinearUsesTheGivenBLAS(t *testing.T) {
	before := tensor.WhichBLAS()
	defer tensor.Use(before)
	var products int
	tensor.Use(countingBLAS{before, &products})
	g := G.NewGraph()
	fc := norm.Must(norm.NewWeightNormLinear(g, tensor.Float64, 4, 3))
	x := input(g, wave(tensor.Float64, 0, 5, 4))
	y := norm.Must(fc.Fwd(x))
	run(t, y)
	require.Equal(t, 1, products, "forward")
	norm.Must(G.Grad(norm.Must(G.Sum(y)), append(fc.Learnables(), x)...))
	run(t, y)
	require.Equal(t, 4, products, "forward again, and two products backward")
}
