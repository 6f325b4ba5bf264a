package ops

import (
	"fmt"
	"slices"

	"github.com/chewxy/hm"
	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// LayerNormConfig says how layer norm measures the spread of a row.
type LayerNormConfig struct {
	// Eps > 0 keeps the division finite where a row is constant.
	Eps float64

	// UnbiasedStd divides by σ + Eps with the unbiased standard deviation σ,
	// instead of by √(σ² + Eps) with the biased variance σ².
	UnbiasedStd bool

	// Reuse keeps the memory of results from run to run; see the package
	// documentation.
	Reuse bool
}

// LayerNorm normalizes x over its trailing axes, those of the given shape, and
// applies an optional scale and shift:
//
//	y = (x − mean)/√(variance + eps)·γ + β
//
// with the mean and the biased variance of each row, a row being the n elements
// that share the leading axes. With cfg.UnbiasedStd
//
//	y = (x − mean)/(σ + eps)·γ + β,  σ = √(Σ(x − mean)²/(n−1))
//
// and then a row of one element gives NaN, since its σ is not defined; at a
// constant row the derivative of σ is taken to be 0.
//
// Shapes: x is (..., shape), γ and β are shape, or nil for none; y has the
// shape of x. Dtypes: float32 or float64, one for all.
//
// Errors at graph building: ErrGraph, ErrDtype, ErrShape, ErrOption.
//
// Ba, Kiros, Hinton, "Layer Normalization", 2016, arXiv:1607.06450v1, section 3.
func LayerNorm(x, gamma, beta *G.Node, shape tensor.Shape, cfg LayerNormConfig) (*G.Node, error) {
	const name = "layernorm"
	in, aff := affineArgs(x, gamma, beta)
	dt, err := checkNodes(name, in)
	if err != nil {
		return nil, err
	}
	if err := fault.Eps(name, cfg.Eps); err != nil {
		return nil, err
	}
	if err := fault.NormalizedShape(name, shape); err != nil {
		return nil, err
	}
	xs := x.Shape()
	if tail := len(xs) - len(shape); tail < 0 || !slices.Equal(xs[tail:], shape) {
		return nil, fault.New(fault.ErrShape, name, "x is %v, want %v", xs, trailing(shape))
	}
	for _, p := range in[1:] {
		if err := checkShape(name, p, shape); err != nil {
			return nil, err
		}
	}
	if dt == tensor.Float32 {
		return apply(name, newLayerNorm[float32](len(xs), shape, aff, cfg), nodes(in)...)
	}
	return apply(name, newLayerNorm[float64](len(xs), shape, aff, cfg), nodes(in)...)
}

// trailing prints (..., 3, 4) for the shape (3, 4).
func trailing(shape tensor.Shape) string {
	s := "(..."
	for _, n := range shape {
		s += fmt.Sprintf(", %d", n)
	}
	return s + ")"
}

// layerNormOp is the forward op, of (x, γ?, β?).
type layerNormOp[T dense.Float] struct {
	base
	layerNorm
	mem memory[T]
}

// layerNorm is what the forward op and its gradient have in common.
type layerNorm struct {
	affine
	rank  int          // of x
	shape tensor.Shape // normalized
	cols  int          // elements of shape
	cfg   LayerNormConfig
}

func newLayerNorm[T dense.Float](rank int, shape tensor.Shape, aff affine, cfg LayerNormConfig) *layerNormOp[T] {
	l := layerNorm{aff, rank, shape.Clone(), shape.TotalSize(), cfg}
	return &layerNormOp[T]{base{l.describe("norm.LayerNorm"), aff.inputSizes(l.cols)}, l, memory[T]{reuse: cfg.Reuse}}
}

func (l *layerNorm) describe(name string) string {
	return fmt.Sprintf("%s(shape=%v, eps=%v, unbiasedStd=%v, gamma=%v, beta=%v, reuse=%v)",
		name, l.shape, l.cfg.Eps, l.cfg.UnbiasedStd, l.gamma, l.beta, l.cfg.Reuse)
}

// rows sees a value of x as rows.
func (l *layerNorm) rows(op string, x tensor.Shape) (kernel.Rows, error) {
	if tail := len(x) - len(l.shape); len(x) != l.rank || !slices.Equal(x[tail:], l.shape) || x.TotalSize() == 0 {
		return kernel.Rows{}, fault.New(fault.ErrValue, op, "x is %v, want %v of rank %d", x, trailing(l.shape), l.rank)
	}
	return kernel.Rows{Rows: x.TotalSize() / l.cols, Cols: l.cols, Eps: l.cfg.Eps, UnbiasedStd: l.cfg.UnbiasedStd}, nil
}

// Type is (x, γ?, β?) -> y.
func (o *layerNormOp[T]) Type() hm.Type {
	ranks := []int{o.rank}
	for range o.count() {
		ranks = append(ranks, len(o.shape))
	}
	return fnType[T](append(ranks, o.rank)...)
}

// InferShape returns the shape of x.
func (o *layerNormOp[T]) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	return shapeOf(o.label, in, 0)
}

