package ops

import "gorgonia.org/tensor"

// MaterializeWeight returns w = g·v/‖v‖, the result of WeightNorm, for values of v and
// g, as a new tensor.
//
// Errors: ErrValue, ErrDtype, ErrShape.
func MaterializeWeight(v, g *tensor.Dense, axis int) (*tensor.Dense, error) {
	return EvalWeightNorm(nil, v, g, WeightNormConfig{Axis: axis})
}
