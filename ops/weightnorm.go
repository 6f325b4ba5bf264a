package ops

import (
	"fmt"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// WholeTensor as an axis stands for one norm over all elements. It is PyTorch's dim=None.
const WholeTensor = fault.WholeTensor

// WeightNormConfig says along which axis a weight is normalized.
type WeightNormConfig struct {
	// Axis has one norm and one g for each of its indices. WholeTensor stands for a
	// single norm over all elements. Negative axes are an error, since −1 means the whole
	// tensor in PyTorch's weight_norm.
	Axis int

	// Reuse keeps the memory of results from run to run; see the package
	// documentation.
	Reuse bool
}

// WeightNorm separates the length of a weight from its direction:
//
//	w = g·v/‖v‖
//
// with a Euclidean norm and a g for each index along the axis, over all other axes. Axis
// 0 of a weight (out, in) or (out, in, height, width) gives one for each output, as by
// default in PyTorch. The axis WholeTensor gives a single norm and a single g. g may be
// negative.
//
// If ‖v‖ is 0, or below the normal range of float64, v has no direction: w is 0 there,
// and so are the gradients of v and g (PyTorch gives NaN). w stays 0 there until v
// is changed.
//
// Shapes: v has rank 1 to 5. g is (k), where k is the size of the axis, or has the rank
// of v with k in the axis and 1 elsewhere. For WholeTensor g is (1), or has the rank of v
// with 1 everywhere. w has the shape of v. Dtypes: float32 or float64, one for both.
//
// Errors at graph building: ErrGraph, ErrDtype, ErrShape.
//
// Salimans, Kingma, "Weight Normalization: A Simple Reparameterization to
// Accelerate Training of Deep Neural Networks", 2016, arXiv:1602.07868v3,
// equations 2 and 3.
func WeightNorm(v, g *G.Node, cfg WeightNormConfig) (*G.Node, error) {
	const name = "weightnorm"
	in := []arg{{"v", v}, {"g", g}}
	dt, err := checkNodes(name, in)
	if err != nil {
		return nil, err
	}
	if err := checkWeight(name, in[0], in[1], cfg.Axis); err != nil {
		return nil, err
	}
	if dt == tensor.Float32 {
		return apply(name, newWeightNorm[float32](v.Dims(), g.Dims(), cfg), v, g)
	}
	return apply(name, newWeightNorm[float64](v.Dims(), g.Dims(), cfg), v, g)
}

func checkWeight(op string, v, g arg, axis int) error {
	shape := v.node.Shape()
	if err := fault.Axis(op, shape, axis); err != nil {
		return err
	}
	kept := make(tensor.Shape, len(shape), 5)
	for i := range kept {
		kept[i] = 1
	}
	n := 1
	if axis != WholeTensor {
		n, kept[axis] = shape[axis], shape[axis]
	}
	if len(shape) == 1 {
		return checkShape(op, g, kept)
	}
	return checkShape(op, g, tensor.Shape{n}, kept)
}

// weightView returns the sizes of a weight before the axis, of the axis, and after it.
func weightView(shape tensor.Shape, axis int) kernel.View {
	if axis == WholeTensor {
		return kernel.View{Outer: 1, Channels: 1, Inner: shape.TotalSize()}
	}
	return axisView(shape, axis)
}

// WeightLengths returns ‖v‖ for each index along the axis, or the one norm of the whole
// tensor. As g it gives w = v. Its shape is (k), where k is the size of the axis, or (1)
// for WholeTensor. The dtype is that of v.
//
// Errors: ErrValue, ErrDtype, ErrShape.
func WeightLengths(v *tensor.Dense, axis int) (*tensor.Dense, error) {
	const name = "weightnorm"
	dt, err := checkValues(name, []arg{{"v", v}})
	if err != nil {
		return nil, err
	}
	if err := fault.Axis(name, v.Shape(), axis); err != nil {
		return nil, err
	}
	if dt == tensor.Float32 {
		return weightLengths[float32](name, v, axis)
	}
	return weightLengths[float64](name, v, axis)
}

func weightLengths[T dense.Float](name string, v *tensor.Dense, axis int) (*tensor.Dense, error) {
	data, err := dense.Elements[T](name, "v", v)
	if err != nil {
		return nil, err
	}
	view := weightView(v.Shape(), axis)
	norm := make([]float64, view.Channels)
	kernel.Norms(data, view, norm)
	g := make([]T, len(norm))
	for c, n := range norm {
		g[c] = T(n)
	}
	return dense.New(tensor.Shape{len(g)}, g), nil
}

// weightNormOp is the forward op, of (v, g).
type weightNormOp[T dense.Float] struct {
	base
	weightNorm
	differentiable[T]
	mem memory[T]
}

// weightNorm is what the forward op and its gradient have in common.
type weightNorm struct {
	rank, rankG int // of v and g
	cfg         WeightNormConfig
}

// inputSpecs returns the inputs that the gradient has too.
func (w *weightNorm) inputSpecs() []inputSpec {
	return []inputSpec{{name: "v", rank: w.rank}, {name: "g", rank: w.rankG}}
}

func newWeightNorm[T dense.Float](rank, rankG int, cfg WeightNormConfig) *weightNormOp[T] {
	w := weightNorm{rank, rankG, cfg}
	o := &weightNormOp[T]{base: newBase[T](w.describe("norm.WeightNorm"), rank, w.inputSpecs()...), weightNorm: w, mem: memory[T]{reuse: cfg.Reuse}}
	o.differentiable = differentiable[T]{"weightnorm", o}
	return o
}

func (w *weightNorm) describe(name string) string { return fmt.Sprintf("%s(%v)", name, w.cfg) }

// String returns all settings.
func (c WeightNormConfig) String() string {
	return fmt.Sprintf("%s, reuse=%v", axisLabel(c.Axis), c.Reuse)
}

// weightInputs checks the inputs of an op and returns them, with the view of v. v is
// input number at, and g the next one.
func weightInputs[T dense.Float](b *base, vs []G.Value, at, rank, axis int) (in [maxInputs][]T, view kernel.View, err error) {
	if in, err = inputs[T](b, vs); err != nil {
		return in, view, err
	}
	shape := vs[at].Shape()
	if len(shape) != rank {
		return in, view, fault.New(fault.ErrValue, b.label, "v is %v, want rank %d", shape, rank)
	}
	view = weightView(shape, axis)
	if n := len(in[at+1]); n != view.Channels {
		return in, view, fault.New(fault.ErrValue, b.label, "g has %d elements, want %d", n, view.Channels)
	}
	return in, view, nil
}

// InferShape returns the shape of v.
func (o *weightNormOp[T]) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	return shapeOf(o.label, in, 0)
}

