package ops

import (
	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	"gorgonia.org/tensor"
)

// EvalWeightNorm is WeightNorm of values; see the package documentation.
//
// Errors: ErrValue, ErrDtype, ErrShape.
func EvalWeightNorm(dst, v, g *tensor.Dense, cfg WeightNormConfig) (*tensor.Dense, error) {
	const name = "weightnorm"
	var a values
	a.add("v", v)
	a.add("g", g)
	dt, err := checkArgs(name, a.list())
	if err != nil {
		return nil, err
	}
	if err := checkWeight(name, a.args[0], a.args[1], cfg.Axis); err != nil {
		return nil, err
	}
	if dt == tensor.Float32 {
		return evalWeightNorm[float32](name, dst, &a, cfg.Axis)
	}
	return evalWeightNorm[float64](name, dst, &a, cfg.Axis)
}

func evalWeightNorm[T dense.Float](name string, dst *tensor.Dense, v *values, axis int) (*tensor.Dense, error) {
	shape := v.value(0).Shape()
	return evaluate(name, dst, shape, v, func(w []T, in [maxInputs][]T) {
		kernel.WeightNormFwd(w, in[0], in[1], weightView(shape, axis))
	})
}

// EvalWeightNormLinear is WeightNormLinear of values; see the package documentation.
// It computes ‖v‖ each time: if w does not change, a plain product with the result of
// EvalWeightNorm avoids that.
//
// Errors: ErrValue, ErrDtype, ErrShape.
func EvalWeightNormLinear(dst, x, v, g, b *tensor.Dense, cfg WeightNormConfig) (*tensor.Dense, error) {
	const name = "weightnormlinear"
	a := valuesOf(x)
	a.add("v", v)
	a.add("g", g)
	if b != nil {
		a.add("b", b)
	}
	dt, err := checkLinear(name, a.list(), cfg)
	if err != nil {
		return nil, err
	}
	if dt == tensor.Float32 {
		return evalLinear[float32](name, dst, &a, cfg.Axis)
	}
	return evalLinear[float64](name, dst, &a, cfg.Axis)
}

func evalLinear[T dense.Float](name string, dst *tensor.Dense, v *values, axis int) (*tensor.Dense, error) {
	x, weight := v.value(0).Shape(), v.value(1).Shape()
	s := sizes{rows: x.TotalSize() / weight[1], out: weight[0], in: weight[1]}
	var mem [maxAxes]int
	shape := append(tensor.Shape(mem[:0]), x...)
	shape[len(shape)-1] = s.out
	return evaluate(name, dst, shape, v, func(y []T, in [maxInputs][]T) {
		linearFwd(y, in[0], in[1], in[2], in[3], s, weightView(weight, axis), axis)
	})
}

// EvalSpectralNorm is SpectralNorm of a value, as in evaluation: it takes a snapshot
// of the vectors and never updates them. See the package documentation.
//
// Errors: ErrValue, ErrDtype, ErrShape, and ErrOption for nil vectors.
func EvalSpectralNorm(dst, weight *tensor.Dense, vectors *SingularVectors) (*tensor.Dense, error) {
	var a values
	a.add("the weight", weight)
	dt, err := checkSpectral(a.list(), vectors)
	if err != nil {
		return nil, err
	}
	if dt == tensor.Float32 {
		return evalSpectralNorm[float32](dst, &a, vectors)
	}
	return evalSpectralNorm[float64](dst, &a, vectors)
}

func evalSpectralNorm[T dense.Float](dst *tensor.Dense, v *values, vectors *SingularVectors) (*tensor.Dense, error) {
	return evaluate(spectralNorm, dst, vectors.shape, v, func(w []T, in [maxInputs][]T) {
		view := vectors.view()
		s := kernel.Borrow[float64](view.Channels + view.Count())
		defer s.Release()
		left, right := s.Data[:view.Channels], s.Data[view.Channels:]
		vectors.read(left, right)
		kernel.SpectralNormFwd(w, in[0], kernel.Sigma(in[0], view, left, right))
	})
}
