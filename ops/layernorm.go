package ops

import (
	"fmt"
	"slices"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// LayerNormConfig says how layer norm measures the spread of a row.
type LayerNormConfig struct {
	// Eps > 0 keeps the division finite if a row is constant.
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
// Then a row of one element gives NaN, since its σ is not defined, and in a
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
	dt, err := checkRows(name, in, shape, cfg.Eps)
	if err != nil {
		return nil, err
	}
	if dt == tensor.Float32 {
		return apply(name, newLayerNorm[float32](x.Dims(), shape, aff, cfg), nodes(in)...)
	}
	return apply(name, newLayerNorm[float64](x.Dims(), shape, aff, cfg), nodes(in)...)
}

// checkRows checks the arguments of a norm over rows, the first of which is x, and
// returns their dtype.
func checkRows(name string, in []arg, shape tensor.Shape, eps float64) (tensor.Dtype, error) {
	dt, err := checkArgs(name, in)
	if err != nil {
		return dt, err
	}
	if err := fault.Eps(name, eps); err != nil {
		return dt, err
	}
	if err := fault.NormalizedShape(name, shape); err != nil {
		return dt, err
	}
	xs := in[0].node.Shape()
	if tail := len(xs) - len(shape); tail < 0 || !slices.Equal(xs[tail:], shape) {
		return dt, fault.New(fault.ErrShape, name, "x is %v, want %v", xs, trailing(shape))
	}
	for _, p := range in[1:] {
		if err := checkShape(name, p, shape); err != nil {
			return dt, err
		}
	}
	return dt, nil
}

// trailing prints (..., 3, 4) for the shape (3, 4).
func trailing(shape tensor.Shape) string {
	s := "(..."
	for _, n := range shape {
		s += fmt.Sprintf(", %d", n)
	}
	return s + ")"
}

// newLayerNorm makes the op. shape is that of the normalized axes.
func newLayerNorm[T dense.Float](rank int, shape tensor.Shape, aff affine, cfg LayerNormConfig) *normOp[T] {
	return newNorm[T]("LayerNorm", rowNorm[T]{shape.Clone(), cfg.rows(shape)}, aff, rank, shape, cfg.Reuse)
}

func (c LayerNormConfig) rows(shape tensor.Shape) kernel.Rows {
	return kernel.Rows{Cols: shape.TotalSize(), Eps: c.Eps, UnbiasedStd: c.UnbiasedStd}
}

// rowNorm is the normalizer of layer norm and RMS norm: the trailing axes of x are a row, and
// γ and β have an element for each of its elements.
type rowNorm[T dense.Float] struct {
	shape tensor.Shape
	rows  kernel.Rows // without the number of rows
}

// String names the attributes.
func (r rowNorm[T]) String() string {
	return fmt.Sprintf("shape=%v, eps=%v, unbiasedStd=%v", r.shape, r.rows.Eps, r.rows.UnbiasedStd)
}

func (r rowNorm[T]) fits(op string, x tensor.Shape) error {
	if !slices.Equal(x[len(x)-len(r.shape):], r.shape) {
		return fault.New(fault.ErrValue, op, "x is %v, want %v", x, trailing(r.shape))
	}
	return nil
}

// of returns the sizes of x as rows.
func (r rowNorm[T]) of(x []T) kernel.Rows {
	r.rows.Rows = len(x) / r.rows.Cols
	return r.rows
}

func (r rowNorm[T]) forward(y, x, _, gamma, beta []T, _ tensor.Shape) {
	kernel.LayerNormFwd(y, x, gamma, beta, r.of(x))
}

func (r rowNorm[T]) backward(dx, dgamma, dbeta, x, _, gamma, dy []T, _ tensor.Shape) {
	kernel.LayerNormBwd(dx, dgamma, dbeta, x, gamma, dy, r.of(x))
}

func (r rowNorm[T]) second(out kernel.SecondGrads[T], in kernel.SecondArgs[T], _ []T, _ tensor.Shape) {
	kernel.LayerNormSecond(out, in, r.of(in.X))
}