// Do returns y.
func (o *layerNormOp[T]) Do(vs ...G.Value) (_ G.Value, err error) {
	defer guard(o, &err)
	in, err := inputs[T](&o.base, vs)
	if err != nil {
		return nil, err
	}
	rows, err := o.rows(o.label, vs[0].Shape())
	if err != nil {
		return nil, err
	}
	gamma, beta := affineOf(o.affine, in[1:])
	out, y := o.mem.tensor(vs[0].Shape()...)
	kernel.LayerNormFwd(y, in[0], gamma, beta, rows)
	return out, nil
}

// DiffWRT is true for every input.
func (o *layerNormOp[T]) DiffWRT(inputs int) []bool { return slices.Repeat([]bool{true}, inputs) }

// SymDiff returns the gradients of x, γ and β.
func (o *layerNormOp[T]) SymDiff(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	return symDiff[T]("layernorm", o.gradient(), in, dy)
}

// DoDiff adds to the gradients of x, γ and β.
func (o *layerNormOp[T]) DoDiff(_ G.ExecutionContext, in G.Nodes, out *G.Node) (err error) {
	defer guard(o, &err)
	return doDiff[T](o.gradient(), in, out)
}

func (o *layerNormOp[T]) gradient() gradient {
	return gradient{op: newLayerNormGrad[T](o.layerNorm), from: o.from(), wrt: o.wrt(), reuse: o.cfg.Reuse}
}

// layerNormGradOp is the gradient, of (x, γ?, dy), packed as [dx | dγ? | dβ?].
type layerNormGradOp[T dense.Float] struct {
	firstOrder
	layerNorm
	mem memory[T]
}

func newLayerNormGrad[T dense.Float](l layerNorm) *layerNormGradOp[T] {
	sizes := affine{gamma: l.gamma}.inputSizes(l.cols, anySize)
	return &layerNormGradOp[T]{firstOrder{base{l.describe("norm.LayerNormGrad"), sizes}}, l, memory[T]{reuse: l.cfg.Reuse}}
}

// Type is (x, γ?, dy) -> packed.
func (o *layerNormGradOp[T]) Type() hm.Type {
	if o.gamma {
		return fnType[T](o.rank, len(o.shape), o.rank, 1)
	}
	return fnType[T](o.rank, o.rank, 1)
}

// InferShape returns the length of the packed gradients.
func (o *layerNormGradOp[T]) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	x, err := shapeOf(o.label, in, 0)
	if err != nil {
		return nil, err
	}
	return tensor.Shape{x.TotalSize() + o.count()*o.cols}, nil
}

// Do returns the packed gradients.
func (o *layerNormGradOp[T]) Do(vs ...G.Value) (_ G.Value, err error) {
	defer guard(o, &err)
	in, err := inputs[T](&o.base, vs)
	if err != nil {
		return nil, err
	}
	x, dy := in[0], in[len(vs)-1]
	rows, err := o.rows(o.label, vs[0].Shape())
	if err != nil {
		return nil, err
	}
	if len(dy) != len(x) {
		return nil, fault.New(fault.ErrValue, o.label, "dy has %d elements, want %d", len(dy), len(x))
	}
	gamma, _ := affineOf(affine{gamma: o.gamma}, in[1:])
	out, packed := o.mem.tensor(len(x) + o.count()*o.cols)
	dgamma, dbeta := affineParts(o.affine, packed[len(x):], o.cols)
	kernel.LayerNormBwd(packed[:len(x)], dgamma, dbeta, x, gamma, dy, rows)
	return out, nil
}

var (
	_ G.SDOp = (*layerNormOp[float32])(nil)
	_ G.ADOp = (*layerNormOp[float32])(nil)
	_ G.SDOp = (*layerNormGradOp[float32])(nil)
	_ G.ADOp = (*layerNormGradOp[float32])(nil)
)
