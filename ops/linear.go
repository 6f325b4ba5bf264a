package ops

import (
	"fmt"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/internal/gemm"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	"gonum.org/v1/gonum/blas"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// WeightNormLinear is a linear map with a normalized weight and an optional
// bias:
//
//	y = x·wᵀ + b,  w = g·v/‖v‖
//
// with w as in WeightNorm. The matrix product runs on v itself, by the BLAS set with
// tensor.Use. The scale g/‖v‖ is applied to its result, or for axis 1 to x, and w is
// never formed. The product with v also has to stay in the range of the dtype, and it
// grows with v. A product with the weight from WeightNorm does not depend on the size of
// v.
//
// Shapes: x is (..., in), v is (out, in), g as in WeightNorm: (out) for axis 0,
// (in) for axis 1, (1) for WholeTensor; b is (out), or nil for none; y is
// (..., out). Dtypes: float32 or float64, one for all.
//
// Errors at graph building: ErrGraph, ErrDtype, ErrShape.
//
// Salimans, Kingma, "Weight Normalization: A Simple Reparameterization to
// Accelerate Training of Deep Neural Networks", 2016, arXiv:1602.07868v3.
func WeightNormLinear(x, v, g, b *G.Node, cfg WeightNormConfig) (*G.Node, error) {
	const name = "weightnormlinear"
	in := []arg{{"x", x}, {"v", v}, {"g", g}}
	if b != nil {
		in = append(in, arg{"b", b})
	}
	dt, err := checkLinear(name, in, cfg)
	if err != nil {
		return nil, err
	}
	l := linear{rank: x.Dims(), rankG: g.Dims(), cfg: cfg, bias: b != nil}
	if dt == tensor.Float32 {
		return apply(name, newLinear[float32](l), nodes(in)...)
	}
	return apply(name, newLinear[float64](l), nodes(in)...)
}

// checkLinear checks x, v, g and, if there is one, b, and returns their dtype.
func checkLinear(name string, in []arg, cfg WeightNormConfig) (tensor.Dtype, error) {
	dt, err := checkArgs(name, in)
	if err != nil {
		return dt, err
	}
	xs, vs := in[0].node.Shape(), in[1].node.Shape()
	switch {
	case len(vs) != 2:
		return dt, fault.New(fault.ErrShape, name, "v is %v, want (out, in)", vs)
	case xs[len(xs)-1] != vs[1]:
		return dt, fault.New(fault.ErrShape, name, "x is %v, want (..., %d) for v of %v, which is (out, in)", xs, vs[1], vs)
	}
	if err := checkWeight(name, in[1], in[2], cfg.Axis); err != nil {
		return dt, err
	}
	if len(in) > 3 {
		return dt, checkShape(name, in[3], tensor.Shape{vs[0]})
	}
	return dt, nil
}

// linearOp is the forward op, of (x, v, g, b?).
type linearOp[T dense.Float] struct {
	base
	linear
	differentiable[T]
	mem memory[T]
}

// linear is what the forward op and its gradient have in common.
type linear struct {
	rank, rankG int // of x and g
	cfg         WeightNormConfig
	bias        bool
}

func newLinear[T dense.Float](l linear) *linearOp[T] {
	in := l.inputSpecs()
	if l.bias {
		in = append(in, inputSpec{name: "b", rank: 1})
	}
	o := &linearOp[T]{base: newBase[T](l.describe("norm.WeightNormLinear"), l.rank, in...), linear: l, mem: memory[T]{reuse: l.cfg.Reuse}}
	o.differentiable = differentiable[T]{"weightnormlinear", o}
	return o
}

// inputSpecs returns the inputs that the gradient has too.
func (l *linear) inputSpecs() []inputSpec {
	return []inputSpec{{name: "x", rank: l.rank}, {name: "v", rank: 2}, {name: "g", rank: l.rankG}}
}

func (l *linear) describe(name string) string {
	return fmt.Sprintf("%s(%v, bias=%v)", name, l.cfg, l.bias)
}

// sizes are the sizes of the product: x is rows × in, y is rows × out.
type sizes struct{ rows, in, out int }

// linearInputs checks the inputs (x, v, g, ...) of an op.
func linearInputs[T dense.Float](b *base, l *linear, vs []G.Value) (in [maxInputs][]T, s sizes, view kernel.View, err error) {
	if in, view, err = weightInputs[T](b, vs, 1, 2, l.cfg.Axis); err != nil {
		return in, s, view, err
	}
	s.out, s.in = vs[1].Shape()[0], vs[1].Shape()[1]
	if x := vs[0].Shape(); len(x) != l.rank || x[len(x)-1] != s.in {
		return in, s, view, fault.New(fault.ErrValue, b.label, "x is %v, want (..., %d) of rank %d", x, s.in, l.rank)
	}
	s.rows = len(in[0]) / s.in
	return in, s, view, nil
}

// InferShape returns the shape of x with its last axis replaced by out.
func (o *linearOp[T]) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	x, err := shapeOf(o.label, in, 0)
	if err != nil {
		return nil, err
	}
	v, err := shapeOf(o.label, in, 1)
	if err != nil {
		return nil, err
	}
	if len(x) != o.rank || len(v) != 2 {
		return nil, fault.New(fault.ErrShape, o.label, "x is %v and v is %v, want rank %d and (out, in)", x, v, o.rank)
	}
	x[len(x)-1] = v[0]
	return x, nil
}

