package ops

import (
	"fmt"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// RMSNormConfig says how RMS norm scales.
type RMSNormConfig struct {
	// Eps > 0 keeps the division finite if a row is zero.
	Eps float64

	// ScalePlusOne scales by 1 + γ instead of γ, for weights that are stored as
	// the difference from 1, so that weight decay pulls the scale to 1.
	ScalePlusOne bool

	// Reuse keeps the memory of results from run to run; see the package
	// documentation.
	Reuse bool
}

// RMSNorm divides x by the root of its mean square over its trailing axes, those
// of the given shape, and applies an optional scale and shift:
//
//	y = x/√(Σx²/n + eps)·γ + β
//
// for each row, a row being the n elements that share the leading axes. Unlike layer
// norm it subtracts no mean.
//
// Shapes: x is (..., shape), γ and β are shape, or nil for none; y has the
// shape of x. Dtypes: float32 or float64, one for all.
//
// Errors at graph building: ErrGraph, ErrDtype, ErrShape, ErrOption.
//
// Zhang, Sennrich, "Root Mean Square Layer Normalization", 2019,
// arXiv:1910.07467v1, equation 4.
func RMSNorm(x, gamma, beta *G.Node, shape tensor.Shape, cfg RMSNormConfig) (*G.Node, error) {
	const name = "rmsnorm"
	in, aff := affineArgs(x, gamma, beta)
	dt, err := checkRows(name, in, shape, cfg.Eps)
	if err != nil {
		return nil, err
	}
	if err := cfg.check(name, gamma != nil); err != nil {
		return nil, err
	}
	if dt == tensor.Float32 {
		return apply(name, newRMSNorm[float32](x.Dims(), shape, aff, cfg), nodes(in)...)
	}
	return apply(name, newRMSNorm[float64](x.Dims(), shape, aff, cfg), nodes(in)...)
}

// check checks that there is a γ if the settings need one.
func (c RMSNormConfig) check(name string, gamma bool) error {
	if c.ScalePlusOne && !gamma {
		return fault.New(fault.ErrOption, name, "ScalePlusOne without gamma, want gamma")
	}
	return nil
}

func newRMSNorm[T dense.Float](rank int, shape tensor.Shape, aff affine, cfg RMSNormConfig) *normOp[T] {
	return newNorm("RMSNorm", scaledAs[T](rowNorm[T]{shape.Clone(), cfg.rows(shape)}, cfg), aff, rank, shape, cfg.Reuse)
}

// scaledAs returns a normalizer that scales as the settings say.
func scaledAs[T dense.Float](how normalizer[T], cfg RMSNormConfig) normalizer[T] {
	if cfg.ScalePlusOne {
		return plusOne[T]{how}
	}
	return how
}

func (c RMSNormConfig) rows(shape tensor.Shape) kernel.Rows {
	return kernel.Rows{Cols: shape.TotalSize(), Eps: c.Eps, Uncentred: true}
}

// plusOne is a normalizer that scales by 1 + γ.
type plusOne[T dense.Float] struct{ normalizer[T] }

// String names the attributes.
func (p plusOne[T]) String() string { return fmt.Sprintf("%v, scale=1+gamma", p.normalizer) }

func (p plusOne[T]) forward(y, x, mask, gamma, beta []T, shape tensor.Shape) {
	scale := scaleOf(gamma, true)
	defer scale.release()
	p.normalizer.forward(y, x, mask, scale.data, beta, shape)
}

func (p plusOne[T]) backward(dx, dgamma, dbeta, x, mask, gamma, dy []T, shape tensor.Shape) {
	scale := scaleOf(gamma, true)
	defer scale.release()
	p.normalizer.backward(dx, dgamma, dbeta, x, mask, scale.data, dy, shape)
}

func (p plusOne[T]) second(out kernel.SecondGrads[T], in kernel.SecondArgs[T], mask []T, shape tensor.Shape) {
	scale := scaleOf(in.Gamma, true)
	defer scale.release()
	in.Gamma = scale.data
	p.normalizer.second(out, in, mask, shape)
}

// scaleOf returns the factors of x̂: γ, or 1 + γ with plusOne.
func scaleOf[T dense.Float](gamma []T, plusOne bool) lent[T] {
	if !plusOne {
		return lent[T]{data: gamma}
	}
	s := kernel.Borrow[T](len(gamma))
	kernel.OnePlus(s.Data, gamma)
	return lent[T]{s.Data, s}
}
