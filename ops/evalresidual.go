package ops

import (
	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	"gorgonia.org/tensor"
)

// EvalAddLayerNorm is AddLayerNorm of values; see the package documentation. It writes
// its results to y and sum. sum may be x or r.
//
// Errors: ErrValue, ErrDtype, ErrShape, ErrOption.
func EvalAddLayerNorm(y, sum, x, r, gamma, beta *tensor.Dense, shape tensor.Shape, cfg LayerNormConfig) (_, _ *tensor.Dense, err error) {
	const name = "addlayernorm"
	v, dt, err := residualValues(name, x, r, gamma, beta, shape, cfg.Eps)
	if err != nil {
		return nil, nil, err
	}
	if dt == tensor.Float32 {
		return evalResidual[float32](name, y, sum, &v, cfg.rows(shape), false)
	}
	return evalResidual[float64](name, y, sum, &v, cfg.rows(shape), false)
}

// EvalAddRMSNorm is AddRMSNorm of values, with results as in EvalAddLayerNorm.
//
// Errors: ErrValue, ErrDtype, ErrShape, ErrOption.
func EvalAddRMSNorm(y, sum, x, r, gamma, beta *tensor.Dense, shape tensor.Shape, cfg RMSNormConfig) (_, _ *tensor.Dense, err error) {
	const name = "addrmsnorm"
	v, dt, err := residualValues(name, x, r, gamma, beta, shape, cfg.Eps)
	if err != nil {
		return nil, nil, err
	}
	if err := cfg.check(name, v.gamma); err != nil {
		return nil, nil, err
	}
	if dt == tensor.Float32 {
		return evalResidual[float32](name, y, sum, &v, cfg.rows(shape), cfg.ScalePlusOne)
	}
	return evalResidual[float64](name, y, sum, &v, cfg.rows(shape), cfg.ScalePlusOne)
}

// residualValues returns x, r, γ and β and their dtype.
func residualValues(name string, x, r, gamma, beta *tensor.Dense, shape tensor.Shape, eps float64) (v values, dt tensor.Dtype, err error) {
	v = affineValues(x, gamma, beta)
	if dt, err = checkRows(name, v.list(), shape, eps); err != nil {
		return v, dt, err
	}
	v = valuesOf(x)
	v.add("r", r)
	v.activations = 2
	v.addAffine(gamma, beta)
	return v, dt, checkOther(name, v.args[0], v.args[1])
}

func evalResidual[T dense.Float](name string, y, sum *tensor.Dense, v *values, rows kernel.Rows, plusOne bool) (_, _ *tensor.Dense, err error) {
	defer guardCall(name, &err)
	shape := v.value(0).Shape()
	ry, err := newResult[T](name, "the destination of y", y, shape, v)
	if err != nil {
		return nil, nil, err
	}
	rs, err := newResult[T](name, "the destination of the sum", sum, shape, v)
	if err != nil {
		return nil, nil, err
	}
	if dense.Overlap(ry.out, rs.out) {
		return nil, nil, fault.New(fault.ErrValue, name, "the destination of the sum shares memory with that of y, want other memory")
	}
	in := newOperands[T](v)
	gamma, beta := affineOf(v.affine, in.data[2:])
	scale := scaleOf(gamma, plusOne)
	defer scale.release()
	rowNorm[T]{rows: rows}.add(ry.data, rs.data, in.data[0], in.data[1], scale.data, beta)
	in.release()
	return ry.finish(), rs.finish(), nil
}
