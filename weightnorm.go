package norm

import (
	"github.com/gorgonorm/norm/ops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// WeightNorm is a weight of any layer, such as a convolution, in the form
//
//	w = g·v/‖v‖
//
// which separates its length g from its direction v, with one norm and one g
// for each output. It needs no batch and does not normalize activations.
// ops.WeightNorm has the details.
//
// Parameters: name.v, of the shape of the weight, and name.g, which starts as ‖v‖ so that
// w = v. g has the shape (k), where k is the size of the axis of WithAxis, or (1) for
// WholeTensor.
//
// Salimans, Kingma, "Weight Normalization: A Simple Reparameterization to
// Accelerate Training of Deep Neural Networks", 2016, arXiv:1602.07868v3.
type WeightNorm struct {
	layer
	cfg ops.WeightNormConfig
}

// NewWeightNorm makes a weight of rank 1 to 5. Options: WithName, WithAxis (0),
// WithWeightInit (gorgonia.GlorotU(1)), WithWeight, WithReuse.
//
// Errors: ErrGraph, ErrDtype, ErrShape, ErrOption, ErrName, and ErrValue for an
// initial value that does not fit. After an error the graph is as it was.
func NewWeightNorm(g *G.ExprGraph, dt tensor.Dtype, shape tensor.Shape, opts ...WeightNormOption) (*WeightNorm, error) {
	c := configure(opts)
	l, err := newLayer("weightnorm", g, dt, c.name, "v", "g")
	if err != nil {
		return nil, err
	}
	v, lengths, err := l.startOfWeightNorm(shape, c)
	if err != nil {
		return nil, err
	}
	l.addParams(v, lengths)
	l.done()
	return &WeightNorm{l, c.weightNormConfig()}, nil
}

// Weight returns w as a node, to be used wherever a weight is, as in gorgonia.Conv2d. A
// second call returns the same node.
//
// Errors: only those of gorgonia.ApplyOp.
func (l *WeightNorm) Weight() (*G.Node, error) {
	return l.named(ops.WeightNorm(l.Learnable("v"), l.Learnable("g"), l.cfg))
}

// Materialize returns the current w = g·v/‖v‖ as a new tensor, for a graph that only
// predicts, where a plain weight is enough.
//
// Errors: ErrValue.
func (l *WeightNorm) Materialize() (*tensor.Dense, error) { return l.EvalWeight(nil) }

// In returns the same weight in another graph: v and g are the same storage.
//
// Errors: ErrGraph, ErrName, ErrValue.
func (l *WeightNorm) In(g *G.ExprGraph) (*WeightNorm, error) {
	other, err := l.in(g)
	if err != nil {
		return nil, err
	}
	return &WeightNorm{other, l.cfg}, nil
}

// WeightNormLinear is a linear layer whose weight is normalized,
//
//	y = x·wᵀ + b,  w = g·v/‖v‖
//
// with one norm and one g for each output. A row of zeros in v gives 0, and does not
// learn. ops.WeightNormLinear has the details.
//
// Parameters: name.v of shape (out, in), name.g of shape (out), which starts as ‖v‖ so
// that w = v, and name.b of shape (out), 0 at first.
//
// Salimans, Kingma, "Weight Normalization: A Simple Reparameterization to
// Accelerate Training of Deep Neural Networks", 2016, arXiv:1602.07868v3.
type WeightNormLinear struct {
	layer
	cfg ops.WeightNormConfig
}

// NewWeightNormLinear makes a layer for inputs (..., in) and outputs (..., out)
// of a dtype. Options: WithName, WithAxis (0), WithWeightInit
// (gorgonia.GlorotU(1)), WithWeight, WithBiasInit (0), WithoutBias, WithReuse.
//
// Errors: ErrGraph, ErrDtype, ErrShape, ErrOption, ErrName, and ErrValue for an
// initial value that does not fit. After an error the graph is as it was.
func NewWeightNormLinear(g *G.ExprGraph, dt tensor.Dtype, in, out int, opts ...WeightNormLinearOption) (*WeightNormLinear, error) {
	c := configure(opts)
	suffixes := []string{"v", "g", "b"}
	if c.noBias {
		suffixes = suffixes[:2]
	}
	l, err := newLayer("weightnormlinear", g, dt, c.name, suffixes...)
	if err != nil {
		return nil, err
	}
	if err := l.checkInits(c); err != nil {
		return nil, err
	}
	v, lengths, err := l.startOfWeightNorm(tensor.Shape{out, in}, c)
	if err != nil {
		return nil, err
	}
	start := []*tensor.Dense{v, lengths}
	if !c.noBias {
		b, err := l.startOf("b", tensor.Shape{out}, c)
		if err != nil {
			return nil, err
		}
		start = append(start, b)
	}
	l.addParams(start...)
	l.done()
	return &WeightNormLinear{l, c.weightNormConfig()}, nil
}

// Fwd returns y, of shape (..., out), for an x of shape (..., in).
//
// Errors: ErrGraph, ErrDtype, ErrShape.
func (l *WeightNormLinear) Fwd(x *G.Node) (*G.Node, error) {
	if err := l.checkInput(x); err != nil {
		return nil, err
	}
	return l.named(ops.WeightNormLinear(x, l.Learnable("v"), l.Learnable("g"), l.Learnable("b"), l.cfg))
}

// Materialize returns the current weight w = g·v/‖v‖, of shape (out, in), as a new
// tensor, for a graph that only predicts, where a plain linear layer is enough.
//
// Errors: ErrValue.
func (l *WeightNormLinear) Materialize() (*tensor.Dense, error) { return l.EvalWeight(nil) }

// In returns the same layer in another graph: v, g and b are the same storage.
//
// Errors: ErrGraph, ErrName, ErrValue.
func (l *WeightNormLinear) In(g *G.ExprGraph) (*WeightNormLinear, error) {
	other, err := l.in(g)
	if err != nil {
		return nil, err
	}
	return &WeightNormLinear{other, l.cfg}, nil
}
