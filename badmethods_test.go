package norm_test

import (
	"fmt"
	"math"
	"reflect"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/ops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// fwdEval is a layer with Fwd and Eval.
type fwdEval interface {
	norm.Evaluator
	Fwd(x *G.Node) (*G.Node, error)
}

// forwards make such layers of 4 channels or inputs, without parameters where possible,
// since the ops then know less about the sizes.
var forwards = []struct {
	name string
	make func(g *G.ExprGraph) fwdEval
}{
	{"layernorm", func(g *G.ExprGraph) fwdEval {
		return norm.Must(norm.NewLayerNorm(g, f64, tensor.Shape{4}, norm.WithoutAffine()))
	}},
	{"rmsnorm", func(g *G.ExprGraph) fwdEval {
		return norm.Must(norm.NewRMSNorm(g, f64, tensor.Shape{4}, norm.WithoutScale()))
	}},
	{"batchnorm", func(g *G.ExprGraph) fwdEval { return norm.Must(norm.NewBatchNorm(g, f64, 4, norm.WithoutAffine())) }},
	{"groupnorm", func(g *G.ExprGraph) fwdEval { return norm.Must(norm.NewGroupNorm(g, f64, 2, 4, norm.WithoutAffine())) }},
	{"instancenorm", func(g *G.ExprGraph) fwdEval { return norm.Must(norm.NewInstanceNorm(g, f64, 4)) }},
	{"weightnormlinear", func(g *G.ExprGraph) fwdEval { return norm.Must(norm.NewWeightNormLinear(g, f64, 4, 3)) }},
}

// badInputs are calls of Fwd with nodes that a layer does not accept.
func badInputs() (all []badCall) {
	for _, l := range forwards {
		add := func(name string, kind error, x func(g *G.ExprGraph) *G.Node) {
			all = append(all, badCall{l.name + ": Fwd of " + name, kind, func(g *G.ExprGraph) func() error {
				layer, x := l.make(g), x(g)
				return func() error { return errorOf(layer.Fwd(x)) }
			}})
		}
		add("nil", norm.ErrGraph, func(*G.ExprGraph) *G.Node { return nil })
		add("a node of another graph", norm.ErrGraph, func(*G.ExprGraph) *G.Node { return nodeIn(G.NewGraph(), f64, 2, 4) })
		add("float32", norm.ErrDtype, func(g *G.ExprGraph) *G.Node { return nodeIn(g, tensor.Float32, 2, 4) })
		add("a scalar", norm.ErrShape, func(g *G.ExprGraph) *G.Node { return G.NewScalar(g, f64, G.WithName("x")) })
		add("an int scalar", norm.ErrShape, func(g *G.ExprGraph) *G.Node { return G.NewScalar(g, tensor.Int, G.WithName("x")) })
		add("a node without shape", norm.ErrShape, func(g *G.ExprGraph) *G.Node { return G.NewMatrix(g, f64, G.WithName("x")) })
		add("other sizes", norm.ErrShape, func(g *G.ExprGraph) *G.Node { return nodeIn(g, f64, 2, 7) })
		add("an empty axis", norm.ErrShape, func(g *G.ExprGraph) *G.Node { return nodeIn(g, f64, 0, 4) })
	}
	add := func(name string, kind error, layer func(g *G.ExprGraph) (*G.Node, func(x *G.Node) (*G.Node, error))) {
		all = append(all, badCall{name, kind, func(g *G.ExprGraph) func() error {
			x, fwd := layer(g)
			return func() error { return errorOf(fwd(x)) }
		}})
	}
	bn := func(shape tensor.Shape, o ...norm.BatchNormOption) func(g *G.ExprGraph) (*G.Node, func(x *G.Node) (*G.Node, error)) {
		return func(g *G.ExprGraph) (*G.Node, func(x *G.Node) (*G.Node, error)) {
			return nodeIn(g, f64, shape...), norm.Must(norm.NewBatchNorm(g, f64, 4, o...)).Fwd
		}
	}
	add("batchnorm: Fwd of rank 1", norm.ErrShape, bn(tensor.Shape{4}))
	add("batchnorm: Fwd of rank 6", norm.ErrShape, bn(tensor.Shape{2, 4, 2, 2, 2, 2}))
	add("batchnorm: Fwd of channels first where last are wanted", norm.ErrShape, bn(tensor.Shape{2, 4, 5}, norm.WithChannelAxis(-1)))
	add("batchnorm: Fwd of channels last where first are wanted", norm.ErrShape, bn(tensor.Shape{2, 5, 5, 4}))
	add("batchnorm: Fwd without the channel axis", norm.ErrShape, bn(tensor.Shape{2, 4}, norm.WithChannelAxis(2)))
	add("batchnorm: Fwd of one value per channel", norm.ErrBatch, bn(tensor.Shape{1, 4}, norm.WithoutRunningStats()))
	add("batchnorm: FwdFrozen without statistics", norm.ErrOption, func(g *G.ExprGraph) (*G.Node, func(x *G.Node) (*G.Node, error)) {
		return nodeIn(g, f64, 2, 4), norm.Must(norm.NewBatchNorm(g, f64, 4, norm.WithoutRunningStats())).FwdFrozen
	})
	add("instancenorm: FwdFrozen without statistics", norm.ErrOption, func(g *G.ExprGraph) (*G.Node, func(x *G.Node) (*G.Node, error)) {
		return nodeIn(g, f64, 2, 4, 3), norm.Must(norm.NewInstanceNorm(g, f64, 4)).FwdFrozen
	})
	add("instancenorm: Fwd of one value per channel", norm.ErrBatch, func(g *G.ExprGraph) (*G.Node, func(x *G.Node) (*G.Node, error)) {
		return nodeIn(g, f64, 2, 4, 1), norm.Must(norm.NewInstanceNorm(g, f64, 4)).Fwd
	})
	ln := func(shape tensor.Shape, axes ...int) func(g *G.ExprGraph) (*G.Node, func(x *G.Node) (*G.Node, error)) {
		return func(g *G.ExprGraph) (*G.Node, func(x *G.Node) (*G.Node, error)) {
			return nodeIn(g, f64, shape...), norm.Must(norm.NewLayerNorm(g, f64, tensor.Shape{4}, norm.WithAxes(axes...), norm.WithoutAffine())).Fwd
		}
	}
	add("layernorm: Fwd of channels first", norm.ErrShape, func(g *G.ExprGraph) (*G.Node, func(x *G.Node) (*G.Node, error)) {
		return nodeIn(g, f64, 2, 4, 5, 5), norm.Must(norm.NewLayerNorm(g, f64, tensor.Shape{4})).Fwd
	})
	add("layernorm: Fwd without the axis", norm.ErrShape, ln(tensor.Shape{2, 4}, 2))
	add("layernorm: Fwd of another size in the axis", norm.ErrShape, ln(tensor.Shape{2, 7, 4}, 1))
	add("rmsnorm: Fwd of another size in the axis", norm.ErrShape, func(g *G.ExprGraph) (*G.Node, func(x *G.Node) (*G.Node, error)) {
		return nodeIn(g, f64, 2, 7, 4), norm.Must(norm.NewRMSNorm(g, f64, tensor.Shape{4}, norm.WithAxes(1), norm.WithoutScale())).Fwd
	})
	return all
}

// badResiduals are calls of FwdResidual with terms that layer and RMS norm do not accept.
func badResiduals() (all []badCall) {
	type residual interface {
		FwdResidual(x, r *G.Node) (y, sum *G.Node, err error)
	}
	for _, l := range []struct {
		name string
		make func(g *G.ExprGraph, o ...norm.AxesOption) residual
	}{
		{"layernorm", func(g *G.ExprGraph, o ...norm.AxesOption) residual {
			return norm.Must(norm.NewLayerNorm(g, f64, tensor.Shape{4}, optionsAs[norm.LayerNormOption](o)...))
		}},
		{"rmsnorm", func(g *G.ExprGraph, o ...norm.AxesOption) residual {
			return norm.Must(norm.NewRMSNorm(g, f64, tensor.Shape{4}, optionsAs[norm.RMSNormOption](o)...))
		}},
	} {
		add := func(who, name string, kind error, nodes func(g *G.ExprGraph) (x, r *G.Node), o ...norm.AxesOption) {
			all = append(all, badCall{who + ": FwdResidual of " + name, kind, func(g *G.ExprGraph) func() error {
				layer := l.make(g, o...)
				x, r := nodes(g)
				return func() error {
					_, _, err := layer.FwdResidual(x, r)
					return err
				}
			}})
		}
		r := func(g *G.ExprGraph, dt tensor.Dtype, shape ...int) *G.Node {
			return G.NewTensor(g, dt, len(shape), G.WithShape(shape...), G.WithName("r"))
		}
		add(l.name, "x nil", norm.ErrGraph, func(g *G.ExprGraph) (*G.Node, *G.Node) { return nil, r(g, f64, 2, 4) })
		add(l.name, "r nil", norm.ErrGraph, func(g *G.ExprGraph) (*G.Node, *G.Node) { return nodeIn(g, f64, 2, 4), nil })
		add(l.name, "r of another graph", norm.ErrGraph, func(g *G.ExprGraph) (*G.Node, *G.Node) { return nodeIn(g, f64, 2, 4), r(G.NewGraph(), f64, 2, 4) })
		add(l.name, "r of another shape", norm.ErrShape, func(g *G.ExprGraph) (*G.Node, *G.Node) { return nodeIn(g, f64, 2, 4), r(g, f64, 1, 4) })
		add(l.name, "r float32", norm.ErrDtype, func(g *G.ExprGraph) (*G.Node, *G.Node) { return nodeIn(g, f64, 2, 4), r(g, tensor.Float32, 2, 4) })
		add(l.name, "axes that are not trailing", norm.ErrOption, func(g *G.ExprGraph) (*G.Node, *G.Node) {
			return nodeIn(g, f64, 2, 4, 3), r(g, f64, 2, 4, 3)
		}, norm.WithAxes(1))
	}
	return all
}

// optionsAs returns options of axes with the option type of one layer.
func optionsAs[O any](opts []norm.AxesOption) (all []O) {
	for _, o := range opts {
		all = append(all, o.(O))
	}
	return all
}

// badMasks are masks of x (2, 4, 3) that fail when a graph is built.
func badMasks() (all []badCall) {
	type masked interface {
		FwdMasked(x, mask *G.Node) (*G.Node, error)
	}
	for _, l := range forwards {
		if _, ok := l.make(G.NewGraph()).(masked); !ok {
			continue
		}
		add := func(name string, kind error, mask func(g *G.ExprGraph) *G.Node) {
			all = append(all, badCall{l.name + ": FwdMasked by " + name, kind, func(g *G.ExprGraph) func() error {
				layer, x, mask := l.make(g).(masked), nodeIn(g, f64, 2, 4, 3), mask(g)
				return func() error { return errorOf(layer.FwdMasked(x, mask)) }
			}})
		}
		of := func(g *G.ExprGraph, dt tensor.Dtype, shape ...int) *G.Node {
			return G.NewTensor(g, dt, len(shape), G.WithShape(shape...), G.WithName("mask"))
		}
		add("nil", norm.ErrGraph, func(*G.ExprGraph) *G.Node { return nil })
		add("a node of another graph", norm.ErrGraph, func(*G.ExprGraph) *G.Node { return of(G.NewGraph(), f64, 2, 3) })
		add("float32", norm.ErrDtype, func(g *G.ExprGraph) *G.Node { return of(g, tensor.Float32, 2, 3) })
		add("a bool", norm.ErrDtype, func(g *G.ExprGraph) *G.Node { return of(g, tensor.Bool, 2, 3) })
		add("the shape of x", norm.ErrShape, func(g *G.ExprGraph) *G.Node { return of(g, f64, 2, 4, 3) })
		add("lengths of another batch", norm.ErrShape, func(g *G.ExprGraph) *G.Node { return of(g, f64, 3) })
		add("a scalar", norm.ErrShape, func(g *G.ExprGraph) *G.Node { return G.NewScalar(g, f64, G.WithName("mask")) })
	}
	return all
}

// evalWeight is a layer with EvalWeight.
type evalWeight interface {
	EvalWeight(dst *tensor.Dense) (*tensor.Dense, error)
}

// badTensors are bad calls of Eval, EvalResidual and EvalWeight.
func badTensors() (all []badCall) {
	for _, l := range forwards {
		eval := func(name string, kind error, dst, x *tensor.Dense) {
			all = append(all, badCall{l.name + ": Eval " + name, kind, func(g *G.ExprGraph) func() error {
				layer := l.make(g)
				return func() error { return errorOf(layer.Eval(dst, x)) }
			}})
		}
		x := wave(f64, 0, 2, 4)
		if l.name == "instancenorm" {
			x = wave(f64, 0, 2, 4, 3)
		}
		eval("of nil", norm.ErrValue, nil, nil)
		eval("of float32", norm.ErrDtype, nil, wave(tensor.Float32, 0, 2, 4))
		eval("of other sizes", norm.ErrShape, nil, wave(f64, 0, 2, 7))
		eval("of a scalar", norm.ErrShape, nil, tensor.New(tensor.FromScalar(1.0)))
		eval("to float32", norm.ErrDtype, wave(tensor.Float32, 0, x.Shape()...), x)
		eval("to another shape", norm.ErrShape, wave(f64, 0, 5), x)
	}
	axis := func(name string, make func(g *G.ExprGraph) fwdEval) {
		all = append(all, badCall{name + ": Eval of another size in the axis", norm.ErrShape, func(g *G.ExprGraph) func() error {
			layer := make(g)
			return func() error { return errorOf(layer.Eval(nil, wave(f64, 0, 2, 7, 4))) }
		}})
	}
	axis("layernorm", func(g *G.ExprGraph) fwdEval {
		return norm.Must(norm.NewLayerNorm(g, f64, tensor.Shape{4}, norm.WithAxes(1), norm.WithoutAffine()))
	})
	axis("rmsnorm", func(g *G.ExprGraph) fwdEval {
		return norm.Must(norm.NewRMSNorm(g, f64, tensor.Shape{4}, norm.WithAxes(1), norm.WithoutScale()))
	})
	residual := func(name string, kind error, x, r *tensor.Dense, o ...norm.LayerNormOption) {
		all = append(all, badCall{name, kind, func(g *G.ExprGraph) func() error {
			ln := norm.Must(norm.NewLayerNorm(g, f64, tensor.Shape{4}, o...))
			return func() error {
				_, _, err := ln.EvalResidual(nil, nil, x, r)
				return err
			}
		}})
	}
	x := wave(f64, 0, 2, 4)
	residual("layernorm: EvalResidual without r", norm.ErrValue, x, nil)
	residual("layernorm: EvalResidual of another shape", norm.ErrShape, x, wave(f64, 0, 4))
	residual("layernorm: EvalResidual of axes that are not trailing", norm.ErrOption, wave(f64, 0, 4, 2), wave(f64, 0, 4, 2), norm.WithAxes(0))
	weight := func(name string, kind error, make func(g *G.ExprGraph) evalWeight, dst *tensor.Dense) {
		all = append(all, badCall{name, kind, func(g *G.ExprGraph) func() error {
			layer := make(g)
			return func() error { return errorOf(layer.EvalWeight(dst)) }
		}})
	}
	wn := func(g *G.ExprGraph) evalWeight { return norm.Must(norm.NewWeightNorm(g, f64, tensor.Shape{4, 3})) }
	sn := func(g *G.ExprGraph) evalWeight { return norm.Must(norm.NewSpectralNorm(g, f64, tensor.Shape{4, 3})) }
	linear := func(g *G.ExprGraph) evalWeight { return norm.Must(norm.NewWeightNormLinear(g, f64, 3, 4)) }
	weight("weightnorm: EvalWeight to another shape", norm.ErrShape, wn, wave(f64, 0, 3, 4))
	weight("weightnormlinear: EvalWeight to another shape", norm.ErrShape, linear, wave(f64, 0, 3, 4))
	weight("spectralnorm: EvalWeight to another shape", norm.ErrShape, sn, wave(f64, 0, 3, 4))
	weight("spectralnorm: EvalWeight to float32", norm.ErrDtype, sn, wave(tensor.Float32, 0, 4, 3))
	return all
}

// badFolds are bad calls of Fold for 4 channels.
func badFolds() (all []badCall) {
	add := func(name string, kind error, weight, bias *tensor.Dense, axis int, o ...norm.BatchNormOption) {
		all = append(all, badCall{"batchnorm: Fold " + name, kind, func(g *G.ExprGraph) func() error {
			bn := norm.Must(norm.NewBatchNorm(g, f64, 4, o...))
			return func() error {
				_, _, err := bn.Fold(weight, bias, axis)
				return err
			}
		}})
	}
	w := wave(f64, 0, 4, 3)
	add("of nil", norm.ErrValue, nil, nil, 0)
	add("of float32", norm.ErrDtype, wave(tensor.Float32, 0, 4, 3), nil, 0)
	add("of a scalar", norm.ErrShape, tensor.New(tensor.FromScalar(1.0)), nil, 0)
	add("along an axis too many", norm.ErrShape, w, nil, 2)
	add("along the axis of the inputs", norm.ErrShape, w, nil, 1)
	add("with a float32 bias", norm.ErrDtype, w, wave(tensor.Float32, 0, 4), 0)
	add("with a bias too long", norm.ErrShape, w, wave(f64, 0, 5), 0)
	add("with a bias of two axes", norm.ErrShape, w, wave(f64, 0, 2, 2), 0)
	add("without statistics", norm.ErrOption, w, nil, 0, norm.WithoutRunningStats())
	return all
}

// statisticsOf returns the running statistics and the number of batches, or nil if there
// are none.
func statisticsOf(bn *norm.BatchNorm) []any {
	if bn.Running() == nil {
		return nil
	}
	mean, variance, batches := bn.Running().Values()
	return []any{mean, variance, batches}
}

// badStatistics are bad calls of the methods that set or estimate the statistics of 2
// channels.
func badStatistics() (all []badCall) {
	add := func(name string, kind error, call func(bn *norm.BatchNorm) error, o ...norm.BatchNormOption) {
		all = append(all, badCall{name, kind, func(g *G.ExprGraph) func() error {
			bn := norm.Must(norm.NewBatchNorm(g, f64, 2, o...))
			return func() error {
				before := statisticsOf(bn)
				err := call(bn)
				if after := statisticsOf(bn); !reflect.DeepEqual(after, before) {
					return fmt.Errorf("the statistics are %v, and were %v", after, before)
				}
				return err
			}
		}})
	}
	set := func(name string, kind error, mean, variance []float64) {
		add("batchnorm: SetStats to "+name, kind, func(bn *norm.BatchNorm) error { return bn.SetStats(mean, variance) })
	}
	two := []float64{1, 2}
	set("nothing", norm.ErrShape, nil, nil)
	set("too many means", norm.ErrShape, []float64{1, 2, 3}, two)
	set("a variance too few", norm.ErrShape, two, two[:1])
	set("a mean NaN", norm.ErrValue, []float64{1, math.NaN()}, two)
	set("a negative variance", norm.ErrValue, two, []float64{1, -1})
	add("batchnorm: SetStats without statistics", norm.ErrOption, func(bn *norm.BatchNorm) error { return bn.SetStats(two, two) }, norm.WithoutRunningStats())
	add("batchnorm: SetMoments without statistics", norm.ErrOption, func(bn *norm.BatchNorm) error { return bn.SetMoments(bn.NewMoments()) }, norm.WithoutRunningStats())
	add("batchnorm: SetMoments to nil", norm.ErrValue, func(bn *norm.BatchNorm) error { return bn.SetMoments(nil) })
	add("batchnorm: SetMoments to those of nothing", norm.ErrBatch, func(bn *norm.BatchNorm) error { return bn.SetMoments(bn.NewMoments()) })
	add("batchnorm: SetMoments of other channels", norm.ErrShape, func(bn *norm.BatchNorm) error { return bn.SetMoments(norm.Must(ops.NewMoments(3, 1))) })
	nothing := func() error { return nil }
	add("reestimate: no run", norm.ErrOption, func(bn *norm.BatchNorm) error { return norm.Reestimate(nil, bn) })
	add("reestimate: nil layer", norm.ErrGraph, func(bn *norm.BatchNorm) error { return norm.Reestimate(nothing, bn, nil) })
	add("reestimate: zero layer", norm.ErrGraph, func(bn *norm.BatchNorm) error { return norm.Reestimate(nothing, bn, &norm.BatchNorm{}) })
	add("reestimate: no batches", norm.ErrBatch, func(bn *norm.BatchNorm) error { return norm.Reestimate(nothing, bn) })
	add("reestimate: within another", norm.ErrOption, func(bn *norm.BatchNorm) error {
		return norm.Reestimate(func() error { return norm.Reestimate(nothing, bn) }, bn)
	})
	add("batchnorm: Reestimate without statistics", norm.ErrOption, func(bn *norm.BatchNorm) error { return norm.Reestimate(nothing, bn) }, norm.WithoutRunningStats())
	return all
}
