package ops_test

import (
	"github.com/gorgonorm/norm/ops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// badCalls are calls that fail when a graph is built. A name begins with the op's name in
// errors.
func badCalls() (all []badCall) {
	all = append(all, badLayerNorms()...)
	all = append(all, badBatchNorms()...)
	all = append(all, badGroupNorms()...)
	all = append(all, badWeightNorms()...)
	all = append(all, badLinears()...)
	all = append(all, badMoments()...)
	all = append(all, badRMSNorms()...)
	all = append(all, badResiduals()...)
	all = append(all, badLayerNormAxes()...)
	all = append(all, badRMSNormAxes()...)
	all = append(all, badMasks()...)
	all = append(all, badNormalizes()...)
	all = append(all, badLocalResponses()...)
	all = append(all, badSpectrals()...)
	all = append(all, badReshapes()...)
	return append(all, badOthers()...)
}

func badLayerNorms() []badCall {
	six := shape(6)
	return []badCall{
		{"layernorm: x nil", ops.ErrGraph, func(b *bench) error { return ln(nil, b.f(6), b.f(6), six, 1e-5) }},
		{"layernorm: x and all nil", ops.ErrGraph, func(*bench) error { return ln(nil, nil, nil, six, 1e-5) }},
		{"layernorm: x int", ops.ErrDtype, func(b *bench) error { return ln(b.of(tensor.Int, 4, 6), nil, nil, six, 1e-5) }},
		{"layernorm: x int64", ops.ErrDtype, func(b *bench) error { return ln(b.of(tensor.Int64, 4, 6), nil, nil, six, 1e-5) }},
		{"layernorm: x uint8", ops.ErrDtype, func(b *bench) error { return ln(b.of(tensor.Uint8, 4, 6), nil, nil, six, 1e-5) }},
		{"layernorm: x bool", ops.ErrDtype, func(b *bench) error { return ln(b.of(tensor.Bool, 4, 6), nil, nil, six, 1e-5) }},
		{"layernorm: x complex", ops.ErrDtype, func(b *bench) error { return ln(b.of(tensor.Complex64, 4, 6), nil, nil, six, 1e-5) }},
		{"layernorm: gamma float32, x float64", ops.ErrDtype, func(b *bench) error { return ln(b.f(4, 6), b.of(tensor.Float32, 6), nil, six, 1e-5) }},
		{"layernorm: beta float64, x float32", ops.ErrDtype, func(b *bench) error { return ln(b.of(tensor.Float32, 4, 6), nil, b.f(6), six, 1e-5) }},
		{"layernorm: gamma int", ops.ErrDtype, func(b *bench) error { return ln(b.f(4, 6), b.of(tensor.Int, 6), nil, six, 1e-5) }},
		{"layernorm: x scalar", ops.ErrShape, func(b *bench) error { return ln(b.scalar(), nil, nil, six, 1e-5) }},
		{"layernorm: gamma scalar", ops.ErrShape, func(b *bench) error { return ln(b.f(4, 6), b.scalar(), nil, six, 1e-5) }},
		{"layernorm: x without shape", ops.ErrShape, func(b *bench) error { return ln(b.shapeless(), nil, nil, six, 1e-5) }},
		{"layernorm: x with empty axis", ops.ErrShape, func(b *bench) error { return ln(b.f(0, 6), nil, nil, six, 1e-5) }},
		{"layernorm: normalized shape empty", ops.ErrShape, func(b *bench) error { return ln(b.f(4, 6), nil, nil, nil, 1e-5) }},
		{"layernorm: normalized shape longer than x", ops.ErrShape, func(b *bench) error { return ln(b.f(4, 6), nil, nil, shape(2, 4, 6), 1e-5) }},
		{"layernorm: normalized shape not the tail", ops.ErrShape, func(b *bench) error { return ln(b.f(4, 6), nil, nil, shape(4), 1e-5) }},
		{"layernorm: normalized shape with zero", ops.ErrShape, func(b *bench) error { return ln(b.f(4, 6), nil, nil, shape(4, 0), 1e-5) }},
		{"layernorm: normalized shape negative", ops.ErrShape, func(b *bench) error { return ln(b.f(4, 6), nil, nil, shape(-1), 1e-5) }},
		{"layernorm: gamma too long", ops.ErrShape, func(b *bench) error { return ln(b.f(4, 6), b.f(7), nil, six, 1e-5) }},
		{"layernorm: gamma a row", ops.ErrShape, func(b *bench) error { return ln(b.f(4, 6), b.f(1, 6), nil, six, 1e-5) }},
		{"layernorm: beta of one element", ops.ErrShape, func(b *bench) error { return ln(b.f(4, 6), b.f(6), b.f(1), six, 1e-5) }},
		{"layernorm: beta flat", ops.ErrShape, func(b *bench) error { return ln(b.f(2, 4, 6), nil, b.f(24), shape(4, 6), 1e-5) }},
		{"layernorm: eps 0", ops.ErrOption, func(b *bench) error { return ln(b.f(4, 6), nil, nil, six, 0) }},
		{"layernorm: eps negative", ops.ErrOption, func(b *bench) error { return ln(b.f(4, 6), nil, nil, six, -1e-5) }},
		{"layernorm: eps NaN", ops.ErrOption, func(b *bench) error { return ln(b.f(4, 6), nil, nil, six, nan) }},
		{"layernorm: eps infinite", ops.ErrOption, func(b *bench) error { return ln(b.f(4, 6), nil, nil, six, inf) }},
		{"layernorm: x a constant", ops.ErrGraph, func(b *bench) error { return ln(G.NewConstant(wave(0, 4, 6)), nil, nil, six, 1e-5) }},
		{"layernorm: gamma a constant of float32", ops.ErrDtype, func(b *bench) error {
			return ln(b.f(4, 6), G.NewConstant(tensor.New(tensor.WithShape(6), tensor.Of(tensor.Float32))), nil, six, 1e-5)
		}},
		{"layernorm: gamma of another graph", ops.ErrGraph, func(b *bench) error { return ln(b.f(4, 6), b.elsewhere(6), nil, six, 1e-5) }},
		{"layernorm: beta of another graph", ops.ErrGraph, func(b *bench) error { return ln(b.f(4, 6), nil, b.elsewhere(6), six, 1e-5) }},
	}
}

func badBatchNorms() []badCall {
	option := func(change func(*ops.BatchNormConfig)) func(b *bench) error {
		return func(b *bench) error { return bn(b.f(4, 3), nil, nil, running(3), cfgWith(change)) }
	}
	return []badCall{
		{"batchnorm: x nil", ops.ErrGraph, func(*bench) error { return bn(nil, nil, nil, running(3), cfg) }},
		{"batchnorm: x int", ops.ErrDtype, func(b *bench) error { return bn(b.of(tensor.Int, 4, 3), nil, nil, running(3), cfg) }},
		{"batchnorm: x complex", ops.ErrDtype, func(b *bench) error { return bn(b.of(tensor.Complex128, 4, 3), nil, nil, running(3), cfg) }},
		{"batchnorm: gamma float32, x float64", ops.ErrDtype, func(b *bench) error { return bn(b.f(4, 3), b.of(tensor.Float32, 3), nil, running(3), cfg) }},
		{"batchnorm: x scalar", ops.ErrShape, func(b *bench) error { return bn(b.scalar(), nil, nil, running(3), cfg) }},
		{"batchnorm: x of rank 1", ops.ErrShape, func(b *bench) error { return bn(b.f(3), nil, nil, running(3), cfg) }},
		{"batchnorm: x of rank 6", ops.ErrShape, func(b *bench) error { return bn(b.f(2, 3, 2, 2, 2, 2), nil, nil, running(3), cfg) }},
		{"batchnorm: x without shape", ops.ErrShape, func(b *bench) error { return bn(b.shapeless(), nil, nil, running(3), cfg) }},
		{"batchnorm: x with empty axis", ops.ErrShape, func(b *bench) error { return bn(b.f(0, 3), nil, nil, running(3), cfg) }},
		{"batchnorm: other number of channels", ops.ErrShape, func(b *bench) error { return bn(b.f(4, 3), nil, nil, running(5), cfg) }},
		{"batchnorm: channels last", ops.ErrShape, func(b *bench) error { return bn(b.f(2, 8, 8, 3), nil, nil, running(3), cfg) }},
		{"batchnorm: channel axis too large", ops.ErrShape, func(b *bench) error {
			return bn(b.f(4, 3), nil, nil, running(3), cfgWith(func(c *ops.BatchNormConfig) { c.ChannelAxis = 2 }))
		}},
		{"batchnorm: channel axis too far from the end", ops.ErrShape, func(b *bench) error {
			return bn(b.f(4, 3), nil, nil, running(3), cfgWith(func(c *ops.BatchNormConfig) { c.ChannelAxis = -3 }))
		}},
		{"batchnorm: channels first where last are wanted", ops.ErrShape, func(b *bench) error {
			return bn(b.f(2, 3, 8, 8), nil, nil, running(3), cfgWith(func(c *ops.BatchNormConfig) { c.ChannelAxis = -1 }))
		}},
		{"batchnorm: gamma of axis 1 where channels are last", ops.ErrShape, func(b *bench) error {
			return bn(b.f(2, 3, 8), b.f(3), nil, nil, cfgWith(func(c *ops.BatchNormConfig) { c.ChannelAxis = -1 }))
		}},
		{"batchnorm: gamma a row", ops.ErrShape, func(b *bench) error { return bn(b.f(4, 3), b.f(1, 3), nil, running(3), cfg) }},
		{"batchnorm: gamma of rank 4", ops.ErrShape, func(b *bench) error { return bn(b.f(2, 3, 4, 4), b.f(1, 3, 1, 1), nil, running(3), cfg) }},
		{"batchnorm: beta too short", ops.ErrShape, func(b *bench) error { return bn(b.f(4, 3), b.f(3), b.f(2), running(3), cfg) }},
		{"batchnorm: beta scalar", ops.ErrShape, func(b *bench) error { return bn(b.f(4, 3), b.f(3), b.scalar(), running(3), cfg) }},
		{"batchnorm: eps 0", ops.ErrOption, option(func(c *ops.BatchNormConfig) { c.Eps = 0 })},
		{"batchnorm: eps negative", ops.ErrOption, option(func(c *ops.BatchNormConfig) { c.Eps = -1 })},
		{"batchnorm: eps NaN", ops.ErrOption, option(func(c *ops.BatchNormConfig) { c.Eps = nan })},
		{"batchnorm: eps infinite", ops.ErrOption, option(func(c *ops.BatchNormConfig) { c.Eps = inf })},
		{"batchnorm: momentum negative", ops.ErrOption, option(func(c *ops.BatchNormConfig) { c.Momentum = -0.1 })},
		{"batchnorm: momentum over 1", ops.ErrOption, option(func(c *ops.BatchNormConfig) { c.Momentum = 1.1 })},
		{"batchnorm: momentum NaN", ops.ErrOption, option(func(c *ops.BatchNormConfig) { c.Momentum = nan })},
		{"batchnorm: momentum infinite", ops.ErrOption, option(func(c *ops.BatchNormConfig) { c.Momentum = inf })},
		{"batchnorm: gamma of another graph", ops.ErrGraph, func(b *bench) error { return bn(b.f(4, 3), b.elsewhere(3), nil, running(3), cfg) }},
		{"batchnorm: frozen without statistics", ops.ErrOption, func(b *bench) error {
			return bn(b.f(4, 3), nil, nil, nil, cfgWith(func(c *ops.BatchNormConfig) { c.Frozen = true }))
		}},
		{"batchnorm: one value per channel without statistics", ops.ErrBatch, func(b *bench) error { return bn(b.f(1, 3), nil, nil, nil, cfg) }},
		{"batchnorm: one pixel without statistics", ops.ErrBatch, func(b *bench) error { return bn(b.f(1, 3, 1, 1), nil, nil, nil, cfg) }},
	}
}

func badWeightNorms() []badCall {
	return []badCall{
		{"weightnorm: v nil", ops.ErrGraph, func(b *bench) error { return wn(nil, b.f(4), 0) }},
		{"weightnorm: g nil", ops.ErrGraph, func(b *bench) error { return wn(b.f(4, 3), nil, 0) }},
		{"weightnorm: v int", ops.ErrDtype, func(b *bench) error { return wn(b.of(tensor.Int, 4, 3), b.of(tensor.Int, 4), 0) }},
		{"weightnorm: g float32, v float64", ops.ErrDtype, func(b *bench) error { return wn(b.f(4, 3), b.of(tensor.Float32, 4), 0) }},
		{"weightnorm: v scalar", ops.ErrShape, func(b *bench) error { return wn(b.scalar(), b.f(1), 0) }},
		{"weightnorm: g scalar", ops.ErrShape, func(b *bench) error { return wn(b.f(4, 3), b.scalar(), ops.WholeTensor) }},
		{"weightnorm: v of rank 6", ops.ErrShape, func(b *bench) error { return wn(b.f(1, 2, 1, 2, 1, 2), b.f(1), 0) }},
		{"weightnorm: v with empty axis", ops.ErrShape, func(b *bench) error { return wn(b.f(4, 0), b.f(4), 0) }},
		{"weightnorm: axis too large", ops.ErrShape, func(b *bench) error { return wn(b.f(4, 3), b.f(3), 2) }},
		{"weightnorm: axis negative", ops.ErrShape, func(b *bench) error { return wn(b.f(4, 3), b.f(3), -1) }},
		{"weightnorm: g of the other axis", ops.ErrShape, func(b *bench) error { return wn(b.f(4, 3), b.f(3), 0) }},
		{"weightnorm: g a row for axis 0", ops.ErrShape, func(b *bench) error { return wn(b.f(4, 3), b.f(1, 4), 0) }},
		{"weightnorm: g of v's shape", ops.ErrShape, func(b *bench) error { return wn(b.f(4, 3), b.f(4, 3), 0) }},
		{"weightnorm: g too long for the whole tensor", ops.ErrShape, func(b *bench) error { return wn(b.f(4, 3), b.f(4), ops.WholeTensor) }},
		{"weightnorm: g of a vector", ops.ErrShape, func(b *bench) error { return wn(b.f(4), b.f(1), 0) }},
		{"weightnorm: g of another graph", ops.ErrGraph, func(b *bench) error { return wn(b.f(4, 3), b.elsewhere(4), 0) }},
	}
}

func badLinears() []badCall {
	return []badCall{
		{"weightnormlinear: x nil", ops.ErrGraph, func(b *bench) error { return wnl(nil, b.f(4, 5), b.f(4), b.f(4), 0) }},
		{"weightnormlinear: v nil", ops.ErrGraph, func(b *bench) error { return wnl(b.f(3, 5), nil, b.f(4), b.f(4), 0) }},
		{"weightnormlinear: g nil", ops.ErrGraph, func(b *bench) error { return wnl(b.f(3, 5), b.f(4, 5), nil, b.f(4), 0) }},
		{"weightnormlinear: x int64", ops.ErrDtype, func(b *bench) error { return wnl(b.of(tensor.Int64, 3, 5), b.f(4, 5), b.f(4), nil, 0) }},
		{"weightnormlinear: b float32, x float64", ops.ErrDtype, func(b *bench) error { return wnl(b.f(3, 5), b.f(4, 5), b.f(4), b.of(tensor.Float32, 4), 0) }},
		{"weightnormlinear: x scalar", ops.ErrShape, func(b *bench) error { return wnl(b.scalar(), b.f(4, 5), b.f(4), nil, 0) }},
		{"weightnormlinear: x without shape", ops.ErrShape, func(b *bench) error { return wnl(b.shapeless(), b.f(4, 5), b.f(4), nil, 0) }},
		{"weightnormlinear: x with empty axis", ops.ErrShape, func(b *bench) error { return wnl(b.f(0, 5), b.f(4, 5), b.f(4), nil, 0) }},
		{"weightnormlinear: v of rank 1", ops.ErrShape, func(b *bench) error { return wnl(b.f(3, 5), b.f(5), b.f(5), nil, 0) }},
		{"weightnormlinear: v of rank 3", ops.ErrShape, func(b *bench) error { return wnl(b.f(3, 5), b.f(4, 5, 1), b.f(4), nil, 0) }},
		{"weightnormlinear: v transposed", ops.ErrShape, func(b *bench) error { return wnl(b.f(3, 5), b.f(5, 4), b.f(5), nil, 0) }},
		{"weightnormlinear: axis 2", ops.ErrShape, func(b *bench) error { return wnl(b.f(3, 5), b.f(4, 5), b.f(4), nil, 2) }},
		{"weightnormlinear: axis negative", ops.ErrShape, func(b *bench) error { return wnl(b.f(3, 5), b.f(4, 5), b.f(4), nil, -2) }},
		{"weightnormlinear: g of the other axis", ops.ErrShape, func(b *bench) error { return wnl(b.f(3, 5), b.f(4, 5), b.f(5), nil, 0) }},
		{"weightnormlinear: b of in instead of out", ops.ErrShape, func(b *bench) error { return wnl(b.f(3, 5), b.f(4, 5), b.f(4), b.f(5), 0) }},
		{"weightnormlinear: b a row", ops.ErrShape, func(b *bench) error { return wnl(b.f(3, 5), b.f(4, 5), b.f(4), b.f(1, 4), 0) }},
		{"weightnormlinear: b of another graph", ops.ErrGraph, func(b *bench) error { return wnl(b.f(3, 5), b.f(4, 5), b.f(4), b.elsewhere(4), 0) }},
		{"weightnormlinear: x of another graph", ops.ErrGraph, func(b *bench) error { return wnl(b.elsewhere(3, 5), b.f(4, 5), b.f(4), nil, 0) }},
	}
}

// badOthers are bad calls without nodes.
func badOthers() (all []badCall) {
	lengths := func(v *tensor.Dense, axis int) func(*bench) error {
		return func(*bench) error {
			_, err := ops.WeightLengths(v, axis)
			return err
		}
	}
	masked := tensor.New(tensor.WithBacking([]float64{1, 2}, []bool{true, false}))
	ints := tensor.New(tensor.WithShape(4, 3), tensor.Of(tensor.Int))
	all = []badCall{
		{"runningstats: no channels", ops.ErrShape, func(*bench) error {
			_, err := ops.NewRunningStats(0)
			return err
		}},
		{"runningstats: negative channels", ops.ErrShape, func(*bench) error {
			_, err := ops.NewRunningStats(-3)
			return err
		}},
		{"weightnorm: lengths of nil", ops.ErrValue, lengths(nil, 0)},
		{"weightnorm: lengths of ints", ops.ErrDtype, lengths(ints, 0)},
		{"weightnorm: lengths along an axis too many", ops.ErrShape, lengths(wave(0, 4, 3), 2)},
		{"weightnorm: lengths of a scalar", ops.ErrShape, lengths(tensor.New(tensor.FromScalar(1.0)), ops.WholeTensor)},
		{"weightnorm: lengths of an empty tensor", ops.ErrShape, lengths(tensor.New(tensor.WithShape(0, 3), tensor.Of(tensor.Float64)), 0)},
		{"weightnorm: lengths of a masked tensor", ops.ErrValue, lengths(masked, 0)},
	}
	for _, c := range badStats() {
		all = append(all, badCall{"runningstats: " + c.name, c.kind, func(*bench) error {
			return running(2).Set(c.mean, c.variance, c.batches)
		}})
	}
	return all
}