// Do returns y.
func (o *linearOp[T]) Do(vs ...G.Value) (_ G.Value, err error) {
	defer guard(o, &err)
	in, s, view, err := linearInputs[T](&o.base, &o.linear, vs)
	if err != nil {
		return nil, err
	}
	x, v, g := in[0], in[1], in[2]
	var b []T
	if o.bias {
		if b = in[3]; len(b) != s.out {
			return nil, fault.New(fault.ErrValue, o.label, "b has %d elements, want %d", len(b), s.out)
		}
	}
	shape := append(make([]int, 0, maxAxes), vs[0].Shape()...)
	shape[len(shape)-1] = s.out
	out, y := o.mem.tensor(shape...)
	linearFwd(y, x, v, g, b, s, view, o.cfg.Axis)
	return out, nil
}

// linearFwd sets y = x·wᵀ + b. b may be nil.
func linearFwd[T dense.Float](y, x, v, g, b []T, s sizes, view kernel.View, axis int) {
	if axis != 1 {
		scale := scales(v, g, view, s.out)
		defer scale.Release()
		gemm.Set(blas.NoTrans, blas.Trans, s.rows, s.out, s.in, x, v, y)
		kernel.ScaleColumns(y, y, s.rows, s.out, scale.Data, b)
		return
	}
	scale := scales(v, g, view, s.in)
	defer scale.Release()
	xs := kernel.Borrow[T](len(x))
	defer xs.Release()
	kernel.ScaleColumns(xs.Data, x, s.rows, s.in, scale.Data, nil)
	gemm.Set(blas.NoTrans, blas.Trans, s.rows, s.out, s.in, xs.Data, v, y)
	if b != nil {
		kernel.ScaleColumns(y, y, s.rows, s.out, nil, b)
	}
}

// scales returns g/‖v‖ for each of n columns. If there is a single norm, it is the same
// for all.
func scales[T dense.Float](v, g []T, view kernel.View, n int) *kernel.Scratch[float64] {
	scale := kernel.Borrow[float64](n)
	kernel.WeightScales(scale.Data[:view.Channels], v, g, view)
	repeatFirst(scale.Data, view.Channels)
	return scale
}

// repeatFirst fills a slice, of which the first n elements are set, with the first one.
func repeatFirst(s []float64, n int) {
	for i := n; i < len(s); i++ {
		s[i] = s[0]
	}
}

// gradient returns the gradient with respect to x, v, g and b.
func (o *linearOp[T]) gradient() gradient {
	grad := newLinearGrad[T](o.linear)
	return gradientOf(&o.base, grad, grad.inputs, o.cfg.Reuse)
}

var (
	_ G.SDOp = (*linearOp[float32])(nil)
	_ G.ADOp = (*linearOp[float32])(nil)
)
