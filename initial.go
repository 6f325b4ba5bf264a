package norm

import (
	"slices"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// initial is what a parameter starts from, if the caller says so.
type initial struct {
	init  G.InitWFn
	given bool
}

// affineSuffixes names the parameters of a layer with an optional γ and β.
func affineSuffixes(c config) (s []string) {
	if c.gamma() {
		s = append(s, "gamma")
	}
	if c.beta() {
		s = append(s, "beta")
	}
	return s
}

// addAffine makes the nodes of γ and β, where the layer has them.
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

// checkInits checks that the parameters are there whose first values are given.
func (l *layer) checkInits(c config) error {
	switch {
	case c.scaleInit.given && !slices.Contains(l.suffixes, "gamma"):
		return fault.New(ErrOption, l.label, "WithScaleInit, but the layer has no gamma, want one or the option left out")
	case c.biasInit.given && !slices.Contains(l.suffixes, "beta") && !slices.Contains(l.suffixes, "b"):
		return fault.New(ErrOption, l.label, "WithBiasInit, but the layer has no bias, want one or the option left out")
	}
	return nil
}

// startOf returns the first value of γ, β, or the b of a linear layer.
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

// initialize returns a tensor with a copy of what an initializer gives. Some of
// Gorgonia's initializers panic for float32.
func (l *layer) initialize(what string, shape tensor.Shape, init G.InitWFn) (v *tensor.Dense, err error) {
	if init == nil {
		return nil, fault.New(ErrOption, l.label, "the initializer of %s is nil, want one such as gorgonia.Gaussian(0, 0.1)", what)
	}
	defer func() {
		if r := recover(); r != nil {
			err = fault.New(ErrValue, l.label, "the initializer of %s panicked: %v", what, r)
		}
	}()
	switch x := init(l.dtype, shape.Clone()...).(type) { // the sizes are the caller's and the layer's
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

// startFrom returns a tensor with a copy of numbers, whose memory may be the caller's, or
// that of another parameter.
func startFrom[T dense.Float](l *layer, what string, shape tensor.Shape, x []T) (*tensor.Dense, error) {
	if len(x) != shape.TotalSize() || dense.Dtype[T]() != l.dtype {
		return nil, l.noStart(what, x, len(x), shape)
	}
	if err := checkStart(l.label, what, x); err != nil {
		return nil, err
	}
	return dense.New(shape, slices.Clone(x)), nil
}

// checkStart checks first values. With one that is not finite, a state could not be saved.
func checkStart[T dense.Float](label, what string, x []T) error {
	if i := slices.IndexFunc(x, func(v T) bool { return !isFinite(float64(v)) }); i >= 0 {
		return fault.New(ErrValue, label, "element %d of %s is %v, want a finite number", i, what, x[i])
	}
	return nil
}

// filled returns a tensor of equal values.
func filled(dt tensor.Dtype, value float64, shape ...int) *tensor.Dense {
	n := tensor.Shape(shape).TotalSize()
	if dt == tensor.Float32 {
		return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(slices.Repeat([]float32{float32(value)}, n)))
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(slices.Repeat([]float64{value}, n)))
}
