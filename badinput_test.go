package norm_test

import (
	"math"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/internal/badcall"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// badCall is a call that must fail and change nothing. prepare makes what the call needs
// in a graph, and returns the call.
type badCall struct {
	name    string
	kind    error
	prepare func(g *G.ExprGraph) (call func() error)
}

// The texts of the errors are in testdata/errors.txt.
func TestBadInput(t *testing.T) {
	var calls []badcall.Call
	for _, c := range badCalls() {
		calls = append(calls, badcall.Call{Name: c.name, Kind: c.kind, Make: func(t *testing.T) error {
			g := G.NewGraph()
			call := c.prepare(g)
			nodes := len(g.AllNodes())
			err := call()
			require.Len(t, g.AllNodes(), nodes, "the graph is as it was")
			return err
		}})
	}
	badcall.Check(t, "norm: ", true, calls)
}

func badCalls() (all []badCall) {
	all = append(all, badKinds()...)
	all = append(all, badConstructors()...)
	all = append(all, badWeights()...)
	all = append(all, badInputs()...)
	all = append(all, badResiduals()...)
	all = append(all, badMasks()...)
	all = append(all, badTensors()...)
	all = append(all, badFolds()...)
	return append(all, badStatistics()...)
}

// errorOf returns the error of a call whose result must not be used.
func errorOf[T any](_ T, err error) error { return err }

func nodeIn(g *G.ExprGraph, dt tensor.Dtype, shape ...int) *G.Node {
	return G.NewTensor(g, dt, len(shape), G.WithShape(shape...), G.WithName("x"))
}

var f64 = tensor.Float64

// errorIn returns the error of a layer's In.
func errorIn[L any](in func(*G.ExprGraph) (L, error)) func(other *G.ExprGraph) error {
	return func(other *G.ExprGraph) error { return errorOf(in(other)) }
}

// kinds are all kinds of layers.
var kinds = []struct {
	name string
	make func(g *G.ExprGraph, dt tensor.Dtype, name norm.AnyOption) error
	in   func(g *G.ExprGraph) func(other *G.ExprGraph) error
}{
	{"layernorm", func(g *G.ExprGraph, dt tensor.Dtype, o norm.AnyOption) error {
		return errorOf(norm.NewLayerNorm(g, dt, tensor.Shape{4}, o))
	}, func(g *G.ExprGraph) func(other *G.ExprGraph) error {
		return errorIn(norm.Must(norm.NewLayerNorm(g, f64, tensor.Shape{4})).In)
	}},
	{"rmsnorm", func(g *G.ExprGraph, dt tensor.Dtype, o norm.AnyOption) error {
		return errorOf(norm.NewRMSNorm(g, dt, tensor.Shape{4}, o))
	}, func(g *G.ExprGraph) func(other *G.ExprGraph) error {
		return errorIn(norm.Must(norm.NewRMSNorm(g, f64, tensor.Shape{4})).In)
	}},
	{"batchnorm", func(g *G.ExprGraph, dt tensor.Dtype, o norm.AnyOption) error {
		return errorOf(norm.NewBatchNorm(g, dt, 4, o))
	}, func(g *G.ExprGraph) func(other *G.ExprGraph) error {
		return errorIn(norm.Must(norm.NewBatchNorm(g, f64, 4)).In)
	}},
	{"groupnorm", func(g *G.ExprGraph, dt tensor.Dtype, o norm.AnyOption) error {
		return errorOf(norm.NewGroupNorm(g, dt, 2, 4, o))
	}, func(g *G.ExprGraph) func(other *G.ExprGraph) error {
		return errorIn(norm.Must(norm.NewGroupNorm(g, f64, 2, 4)).In)
	}},
	{"instancenorm", func(g *G.ExprGraph, dt tensor.Dtype, o norm.AnyOption) error {
		return errorOf(norm.NewInstanceNorm(g, dt, 4, norm.WithAffine(), o))
	}, func(g *G.ExprGraph) func(other *G.ExprGraph) error {
		return errorIn(norm.Must(norm.NewInstanceNorm(g, f64, 4, norm.WithAffine())).In)
	}},
	{"weightnorm", func(g *G.ExprGraph, dt tensor.Dtype, o norm.AnyOption) error {
		return errorOf(norm.NewWeightNorm(g, dt, tensor.Shape{4, 3}, o))
	}, func(g *G.ExprGraph) func(other *G.ExprGraph) error {
		return errorIn(norm.Must(norm.NewWeightNorm(g, f64, tensor.Shape{4, 3})).In)
	}},
	{"weightnormlinear", func(g *G.ExprGraph, dt tensor.Dtype, o norm.AnyOption) error {
		return errorOf(norm.NewWeightNormLinear(g, dt, 4, 3, o))
	}, func(g *G.ExprGraph) func(other *G.ExprGraph) error {
		return errorIn(norm.Must(norm.NewWeightNormLinear(g, f64, 4, 3)).In)
	}},
	{"spectralnorm", func(g *G.ExprGraph, dt tensor.Dtype, o norm.AnyOption) error {
		return errorOf(norm.NewSpectralNorm(g, dt, tensor.Shape{4, 3}, o))
	}, func(g *G.ExprGraph) func(other *G.ExprGraph) error {
		return errorIn(norm.Must(norm.NewSpectralNorm(g, f64, tensor.Shape{4, 3})).In)
	}},
}

// badKinds are calls that no kind of layer allows.
func badKinds() (all []badCall) {
	for _, k := range kinds {
		firstParam := map[string]string{"weightnorm": "v", "weightnormlinear": "v", "spectralnorm": "w"}[k.name]
		if firstParam == "" {
			firstParam = "gamma"
		}
		call := func(name string, kind error, call func(g *G.ExprGraph) error) {
			all = append(all, badCall{k.name + ": " + name, kind, func(g *G.ExprGraph) func() error { return func() error { return call(g) } }})
		}
		call("no graph", norm.ErrGraph, func(*G.ExprGraph) error { return k.make(nil, f64, nil) })
		call("of no dtype", norm.ErrDtype, func(g *G.ExprGraph) error { return k.make(g, tensor.Dtype{}, nil) })
		for _, dt := range []tensor.Dtype{tensor.Int, tensor.Uint8, tensor.Bool, tensor.Complex64} {
			call("of "+dt.String(), norm.ErrDtype, func(g *G.ExprGraph) error { return k.make(g, dt, nil) })
		}
		call("name that is not UTF-8", norm.ErrName, func(g *G.ExprGraph) error { return k.make(g, f64, norm.WithName("a\xff")) })
		all = append(all,
			badCall{k.name + ": name of another layer", norm.ErrName, func(g *G.ExprGraph) func() error {
				norm.Must(norm.NewLayerNorm(g, f64, tensor.Shape{2}, norm.WithName("a")))
				return func() error { return k.make(g, f64, norm.WithName("a")) }
			}},
			badCall{k.name + ": name of a node", norm.ErrName, func(g *G.ExprGraph) func() error {
				G.NewVector(g, f64, G.WithName("a."+firstParam), G.WithShape(2))
				return func() error { return k.make(g, f64, norm.WithName("a")) }
			}})
		all = append(all,
			badCall{k.name + ": in no graph", norm.ErrGraph, func(g *G.ExprGraph) func() error {
				in := k.in(g)
				return func() error { return in(nil) }
			}},
			badCall{k.name + ": in a graph with a layer of the name", norm.ErrName, func(g *G.ExprGraph) func() error {
				norm.Must(norm.NewLayerNorm(g, f64, tensor.Shape{2}, norm.WithName(k.name)))
				in := k.in(G.NewGraph())
				return func() error { return in(g) }
			}},
			badCall{k.name + ": in its own graph", norm.ErrName, func(g *G.ExprGraph) func() error {
				in := k.in(g)
				return func() error { return in(g) }
			}})
	}
	return all
}

// badConstructors are bad options and sizes of the layers that normalize activations.
func badConstructors() (all []badCall) {
	add := func(name string, kind error, call func(g *G.ExprGraph) error) {
		all = append(all, badCall{name, kind, func(g *G.ExprGraph) func() error { return func() error { return call(g) } }})
	}
	ln := func(s tensor.Shape, o ...norm.LayerNormOption) func(g *G.ExprGraph) error {
		return func(g *G.ExprGraph) error { return errorOf(norm.NewLayerNorm(g, f64, s, o...)) }
	}
	rms := func(s tensor.Shape, o ...norm.RMSNormOption) func(g *G.ExprGraph) error {
		return func(g *G.ExprGraph) error { return errorOf(norm.NewRMSNorm(g, f64, s, o...)) }
	}
	bn := func(channels int, o ...norm.BatchNormOption) func(g *G.ExprGraph) error {
		return func(g *G.ExprGraph) error { return errorOf(norm.NewBatchNorm(g, f64, channels, o...)) }
	}
	gn := func(groups, channels int, o ...norm.GroupNormOption) func(g *G.ExprGraph) error {
		return func(g *G.ExprGraph) error { return errorOf(norm.NewGroupNorm(g, f64, groups, channels, o...)) }
	}
	in := func(channels int, o ...norm.InstanceNormOption) func(g *G.ExprGraph) error {
		return func(g *G.ExprGraph) error { return errorOf(norm.NewInstanceNorm(g, f64, channels, o...)) }
	}
	for _, e := range []struct {
		name string
		eps  float64
	}{{"0", 0}, {"negative", -1e-5}, {"NaN", math.NaN()}, {"infinite", math.Inf(1)}, {"subnormal", 0x1p-1023}} {
		add("layernorm: eps "+e.name, norm.ErrOption, ln(tensor.Shape{4}, norm.WithEps(e.eps)))
		add("rmsnorm: eps "+e.name, norm.ErrOption, rms(tensor.Shape{4}, norm.WithEps(e.eps)))
		add("batchnorm: eps "+e.name, norm.ErrOption, bn(4, norm.WithEps(e.eps)))
		add("groupnorm: eps "+e.name, norm.ErrOption, gn(2, 4, norm.WithEps(e.eps)))
		add("instancenorm: eps "+e.name, norm.ErrOption, in(4, norm.WithEps(e.eps)))
	}
	for _, m := range []struct {
		name     string
		momentum float64
	}{{"negative", -0.1}, {"over 1", 1.5}, {"NaN", math.NaN()}} {
		add("batchnorm: momentum "+m.name, norm.ErrOption, bn(4, norm.WithMomentum(m.momentum)))
		add("instancenorm: momentum "+m.name, norm.ErrOption, in(4, norm.WithRunningStats(), norm.WithMomentum(m.momentum)))
	}
	for _, s := range []struct {
		name  string
		shape tensor.Shape
	}{{"empty", nil}, {"with zero", tensor.Shape{3, 0}}, {"negative", tensor.Shape{-3}}, {"too large", tensor.Shape{1 << 30, 1 << 30}}} {
		add("layernorm: normalized shape "+s.name, norm.ErrShape, ln(s.shape))
		add("rmsnorm: normalized shape "+s.name, norm.ErrShape, rms(s.shape))
	}
	for _, c := range []struct {
		name     string
		channels int
	}{{"no channels", 0}, {"negative channels", -3}, {"too many channels", math.MaxInt}} {
		add("batchnorm: "+c.name, norm.ErrShape, bn(c.channels))
		add("instancenorm: "+c.name, norm.ErrShape, in(c.channels))
		add("groupnorm: "+c.name, norm.ErrShape, gn(1, c.channels))
	}
	add("groupnorm: no groups", norm.ErrOption, gn(0, 4))
	add("groupnorm: negative groups", norm.ErrOption, gn(-2, 4))
	add("groupnorm: groups that do not divide", norm.ErrOption, gn(3, 4))
	add("groupnorm: more groups than channels", norm.ErrOption, gn(8, 4))
	add("batchnorm: channel axis 0", norm.ErrOption, bn(4, norm.WithChannelAxis(0)))
	add("batchnorm: channel axis 5", norm.ErrOption, bn(4, norm.WithChannelAxis(5)))
	add("batchnorm: channel axis -6", norm.ErrOption, bn(4, norm.WithChannelAxis(-6)))
	add("layernorm: an axis twice", norm.ErrShape, ln(tensor.Shape{3, 3}, norm.WithAxes(1, 1)))
	add("layernorm: fewer axes than sizes", norm.ErrShape, ln(tensor.Shape{3, 4}, norm.WithAxes(1)))
	add("layernorm: no axes", norm.ErrShape, ln(tensor.Shape{3}, norm.WithAxes()))
	add("rmsnorm: more axes than sizes", norm.ErrShape, rms(tensor.Shape{3}, norm.WithAxes(1, 2)))
	add("rmsnorm: scale plus one, and none", norm.ErrOption, rms(tensor.Shape{3}, norm.WithScalePlusOne(), norm.WithoutScale()))
	add("rmsnorm: bias that it has not", norm.ErrOption, rms(tensor.Shape{3}, norm.WithBiasInit(G.Ones())))
	add("batchnorm: scale left out, and given", norm.ErrOption, bn(4, norm.WithoutScale(), norm.WithScaleInit(G.Ones())))
	add("instancenorm: scale that it has not", norm.ErrOption, in(4, norm.WithScaleInit(G.Ones())))
	add("layernorm: scale without initializer", norm.ErrOption, ln(tensor.Shape{3}, norm.WithScaleInit(nil)))
	add("groupnorm: scale of float32", norm.ErrValue, gn(2, 4, norm.WithScaleInit(initial(make([]float32, 4)))))
	add("layernorm: scale of NaN", norm.ErrValue, ln(tensor.Shape{3}, norm.WithScaleInit(initial([]float64{1, math.NaN(), 1}))))
	add("batchnorm: bias too short", norm.ErrValue, bn(4, norm.WithBiasInit(initial(make([]float64, 3)))))
	add("batchnorm: bias too long", norm.ErrValue, bn(4, norm.WithBiasInit(initial(make([]float64, 5)))))
	return all
}

// initial is an initializer that returns v.
func initial(v any) G.InitWFn { return func(tensor.Dtype, ...int) any { return v } }

// badWeights are bad options and sizes of the layers that normalize weights.
func badWeights() (all []badCall) {
	for _, k := range []struct {
		name string
		make func(g *G.ExprGraph, shape tensor.Shape, o norm.WeightOption) error
	}{
		{"weightnorm", func(g *G.ExprGraph, s tensor.Shape, o norm.WeightOption) error {
			return errorOf(norm.NewWeightNorm(g, f64, s, o))
		}},
		{"weightnormlinear", func(g *G.ExprGraph, s tensor.Shape, o norm.WeightOption) error {
			return errorOf(norm.NewWeightNormLinear(g, f64, s[1], s[0], o))
		}},
		{"spectralnorm", func(g *G.ExprGraph, s tensor.Shape, o norm.WeightOption) error {
			return errorOf(norm.NewSpectralNorm(g, f64, s, o))
		}},
	} {
		add := func(name string, kind error, shape tensor.Shape, o norm.WeightOption) {
			all = append(all, badCall{k.name + ": " + name, kind, func(g *G.ExprGraph) func() error { return func() error { return k.make(g, shape, o) } }})
		}
		add("size 0", norm.ErrShape, tensor.Shape{0, 3}, nil)
		add("size negative", norm.ErrShape, tensor.Shape{4, -3}, nil)
		add("too large", norm.ErrShape, tensor.Shape{1 << 30, 1 << 30}, nil)
		if k.name != "weightnormlinear" {
			add("rank 6", norm.ErrShape, tensor.Shape{1, 1, 1, 1, 1, 1}, nil)
			add("rank 0", norm.ErrShape, nil, nil)
		}
		four := tensor.Shape{4, 3}
		add("axis 2 of 2", norm.ErrShape, four, norm.WithAxis(2))
		add("axis -1", norm.ErrShape, four, norm.WithAxis(-1))
		add("no initializer", norm.ErrOption, four, norm.WithWeightInit(nil))
		add("initializer panics", norm.ErrValue, four, norm.WithWeightInit(func(tensor.Dtype, ...int) any { panic("no") }))
		add("initializer gives too few", norm.ErrValue, four, norm.WithWeightInit(initial([]float64{1})))
		add("initializer gives float32", norm.ErrValue, four, norm.WithWeightInit(initial(make([]float32, 12))))
		add("initializer gives nil", norm.ErrValue, four, norm.WithWeightInit(initial(nil)))
		infinite := make([]float64, 12)
		infinite[7] = math.Inf(-1)
		add("initializer gives an infinity", norm.ErrValue, four, norm.WithWeightInit(initial(infinite)))
		add("weight with an infinity", norm.ErrValue, four, norm.WithWeight(tensor.New(tensor.WithShape(4, 3), tensor.WithBacking(infinite))))
		add("weight nil", norm.ErrValue, four, norm.WithWeight(nil))
		add("weight of another rank", norm.ErrValue, four, norm.WithWeight(wave(f64, 0, 12)))
		add("weight transposed", norm.ErrValue, four, norm.WithWeight(wave(f64, 0, 3, 4)))
		add("weight float32", norm.ErrValue, four, norm.WithWeight(wave(tensor.Float32, 0, 4, 3)))
		masked := tensor.New(tensor.WithShape(4, 3), tensor.WithBacking(make([]float64, 12), make([]bool, 12)))
		add("weight with a mask", norm.ErrValue, four, norm.WithWeight(masked))
	}
	linear := func(name string, kind error, o ...norm.WeightNormLinearOption) {
		all = append(all, badCall{"weightnormlinear: " + name, kind, func(g *G.ExprGraph) func() error {
			return func() error { return errorOf(norm.NewWeightNormLinear(g, f64, 3, 4, o...)) }
		}})
	}
	linear("bias left out, and given", norm.ErrOption, norm.WithoutBias(), norm.WithBiasInit(G.Ones()))
	linear("bias too short", norm.ErrValue, norm.WithBiasInit(initial(make([]float64, 3))))
	for _, n := range []struct {
		name string
		n    int
	}{{"no power iterations", 0}, {"negative power iterations", -1}} {
		all = append(all, badCall{"spectralnorm: " + n.name, norm.ErrOption, func(g *G.ExprGraph) func() error {
			return func() error {
				return errorOf(norm.NewSpectralNorm(g, f64, tensor.Shape{4, 3}, norm.WithPowerIterations(n.n)))
			}
		}})
	}
	return all
}
