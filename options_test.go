package norm_test

import (
	"io"
	"slices"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A layer with options applies the op with the same settings. Gorgonia merges equal ops
// of equal inputs into one node, and compares all settings for it, Reuse too.
func TestOptionsReachTheOp(t *testing.T) {
	const eps = 1e-3
	f64, four := tensor.Float64, tensor.Shape{4}
	for name, c := range map[string]func(g *G.ExprGraph, x *G.Node) (layer, op *G.Node){
		"layer norm": func(g *G.ExprGraph, x *G.Node) (*G.Node, *G.Node) {
			l := norm.Must(norm.NewLayerNorm(g, f64, four, norm.WithEps(eps), norm.WithUnbiasedStd(), norm.WithReuse()))
			p, cfg := l.Learnables(), ops.LayerNormConfig{Eps: eps, UnbiasedStd: true, Reuse: true}
			return norm.Must(l.Fwd(x)), norm.Must(ops.LayerNorm(x, p[0], p[1], four, cfg))
		},
		"layer norm of axes": func(g *G.ExprGraph, x *G.Node) (*G.Node, *G.Node) {
			l := norm.Must(norm.NewLayerNorm(g, f64, four, norm.WithEps(eps), norm.WithAxes(1), norm.WithReuse()))
			p, cfg := l.Learnables(), ops.LayerNormConfig{Eps: eps, Reuse: true}
			return norm.Must(l.Fwd(x)), norm.Must(ops.LayerNormAxes(x, p[0], p[1], []int{1}, cfg))
		},
		"RMS norm": func(g *G.ExprGraph, x *G.Node) (*G.Node, *G.Node) {
			l := norm.Must(norm.NewRMSNorm(g, f64, four, norm.WithEps(eps), norm.WithScalePlusOne(), norm.WithReuse()))
			cfg := ops.RMSNormConfig{Eps: eps, ScalePlusOne: true, Reuse: true}
			return norm.Must(l.Fwd(x)), norm.Must(ops.RMSNorm(x, l.Learnables()[0], nil, four, cfg))
		},
		"RMS norm of axes": func(g *G.ExprGraph, x *G.Node) (*G.Node, *G.Node) {
			l := norm.Must(norm.NewRMSNorm(g, f64, four, norm.WithEps(eps), norm.WithAxes(1), norm.WithReuse()))
			cfg := ops.RMSNormConfig{Eps: eps, Reuse: true}
			return norm.Must(l.Fwd(x)), norm.Must(ops.RMSNormAxes(x, l.Learnables()[0], nil, []int{1}, cfg))
		},
		"group norm": func(g *G.ExprGraph, x *G.Node) (*G.Node, *G.Node) {
			l := norm.Must(norm.NewGroupNorm(g, f64, 2, 4, norm.WithEps(eps), norm.WithReuse()))
			p, cfg := l.Learnables(), ops.GroupNormConfig{Groups: 2, Eps: eps, Reuse: true}
			return norm.Must(l.Fwd(x)), norm.Must(ops.GroupNorm(x, p[0], p[1], cfg))
		},
		"batch norm": func(g *G.ExprGraph, x *G.Node) (*G.Node, *G.Node) {
			l := norm.Must(norm.NewBatchNorm(g, f64, 4, norm.WithEps(eps), norm.WithChannelAxis(-1),
				norm.WithCumulativeAverage(), norm.WithMomentum(0.3), norm.WithReuse())) // the later one counts
			p, cfg := l.Learnables(), ops.BatchNormConfig{Eps: eps, Momentum: 0.3, ChannelAxis: -1, Reuse: true}
			return norm.Must(l.Fwd(x)), norm.Must(ops.BatchNorm(x, p[0], p[1], l.Running(), cfg))
		},
		"batch norm that averages": func(g *G.ExprGraph, x *G.Node) (*G.Node, *G.Node) {
			l := norm.Must(norm.NewBatchNorm(g, f64, 4, norm.WithMomentum(0.3), norm.WithCumulativeAverage()))
			p, cfg := l.Learnables(), ops.BatchNormConfig{Eps: 1e-5, Cumulative: true}
			return norm.Must(l.Fwd(x)), norm.Must(ops.BatchNorm(x, p[0], p[1], l.Running(), cfg))
		},
		"instance norm": func(g *G.ExprGraph, x *G.Node) (*G.Node, *G.Node) {
			l := norm.Must(norm.NewInstanceNorm(g, f64, 4, norm.WithEps(eps), norm.WithRunningStats(), norm.WithMomentum(0.3), norm.WithReuse()))
			cfg := ops.InstanceNormConfig{Eps: eps, Momentum: 0.3, Reuse: true}
			return norm.Must(l.Fwd(x)), norm.Must(ops.InstanceNorm(x, nil, nil, l.Running(), cfg))
		},
		"weight norm": func(g *G.ExprGraph, _ *G.Node) (*G.Node, *G.Node) {
			l := norm.Must(norm.NewWeightNorm(g, f64, tensor.Shape{4, 3}, norm.WithAxis(1), norm.WithReuse()))
			p, cfg := l.Learnables(), ops.WeightNormConfig{Axis: 1, Reuse: true}
			return norm.Must(l.Weight()), norm.Must(ops.WeightNorm(p[0], p[1], cfg))
		},
		"weight norm linear": func(g *G.ExprGraph, x *G.Node) (*G.Node, *G.Node) {
			l := norm.Must(norm.NewWeightNormLinear(g, f64, 4, 3, norm.WithAxis(1), norm.WithReuse()))
			p, cfg := l.Learnables(), ops.WeightNormConfig{Axis: 1, Reuse: true}
			return norm.Must(l.Fwd(x)), norm.Must(ops.WeightNormLinear(x, p[0], p[1], p[2], cfg))
		},
		"spectral norm": func(g *G.ExprGraph, _ *G.Node) (*G.Node, *G.Node) {
			l := norm.Must(norm.NewSpectralNorm(g, f64, tensor.Shape{4, 3}, norm.WithPowerIterations(7), norm.WithReuse()))
			cfg := ops.DefaultSpectralNorm()
			cfg.PowerIterations, cfg.Reuse = 7, true
			return norm.Must(l.Weight()), norm.Must(ops.SpectralNorm(l.Learnables()[0], l.Vectors(), cfg))
		},
	} {
		g := G.NewGraph()
		layer, op := c(g, input(g, wave(f64, 1, 2, 4, 3, 4)))
		require.Same(t, op, layer, "%s: %v, want %v", name, layer.Op(), op.Op())
	}
}

// A spectral norm has the singular vectors that ops.NewSingularVectors estimates for its
// axis.
func TestSpectralNormAxis(t *testing.T) {
	w := wave(tensor.Float64, 0.3, 4, 3)
	for _, axis := range []int{0, 1, norm.WholeTensor} {
		sn := norm.Must(norm.NewSpectralNorm(G.NewGraph(), tensor.Float64, w.Shape(), norm.WithWeight(w), norm.WithAxis(axis)))
		wantU, wantV := norm.Must(ops.NewSingularVectors(w, axis)).Values()
		u, v := sn.Vectors().Values()
		require.Equal(t, wantU, u, "axis %d", axis)
		require.Equal(t, wantV, v, "axis %d", axis)
	}
}

// An initializer is called with the shape of the weight, which is (out, in) for a linear
// layer, and returns the initial weight. If WithWeight is given too, the last one counts.
func TestWithWeightInit(t *testing.T) {
	shape := tensor.Shape{4, 3}
	start := wave(tensor.Float64, 0.3, shape...)
	init := norm.WithWeightInit(func(dt tensor.Dtype, s ...int) any {
		require.Equal(t, tensor.Float64, dt)
		require.Equal(t, shape, tensor.Shape(s))
		return start.Clone().(*tensor.Dense).Data()
	})
	other := norm.WithWeight(wave(tensor.Float64, 7, shape...))
	for kind, make := range map[string]func(first, second norm.WeightOption) layer{
		"weightnorm": func(first, second norm.WeightOption) layer {
			return norm.Must(norm.NewWeightNorm(G.NewGraph(), tensor.Float64, shape, first, second))
		},
		"weightnormlinear": func(first, second norm.WeightOption) layer {
			return norm.Must(norm.NewWeightNormLinear(G.NewGraph(), tensor.Float64, 3, 4, first, second))
		},
		"spectralnorm": func(first, second norm.WeightOption) layer {
			return norm.Must(norm.NewSpectralNorm(G.NewGraph(), tensor.Float64, shape, first, second))
		},
	} {
		startOf := func(l layer) []float64 { return graphtest.Floats(l.Learnables()[0].Value().(*tensor.Dense)) }
		require.Equal(t, graphtest.Floats(start), startOf(make(other, init)), kind)
		require.Equal(t, graphtest.Floats(wave(tensor.Float64, 7, shape...)), startOf(make(init, other)), kind)
	}
}

// Initializers are called with the shape of γ and β, or of the b of a linear layer, and
// return the initial values.
func TestWithScaleInitAndWithBiasInit(t *testing.T) {
	f32 := tensor.Float32
	start := func(first float64, shape ...int) G.InitWFn {
		return func(dt tensor.Dtype, s ...int) any {
			require.Equal(t, f32, dt)
			require.Equal(t, shape, s)
			return wave(f32, first, shape...).Data()
		}
	}
	scale, bias := norm.WithScaleInit(start(1, 4)), norm.WithBiasInit(start(2, 4))
	for kind, l := range map[string]layer{
		"batchnorm":    norm.Must(norm.NewBatchNorm(G.NewGraph(), f32, 4, scale, bias)),
		"groupnorm":    norm.Must(norm.NewGroupNorm(G.NewGraph(), f32, 2, 4, scale, bias)),
		"instancenorm": norm.Must(norm.NewInstanceNorm(G.NewGraph(), f32, 4, norm.WithAffine(), scale, bias)),
		"layernorm":    norm.Must(norm.NewLayerNorm(G.NewGraph(), f32, tensor.Shape{4}, bias, scale)),
		"rmsnorm":      norm.Must(norm.NewRMSNorm(G.NewGraph(), f32, tensor.Shape{4}, norm.WithScalePlusOne(), scale)),
	} {
		for i, p := range l.Learnables() {
			require.Equal(t, wave(f32, float64(i+1), 4).Data(), p.Value().Data(), "%s: %s", kind, p.Name())
		}
	}
	linear := norm.Must(norm.NewWeightNormLinear(G.NewGraph(), f32, 3, 4, bias))
	require.Equal(t, wave(f32, 2, 4).Data(), linear.Learnables()[2].Value().Data())
}

// An initializer may return the same memory each time. The parameters do not share it.
func TestInitializersKeepTheirMemory(t *testing.T) {
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		saved, want := wave(dt, 0, 4), wave(dt, 0, 4).Data()
		init := func(tensor.Dtype, ...int) any { return saved.Data() }
		bn := norm.Must(norm.NewBatchNorm(G.NewGraph(), dt, 4, norm.WithScaleInit(init), norm.WithBiasInit(init)))
		wn := norm.Must(norm.NewWeightNorm(G.NewGraph(), dt, tensor.Shape{4}, norm.WithWeightInit(init)))
		saved.Zero()
		gamma, beta, v := bn.Learnables()[0], bn.Learnables()[1], wn.Learnables()[0]
		gamma.Value().(*tensor.Dense).Zero()
		require.Equal(t, want, beta.Value().Data())
		require.Equal(t, want, v.Value().Data())
	}
}

