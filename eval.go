package norm

import (
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops"
	"gorgonia.org/tensor"
)

// Evaluator is a layer that evaluates tensors without a graph and without a
// machine: LayerNorm, RMSNorm, BatchNorm, GroupNorm, InstanceNorm and
// WeightNormLinear. WeightNorm and SpectralNorm have EvalWeight instead, as they
// normalize weights.
//
// Eval equals Fwd under gorgonia.EvalMode() bit for bit, regardless of any machine's
// mode. It is for serving, since running a machine takes many times as long as
// normalizing a row. The result is written to dst, which is returned. If dst is nil a new
// tensor is returned; otherwise nothing is allocated, except by the BLAS of a linear
// layer and for more than 8 axes. x and dst may have any layout and any batch size, and
// dst may be x. Eval takes no mask: for padding use FwdMasked in a graph.
//
// Any number of goroutines may call Eval, each with a dst of its own. Running statistics
// are read as a consistent snapshot, even while the layer trains. γ, β and weights are
// read without a lock: do not step a solver meanwhile. A machine changes the nodes of its
// own graph; to evaluate while it runs, use the same layer in a graph that no machine
// runs, made by In beforehand.
//
// Errors: ErrValue for a nil or masked tensor, and for a dst that shares memory
// with a parameter; ErrDtype, ErrShape; and ErrBatch as for Fwd. After an error dst is
// unchanged.
type Evaluator interface {
	Eval(dst, x *tensor.Dense) (*tensor.Dense, error)
}

var (
	_ Evaluator = (*LayerNorm)(nil)
	_ Evaluator = (*RMSNorm)(nil)
	_ Evaluator = (*BatchNorm)(nil)
	_ Evaluator = (*GroupNorm)(nil)
	_ Evaluator = (*InstanceNorm)(nil)
	_ Evaluator = (*WeightNormLinear)(nil)
)

// Eval returns the normalized x without a graph, as Evaluator says.
func (l *LayerNorm) Eval(dst, x *tensor.Dense) (*tensor.Dense, error) {
	gamma, beta, err := l.evalAffine(x)
	if err != nil {
		return nil, err
	}
	if err := l.checkAxes(x.Shape()); err != nil {
		return nil, err
	}
	if l.axes == nil {
		return l.evaluated(ops.EvalLayerNorm(dst, x, gamma, beta, l.shape, l.cfg))
	}
	return l.evaluated(ops.EvalLayerNormAxes(dst, x, gamma, beta, l.axes, l.cfg))
}

// EvalResidual is FwdResidual without a graph, as Evaluator says. It writes the
// normalized sum to y and the sum itself to sum, which may be x or r.
func (l *LayerNorm) EvalResidual(y, sum, x, r *tensor.Dense) (_, _ *tensor.Dense, err error) {
	gamma, beta, err := l.evalAffine(x)
	if err != nil {
		return nil, nil, err
	}
	if err := l.checkTrailing(x.Shape()); err != nil {
		return nil, nil, err
	}
	return l.evaluatedSum(ops.EvalAddLayerNorm(y, sum, x, r, gamma, beta, l.shape, l.cfg))
}

// Eval returns the scaled x without a graph, as Evaluator says.
func (l *RMSNorm) Eval(dst, x *tensor.Dense) (*tensor.Dense, error) {
	gamma, _, err := l.evalAffine(x)
	if err != nil {
		return nil, err
	}
	if err := l.checkAxes(x.Shape()); err != nil {
		return nil, err
	}
	if l.axes == nil {
		return l.evaluated(ops.EvalRMSNorm(dst, x, gamma, nil, l.shape, l.cfg))
	}
	return l.evaluated(ops.EvalRMSNormAxes(dst, x, gamma, nil, l.axes, l.cfg))
}

// EvalResidual is FwdResidual without a graph, as Evaluator says. It writes the
// normalized sum to y and the sum itself to sum, which may be x or r.
func (l *RMSNorm) EvalResidual(y, sum, x, r *tensor.Dense) (_, _ *tensor.Dense, err error) {
	gamma, _, err := l.evalAffine(x)
	if err != nil {
		return nil, nil, err
	}
	if err := l.checkTrailing(x.Shape()); err != nil {
		return nil, nil, err
	}
	return l.evaluatedSum(ops.EvalAddRMSNorm(y, sum, x, r, gamma, nil, l.shape, l.cfg))
}

