package norm

import (
	"slices"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops"
	"gorgonia.org/tensor"
)

// startOfWeightNorm returns the first values of v and of g = ‖v‖.
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

// startOfWeight returns the first value of v, row-major storage of its own.
func (l *layer) startOfWeight(shape tensor.Shape, c config) (*tensor.Dense, error) {
	switch {
	case !c.hasWeight:
		return l.initialize("the weight", shape, c.init)
	case c.weight == nil:
		return nil, fault.New(ErrValue, l.label, "the weight is nil, want %v %v", l.dtype, shape)
	case c.weight.Dtype() != l.dtype || !slices.Equal(c.weight.Shape(), shape):
		return nil, fault.New(ErrValue, l.label, "the weight is %v %v, want %v %v",
			c.weight.Dtype(), c.weight.Shape(), l.dtype, shape)
	case l.dtype == tensor.Float32:
		return copyOfWeight[float32](l.label, c.weight)
	default:
		return copyOfWeight[float64](l.label, c.weight)
	}
}

func copyOfWeight[T dense.Float](label string, w *tensor.Dense) (*tensor.Dense, error) {
	const what = "the weight"
	v, err := dense.Copy[T](label, what, w)
	if err != nil {
		return nil, err
	}
	return v, checkStart(label, what, dense.Own[T](v))
}
