package norm

import "gorgonia.org/tensor"

// Materialize returns the current w = g·v/‖v‖ as a new tensor: for a graph that only
// predicts, where a plain weight is enough.
//
// Errors: ErrValue.
func (l *WeightNorm) Materialize() (*tensor.Dense, error) { return l.EvalWeight(nil) }

// Materialize returns the current weight w = g·v/‖v‖, of shape (out, in), as a new
// tensor: for a graph that only predicts, where a plain linear layer is enough.
//
// Errors: ErrValue.
func (l *WeightNormLinear) Materialize() (*tensor.Dense, error) { return l.EvalWeight(nil) }