// Eval returns the normalized x without a graph, as Evaluator says. It normalizes by
// the running statistics, or by those of x if the layer has none.
func (l *channelLayer) Eval(dst, x *tensor.Dense) (*tensor.Dense, error) {
	gamma, beta, err := l.evalAffine(x)
	if err != nil {
		return nil, err
	}
	if err := l.checkChannels(x.Shape(), l.cfg.ChannelAxis, l.channels); err != nil {
		return nil, err
	}
	return l.evaluated(l.eval(dst, x, gamma, beta, l.stats, l.cfg))
}

// Eval returns the normalized x without a graph, as Evaluator says.
func (l *GroupNorm) Eval(dst, x *tensor.Dense) (*tensor.Dense, error) {
	gamma, beta, err := l.evalAffine(x)
	if err != nil {
		return nil, err
	}
	if err := l.checkChannels(x.Shape(), 1, l.channels); err != nil {
		return nil, err
	}
	return l.evaluated(ops.EvalGroupNorm(dst, x, gamma, beta, l.cfg))
}

// Eval returns y without a graph, as Evaluator says. It computes ‖v‖ each time. Once the
// layer is trained, a plain product with the weight from Materialize avoids that.
func (l *WeightNormLinear) Eval(dst, x *tensor.Dense) (*tensor.Dense, error) {
	if err := l.checkValue(x); err != nil {
		return nil, err
	}
	var p [3]*tensor.Dense // v, g and b
	for i := range l.params {
		var err error
		if p[i], err = l.value(i); err != nil {
			return nil, err
		}
	}
	return l.evaluated(ops.EvalWeightNormLinear(dst, x, p[0], p[1], p[2], l.cfg))
}

// EvalWeight returns w = g·v/‖v‖ without a graph. It writes to dst, as Evaluator says.
func (l *WeightNorm) EvalWeight(dst *tensor.Dense) (*tensor.Dense, error) {
	return l.evalWeight(dst, l.cfg)
}

// EvalWeight returns w = g·v/‖v‖, of shape (out, in), without a graph. It writes to dst,
// as Evaluator says.
func (l *WeightNormLinear) EvalWeight(dst *tensor.Dense) (*tensor.Dense, error) {
	return l.evalWeight(dst, l.cfg)
}

// evalWeight is EvalWeight of a layer with v and g.
func (l *layer) evalWeight(dst *tensor.Dense, cfg ops.WeightNormConfig) (*tensor.Dense, error) {
	v, err := l.value(0)
	if err != nil {
		return nil, err
	}
	g, err := l.value(1)
	if err != nil {
		return nil, err
	}
	return l.evaluated(ops.EvalWeightNorm(dst, v, g, cfg))
}

// EvalWeight returns W/σ without a graph, as in evaluation. It writes to dst, as
// Evaluator says. The singular vectors are read as a consistent snapshot, and not
// updated.
func (l *SpectralNorm) EvalWeight(dst *tensor.Dense) (*tensor.Dense, error) {
	w, err := l.value(0)
	if err != nil {
		return nil, err
	}
	return l.evaluated(ops.EvalSpectralNorm(dst, w, l.vectors))
}

// evaluated returns a result, with an op's error as one of the layer.
func (l *layer) evaluated(y *tensor.Dense, err error) (*tensor.Dense, error) { return y, l.wrap(err) }

// evaluatedSum is evaluated for the results of a residual sum.
func (l *layer) evaluatedSum(y, sum *tensor.Dense, err error) (_, _ *tensor.Dense, _ error) {
	return y, sum, l.wrap(err)
}

// evalAffine checks x and returns the values of γ and β, which are nil if the layer does
// not have them.
func (l *layer) evalAffine(x *tensor.Dense) (gamma, beta *tensor.Dense, err error) {
	if err := l.checkValue(x); err != nil {
		return nil, nil, err
	}
	for i, s := range l.suffixes {
		v, err := l.value(i)
		if err != nil {
			return nil, nil, err
		}
		if s == "gamma" {
			gamma = v
		} else {
			beta = v
		}
	}
	return gamma, beta, nil
}

// checkValue checks what the ops cannot know when the layer has no parameters.
func (l *layer) checkValue(x *tensor.Dense) error {
	if err := l.made(); err != nil {
		return err
	}
	switch {
	case x == nil:
		return fault.New(ErrValue, l.label, "x is nil, want a tensor")
	case x.Dtype() != l.dtype:
		return fault.New(ErrDtype, l.label, "x is %v, want %v", x.Dtype(), l.dtype)
	}
	return nil
}
