package norm

import (
	"slices"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// initial is the initializer of a parameter, if the caller gave one, even a nil one.
type initial struct {
	init  G.InitWFn
	given bool
}

// affineSuffixes returns the names of γ and β, as far as the layer has them.
func affineSuffixes(c config) (s []string) {
	if c.gamma() {
		s = append(s, "gamma")
	}
	if c.beta() {
		s = append(s, "beta")
	}
	return s
}

// addAffine makes the nodes of γ and β, as far as the layer has them.
func (l *layer) addAffine(shape tensor.Shape, c config) error {
	if err := l.checkInits(c); err != nil {
		return err
	}
	values := make([]*tensor.Dense, len(l.suffixes))
	for i, s := range l.suffixes {
		var err error
		if values[i], err = l.startOf(s, shape, c); err != nil {
			return err
		}
	}
	l.addParams(values...)
	return nil
}

// checkInits checks that the layer has the parameters that WithScaleInit and WithBiasInit
// are for.
func (l *layer) checkInits(c config) error {
	switch {
	case c.scaleInit.given && !slices.Contains(l.suffixes, "gamma"):
		return fault.New(ErrOption, l.label, "WithScaleInit, but the layer has no gamma, want one or the option left out")
	case c.biasInit.given && !slices.Contains(l.suffixes, "beta") && !slices.Contains(l.suffixes, "b"):
		return fault.New(ErrOption, l.label, "WithBiasInit, but the layer has no bias, want one or the option left out")
	}
	return nil
}

// startOf returns the initial value of γ, β, or the b of a linear layer.
func (l *layer) startOf(suffix string, shape tensor.Shape, c config) (*tensor.Dense, error) {
	start, i := 0.0, c.biasInit
	if suffix == "gamma" {
		i = c.scaleInit
		if !c.plusOne {
			start = 1
		}
	}
	if i.given {
		return l.initialize(suffix, shape, i.init)
	}
	return filled(l.dtype, start, shape...), nil
}

// startOfWeightNorm returns the initial values of v and of g = ‖v‖.
func (l *layer) startOfWeightNorm(shape tensor.Shape, c config) (v, g *tensor.Dense, err error) {
	if err := fault.Sizes(l.label, "v", shape); err != nil {
		return nil, nil, err
	}
	if err := fault.Axis(l.label, shape, c.axis); err != nil {
		return nil, nil, err
	}
	if v, err = l.startOfWeight(shape, c); err != nil {
		return nil, nil, err
	}
	if g, err = ops.WeightLengths(v, c.axis); err != nil {
		return nil, nil, l.wrap(err)
	}
	return v, g, nil
}

// startOfWeight returns the initial weight, in row-major memory of its own.
func (l *layer) startOfWeight(shape tensor.Shape, c config) (*tensor.Dense, error) {
	const what = "the weight"
	switch {
	case !c.hasWeight:
		return l.initialize(what, shape, c.init)
	case c.weight == nil:
		return nil, fault.New(ErrValue, l.label, "the weight is nil, want %v %v", l.dtype, shape)
	case c.weight.Dtype() != l.dtype || !slices.Equal(c.weight.Shape(), shape):
		return nil, fault.New(ErrValue, l.label, "the weight is %v %v, want %v %v",
			c.weight.Dtype(), c.weight.Shape(), l.dtype, shape)
	case l.dtype == tensor.Float32:
		return startFromTensor[float32](l, what, c.weight)
	default:
		return startFromTensor[float64](l, what, c.weight)
	}
}

// initialize returns a tensor with a copy of what an initializer returns, or an error if
// it panics, as some of Gorgonia's do for float32.
func (l *layer) initialize(what string, shape tensor.Shape, init G.InitWFn) (v *tensor.Dense, err error) {
	if init == nil {
		return nil, fault.New(ErrOption, l.label, "the initializer of %s is nil, want one such as gorgonia.Gaussian(0, 0.1)", what)
	}
	defer func() {
		if r := recover(); r != nil {
			err = fault.New(ErrValue, l.label, "the initializer of %s panicked: %v", what, r)
		}
	}()
	switch x := init(l.dtype, shape.Clone()...).(type) { // init may change the slice
	case []float32:
		return startFrom(l, what, shape, x)
	case []float64:
		return startFrom(l, what, shape, x)
	default:
		return nil, l.noStart(what, x, 0, shape)
	}
}

func (l *layer) noStart(what string, given any, n int, shape tensor.Shape) error {
	return fault.New(ErrValue, l.label, "the initializer of %s gave %T of length %d, want %v of length %d", what, given, n, l.dtype, shape.TotalSize())
}

// startFrom returns a tensor with a copy of x. The memory of x may belong to the caller
// or to another parameter.
func startFrom[T dense.Float](l *layer, what string, shape tensor.Shape, x []T) (*tensor.Dense, error) {
	if len(x) != shape.TotalSize() || dense.Dtype[T]() != l.dtype {
		return nil, l.noStart(what, x, len(x), shape)
	}
	// A state with a number that is not finite could not be saved.
	if i := slices.IndexFunc(x, func(v T) bool { return !isFinite(float64(v)) }); i >= 0 {
		return nil, fault.New(ErrValue, l.label, "element %d of %s is %v, want a finite number", i, what, x[i])
	}
	return dense.New(shape, slices.Clone(x)), nil
}

// startFromTensor is startFrom for the elements of a tensor of any layout.
func startFromTensor[T dense.Float](l *layer, what string, v *tensor.Dense) (*tensor.Dense, error) {
	x, err := dense.Elements[T](l.label, what, v)
	if err != nil {
		return nil, err
	}
	return startFrom(l, what, v.Shape(), x)
}

// filled returns a tensor in which every element is value.
func filled(dt tensor.Dtype, value float64, shape ...int) *tensor.Dense {
	n := tensor.Shape(shape).TotalSize()
	if dt == tensor.Float32 {
		return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(slices.Repeat([]float32{float32(value)}, n)))
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(slices.Repeat([]float64{value}, n)))
}
