package norm

import (
	"slices"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
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
// Parameters: name.v, and name.g, which starts as ‖v‖ so that w = v.
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
	if err := l.addWeight(shape, c); err != nil {
		return nil, err
	}
	l.done()
	return &WeightNorm{l, c.weightNorm()}, nil
}

// Weight returns w, to be used wherever a weight is, as in gorgonia.Conv2d. A
// second call returns the same node.
func (w *WeightNorm) Weight() (*G.Node, error) {
	return w.named(ops.WeightNorm(w.param("v"), w.param("g"), w.cfg))
}

// In returns the same weight in another graph: v and g are the same storage.
//
// Errors: ErrGraph, ErrName, ErrValue.
func (w *WeightNorm) In(g *G.ExprGraph) (*WeightNorm, error) {
	other, err := w.in(g)
	if err != nil {
		return nil, err
	}
	return &WeightNorm{other, w.cfg}, nil
}

// WeightNormLinear is a linear layer whose weight is normalized,
//
//	y = x·wᵀ + b,  w = g·v/‖v‖
//
// with one norm and one g for each output. A row of zeros in v gives 0, and does
// not learn. ops.WeightNormLinear has the details.
//
// Parameters: name.v of shape (out, in), name.g, (out), which starts as ‖v‖ so
// that w = v, and name.b, (out), 0 at first.
//
// Salimans, Kingma, "Weight Normalization: A Simple Reparameterization to
// Accelerate Training of Deep Neural Networks", 2016, arXiv:1602.07868v3.
type WeightNormLinear struct {
	layer
	cfg ops.WeightNormConfig
}

// NewWeightNormLinear makes a layer for inputs (..., in) and outputs (..., out)
// of a dtype. Options: WithName, WithAxis (0), WithWeightInit
// (gorgonia.GlorotU(1)), WithWeight, WithoutBias, WithReuse.
//
// Errors: ErrGraph, ErrDtype, ErrShape, ErrOption, ErrName, and ErrValue for an
// initial value that does not fit. After an error the graph is as it was.
func NewWeightNormLinear(g *G.ExprGraph, dt tensor.Dtype, in, out int, opts ...WeightNormLinearOption) (*WeightNormLinear, error) {
	c := configure(opts)
	suffixes := []string{"v", "g", "b"}
	if !c.bias {
		suffixes = suffixes[:2]
	}
	l, err := newLayer("weightnormlinear", g, dt, c.name, suffixes...)
	if err != nil {
		return nil, err
	}
	if err := l.addWeight(tensor.Shape{out, in}, c); err != nil {
		return nil, err
	}
	if c.bias {
		l.addParam(filled(dt, 0, out))
	}
	l.done()
	return &WeightNormLinear{l, c.weightNorm()}, nil
}

// Fwd returns y, of shape (..., out), for an x of shape (..., in).
//
// Errors: ErrGraph, ErrDtype, ErrShape.
func (w *WeightNormLinear) Fwd(x *G.Node) (*G.Node, error) {
	if err := w.checkInput(x); err != nil {
		return nil, err
	}
	return w.named(ops.WeightNormLinear(x, w.param("v"), w.param("g"), w.param("b"), w.cfg))
}

// In returns the same layer in another graph: v, g and b are the same storage.
//
// Errors: ErrGraph, ErrName, ErrValue.
func (w *WeightNormLinear) In(g *G.ExprGraph) (*WeightNormLinear, error) {
	other, err := w.in(g)
	if err != nil {
		return nil, err
	}
	return &WeightNormLinear{other, w.cfg}, nil
}

// addWeight makes the nodes of v and of g = ‖v‖.
func (l *layer) addWeight(shape tensor.Shape, c config) error {
	if err := fault.Sizes(l.label, "v", shape); err != nil {
		return err
	}
	if err := fault.Axis(l.label, shape, c.axis); err != nil {
		return err
	}
	v, err := l.startOfWeight(shape, c)
	if err != nil {
		return err
	}
	g, err := ops.WeightLengths(v, c.axis)
	if err != nil {
		return l.of(err)
	}
	l.addParam(v)
	l.addParam(g)
	return nil
}

// startOfWeight returns the first value of v, row-major storage of its own.
func (l *layer) startOfWeight(shape tensor.Shape, c config) (*tensor.Dense, error) {
	switch {
	case !c.hasWeight:
		return l.initialize(shape, c.init)
	case c.weight == nil:
		return nil, fault.New(ErrValue, l.label, "the weight is nil, want %v %v", l.dtype, shape)
	case c.weight.Dtype() != l.dtype || !slices.Equal(c.weight.Shape(), shape):
		return nil, fault.New(ErrValue, l.label, "the weight is %v %v, want %v %v",
			c.weight.Dtype(), c.weight.Shape(), l.dtype, shape)
	case l.dtype == tensor.Float32:
		return dense.Copy[float32](l.label, "the weight", c.weight)
	default:
		return dense.Copy[float64](l.label, "the weight", c.weight)
	}
}

// initialize returns a tensor with what an initializer gives. Some of
// Gorgonia's initializers panic for float32.
func (l *layer) initialize(shape tensor.Shape, init G.InitWFn) (v *tensor.Dense, err error) {
	if init == nil {
		return nil, fault.New(ErrOption, l.label, "the initializer of the weight is nil, want one such as gorgonia.GlorotU(1)")
	}
	defer func() {
		if r := recover(); r != nil {
			err = fault.New(ErrValue, l.label, "the initializer of the weight panicked: %v", r)
		}
	}()
	backing, n := init(l.dtype, shape...), 0
	var dt tensor.Dtype
	switch b := backing.(type) {
	case []float32:
		dt, n = tensor.Float32, len(b)
	case []float64:
		dt, n = tensor.Float64, len(b)
	}
	if n != shape.TotalSize() || dt != l.dtype {
		return nil, fault.New(ErrValue, l.label, "the initializer gave %T of length %d, want %v of length %d",
			backing, n, l.dtype, shape.TotalSize())
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(backing)), nil
}
