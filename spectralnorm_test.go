package norm_test

import (
	"math"
	"slices"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/gradcheck"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Training and evaluation graphs share the weight and the vectors. Only training changes
// the vectors, and Materialize gives the result of evaluation.
func TestSpectralNormTrainsAndEvaluates(t *testing.T) {
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		g, g2 := G.NewGraph(), G.NewGraph()
		sn := norm.Must(norm.NewSpectralNorm(g, dt, tensor.Shape{4, 3}, norm.WithWeight(wave(dt, 0.3, 4, 3)), norm.WithPowerIterations(2)))
		sn2 := norm.Must(sn.In(g2))
		require.Same(t, sn.Vectors(), sn2.Vectors())
		y, y2 := norm.Must(sn.Weight()), norm.Must(sn2.Weight())
		before, _ := sn.Vectors().Values()
		evaluated := run(t, y2, G.EvalMode())
		after, _ := sn.Vectors().Values()
		require.Equal(t, before, after)
		require.Equal(t, evaluated, graphtest.Floats(norm.Must(sn.Materialize())))

		set(t, sn.Learnables()[0], []float64{1, 2, 3, -1, 0, 2, 2, 1, 1, 0, 1, -2}) // as a solver would
		run(t, y)
		after, _ = sn.Vectors().Values()
		require.NotEqual(t, before, after)
		for range 100 {
			run(t, y)
		}
		w := run(t, y2, G.EvalMode())
		require.Equal(t, w, graphtest.Floats(norm.Must(sn2.Materialize())))
		require.InDelta(t, 1, largestSingularValue(w, 4, 3), 1e-6)
	}
}

// SetTraining overrides the mode that the machine has set.
func TestSpectralNormSetTraining(t *testing.T) {
	sn := norm.Must(norm.NewSpectralNorm(G.NewGraph(), tensor.Float64, tensor.Shape{4, 3}))
	y := norm.Must(sn.Weight())
	set(t, sn.Learnables()[0], []float64{1, 2, 3, -1, 0, 2, 2, 1, 1, 0, 1, -2}) // a weight with other vectors
	vm := G.NewTapeMachine(y.Graph())
	defer vm.Close()
	before, _ := sn.Vectors().Values()
	for _, training := range []bool{false, true} {
		sn.SetTraining(training)
		require.NoError(t, vm.RunAll())
		vm.Reset()
		after, _ := sn.Vectors().Values()
		require.Equal(t, training, !slices.Equal(before, after), "training: %v", training)
	}
}

// largestSingularValue computes it by many iterations on WᵀW.
func largestSingularValue(w []float64, rows, cols int) (sigma float64) {
	v := make([]float64, cols)
	v[0], v[cols-1] = 1, 0.5
	for range 10000 {
		next, square := make([]float64, cols), 0.0
		for i := range rows {
			dot := 0.0
			for j := range cols {
				dot += w[i*cols+j] * v[j]
			}
			square += dot * dot
			for j := range cols {
				next[j] += w[i*cols+j] * dot
			}
		}
		length := 0.0
		for _, x := range v {
			length += x * x
		}
		sigma = math.Sqrt(square / length)
		n := 0.0
		for _, x := range next {
			n += x * x
		}
		for j := range v {
			v[j] = next[j] / math.Sqrt(n)
		}
	}
	return sigma
}

// A discriminator's convolution: gradients through Gorgonia's Conv2d.
func TestSpectralNormOfConvolution(t *testing.T) {
	f := func(in G.Nodes) (*G.Node, error) {
		sn, err := norm.NewSpectralNorm(in[0].Graph(), tensor.Float64, tensor.Shape{2, 3, 2, 2},
			norm.WithWeight(wave(tensor.Float64, 0.2, 2, 3, 2, 2)))
		if err != nil {
			return nil, err
		}
		return G.Conv2d(in[0], norm.Must(sn.Weight()), tensor.Shape{2, 2}, []int{0, 0}, []int{1, 1}, []int{1, 1})
	}
	require.NoError(t, gradcheck.Check(f, []*tensor.Dense{wave(tensor.Float64, 0.5, 2, 3, 4, 4)}))
}

func TestSpectralNormRefuses(t *testing.T) {
	for text, opt := range map[string]norm.SpectralNormOption{
		"norm: spectralnorm: 0 power iterations, want at least 1":                                              norm.WithPowerIterations(0),
		"norm: spectralnorm: axis is 2, want 0 to 1 for a weight (4, 3), or WholeTensor":                       norm.WithAxis(2),
		"norm: spectralnorm: the weight is nil":                                                                norm.WithWeight(nil),
		"norm: spectralnorm: the weight is float64 (3, 4), want float64 (4, 3)":                                norm.WithWeight(wave(tensor.Float64, 0, 3, 4)),
		"norm: spectralnorm: the initializer of the weight is nil, want one such as gorgonia.Gaussian(0, 0.1)": norm.WithWeightInit(nil),
		"norm: spectralnorm: the initializer of the weight panicked: interface conversion:":                    norm.WithWeightInit(func(tensor.Dtype, ...int) any { return any(1).(string) }),
	} {
		g := G.NewGraph()
		_, err := norm.NewSpectralNorm(g, tensor.Float64, tensor.Shape{4, 3}, opt)
		require.ErrorContains(t, err, text)
		require.Empty(t, g.AllNodes())
	}
}
