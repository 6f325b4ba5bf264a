package ops

import (
	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	"gorgonia.org/tensor"
)

// MaterializeWeight returns w = g·v/‖v‖, what WeightNorm gives, for values of v and
// g, as a tensor of its own.
//
// Errors: ErrValue, ErrDtype, ErrShape.
func MaterializeWeight(v, g *tensor.Dense, axis int) (*tensor.Dense, error) {
	const name = "weightnorm"
	if err := checkWeightValue(name, v); err != nil {
		return nil, err
	}
	if err := fault.Axis(name, v.Shape(), axis); err != nil {
		return nil, err
	}
	if v.Dtype() == tensor.Float32 {
		return materializeWeight[float32](name, v, g, axis)
	}
	return materializeWeight[float64](name, v, g, axis)
}

func materializeWeight[T dense.Float](name string, v, g *tensor.Dense, axis int) (*tensor.Dense, error) {
	vs, err := dense.Elements[T](name, "v", v)
	if err != nil {
		return nil, err
	}
	gs, err := dense.Elements[T](name, "g", g)
	if err != nil {
		return nil, err
	}
	view := weightView(v.Shape(), axis)
	if len(gs) != view.Channels {
		return nil, fault.New(fault.ErrShape, name, "g has %d elements, want %d", len(gs), view.Channels)
	}
	w := make([]T, len(vs))
	kernel.WeightNormFwd(w, vs, gs, view)
	return dense.New(v.Shape(), w), nil
}
