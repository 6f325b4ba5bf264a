package norm

import (
	"github.com/gorgonorm/norm/ops"
	"gorgonia.org/tensor"
)

// Materialize returns w = g·v/‖v‖ as it is now, in a tensor of its own: for a graph
// that only predicts, where a plain weight does.
//
// Errors: ErrValue.
func (l *WeightNorm) Materialize() (*tensor.Dense, error) { return l.EvalWeight(nil) }

// Materialize returns the weight w = g·v/‖v‖, of shape (out, in), as it is now, in a
// tensor of its own: for a graph that only predicts, where a plain linear layer
// does.
//
// Errors: ErrValue.
func (l *WeightNormLinear) Materialize() (*tensor.Dense, error) {
	values, err := l.values()
	if err != nil {
		return nil, err
	}
	return l.evaluated(ops.MaterializeWeight(values[0], values[1], l.cfg.Axis))
}