// An initializer may change the slice of sizes that it is called with.
func TestInitializersGetSizesOfTheirOwn(t *testing.T) {
	init := func(_ tensor.Dtype, sizes ...int) any {
		slices.Reverse(sizes)
		return make([]float32, 6)
	}
	shape := tensor.Shape{2, 3}
	ln := norm.Must(norm.NewLayerNorm(G.NewGraph(), tensor.Float32, shape, norm.WithScaleInit(init)))
	wn := norm.Must(norm.NewWeightNorm(G.NewGraph(), tensor.Float32, shape, norm.WithWeightInit(init)))
	require.Equal(t, tensor.Shape{2, 3}, shape)
	for _, p := range norm.Learnables(ln, wn)[:3] { // γ, β and v
		require.Equal(t, shape, p.Shape())
	}
}

// A nil option is ignored.
func TestNilOptionIsIgnored(t *testing.T) {
	_, err := norm.NewLayerNorm(G.NewGraph(), tensor.Float64, tensor.Shape{3}, nil, norm.WithName("ln"), nil)
	require.NoError(t, err)
	w := input(G.NewGraph(), wave(tensor.Float64, 0, 2, 3))
	require.NoError(t, norm.Save(io.Discard, norm.Param("w", w, nil, norm.Transposed(), nil)))
}
