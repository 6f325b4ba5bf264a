package ops

import (
	"github.com/gorgonorm/norm/internal/dense"
	"gorgonia.org/tensor"
)

// EvalNormalize is Normalize of values; see the package documentation.
//
// Errors: ErrValue, ErrDtype, ErrShape, ErrOption.
func EvalNormalize(dst, x *tensor.Dense, cfg NormalizeConfig) (*tensor.Dense, error) {
	const name = "normalize"
	v := valuesOf(x)
	dt, err := checkNormalize(name, v.list(), &cfg)
	if err != nil {
		return nil, err
	}
	if dt == tensor.Float32 {
		return evalNormalize[float32](name, dst, &v, cfg)
	}
	return evalNormalize[float64](name, dst, &v, cfg)
}

func evalNormalize[T dense.Float](name string, dst *tensor.Dense, v *values, cfg NormalizeConfig) (*tensor.Dense, error) {
	shape := v.value(0).Shape()
	return evaluate(name, dst, shape, v, func(y []T, in [maxInputs][]T) {
		lpNorm[T]{axis: cfg.Axis, lp: cfg.lp()}.forward(y, in[0], nil, nil, nil, shape)
	})
}

// EvalLocalResponseNorm is LocalResponseNorm of values; see the package
// documentation.
//
// Errors: ErrValue, ErrDtype, ErrShape, ErrOption.
func EvalLocalResponseNorm(dst, x *tensor.Dense, cfg LocalResponseNormConfig) (*tensor.Dense, error) {
	const name = "localresponsenorm"
	v := valuesOf(x)
	dt, err := checkLocalResponse(name, v.list(), cfg)
	if err != nil {
		return nil, err
	}
	if dt == tensor.Float32 {
		return evalLocalResponse[float32](name, dst, &v, cfg)
	}
	return evalLocalResponse[float64](name, dst, &v, cfg)
}

func evalLocalResponse[T dense.Float](name string, dst *tensor.Dense, v *values, cfg LocalResponseNormConfig) (*tensor.Dense, error) {
	shape := v.value(0).Shape()
	return evaluate(name, dst, shape, v, func(y []T, in [maxInputs][]T) {
		localResponse[T]{LocalResponse: cfg.kernel()}.forward(y, in[0], nil, nil, nil, shape)
	})
}
