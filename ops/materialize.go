package ops

import "gorgonia.org/tensor"

// MaterializeWeight returns w = g·v/‖v‖, what WeightNorm gives, for values of v and
// g, as a tensor of its own.
//
// Errors: ErrValue, ErrDtype, ErrShape.
func MaterializeWeight(v, g *tensor.Dense, axis int) (*tensor.Dense, error) {
	return EvalWeightNorm(nil, v, g, WeightNormConfig{Axis: axis})
}