// Do returns w.
func (o *weightNormOp[T]) Do(vs ...G.Value) (_ G.Value, err error) {
	defer guard(o, &err)
	in, view, err := weightInputs[T](&o.base, vs, 0, o.rank, o.cfg.Axis)
	if err != nil {
		return nil, err
	}
	out, w := o.mem.tensor(vs[0].Shape()...)
	kernel.WeightNormFwd(w, in[0], in[1], view)
	return out, nil
}

// gradient returns the gradient with respect to v and g.
func (o *weightNormOp[T]) gradient() gradient {
	grad := newWeightNormGrad[T](o.weightNorm)
	return gradientOf(&o.base, grad, grad.inputs, o.cfg.Reuse)
}

// weightNormGradOp is the gradient, of (v, g, dw), packed as [dv | dg].
type weightNormGradOp[T dense.Float] struct {
	base
	weightNorm
	differentiable[T]
	mem memory[T]
}

func newWeightNormGrad[T dense.Float](w weightNorm) *weightNormGradOp[T] {
	b := newBase[T](w.describe("norm.WeightNormGrad"), 1, append(w.inputSpecs(), inputSpec{name: "dw", rank: w.rank})...)
	o := &weightNormGradOp[T]{base: b, weightNorm: w, mem: memory[T]{reuse: w.cfg.Reuse}}
	o.differentiable = differentiable[T]{"weightnorm", o}
	return o
}

// InferShape returns the length of the packed gradients.
func (o *weightNormGradOp[T]) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	v, err := shapeOf(o.label, in, 0)
	if err != nil {
		return nil, err
	}
	if len(v) != o.rank {
		return nil, fault.New(fault.ErrShape, o.label, "v is %v, want rank %d", v, o.rank)
	}
	return tensor.Shape{v.TotalSize() + weightView(v, o.cfg.Axis).Channels}, nil
}

// Do returns the packed gradients.
func (o *weightNormGradOp[T]) Do(vs ...G.Value) (_ G.Value, err error) {
	defer guard(o, &err)
	v, g, dw, view, err := o.values(vs)
	if err != nil {
		return nil, err
	}
	out, packed := o.mem.tensor(len(v) + len(g))
	kernel.WeightNormBwd(packed[:len(v)], packed[len(v):], v, g, dw, view)
	return out, nil
}

// values checks the inputs and returns them.
func (o *weightNormGradOp[T]) values(vs []G.Value) (v, g, dw []T, view kernel.View, err error) {
	in, view, err := weightInputs[T](&o.base, vs, 0, o.rank, o.cfg.Axis)
	if err != nil {
		return nil, nil, nil, view, err
	}
	if v, g, dw = in[0], in[1], in[2]; len(dw) != len(v) {
		return nil, nil, nil, view, fault.New(fault.ErrValue, o.label, "dw has %d elements, want %d", len(dw), len(v))
	}
	return v, g, dw, view, nil
}

// gradient returns the gradient with respect to v, g and dw.
func (o *weightNormGradOp[T]) gradient() gradient { return secondOf[T](&o.base, o, o.cfg.Reuse) }

// second returns the gradients of ⟨u, packed⟩ with respect to v, g and dw.
func (o *weightNormGradOp[T]) second(mem *memory[T], u []T, vs []G.Value) (*tensor.Dense, error) {
	v, g, dw, view, err := o.values(vs)
	if err != nil {
		return nil, err
	}
	n, k := len(v), len(g)
	if err := checkUpstream(o.label, u, n+k); err != nil {
		return nil, err
	}
	out, packed := mem.tensor(2*n + k)
	kernel.WeightNormSecond(
		kernel.WeightSecondGrads[T]{V: packed[:n], G: packed[n : n+k], DW: packed[n+k:]},
		kernel.WeightSecondArgs[T]{V: v, G: g, DW: dw, UV: u[:n], UG: u[n:]}, view)
	return out, nil
}

var (
	_ G.SDOp = (*weightNormOp[float32])(nil)
	_ G.ADOp = (*weightNormOp[float32])(nil)
	_ G.SDOp = (*weightNormGradOp[float32])(nil)
	_ G.ADOp = (*weightNormGradOp[float32])(nil)
)
