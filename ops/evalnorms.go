package ops

import (
	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	"gorgonia.org/tensor"
)

// EvalLayerNorm is LayerNorm of values; see the package documentation.
//
// Errors: ErrValue, ErrDtype, ErrShape, ErrOption.
func EvalLayerNorm(dst, x, gamma, beta *tensor.Dense, shape tensor.Shape, cfg LayerNormConfig) (*tensor.Dense, error) {
	const name = "layernorm"
	v := affineValues(x, gamma, beta)
	dt, err := checkRows(name, v.list(), shape, cfg.Eps)
	if err != nil {
		return nil, err
	}
	if dt == tensor.Float32 {
		return evalRows[float32](name, dst, &v, cfg.rows(shape), false)
	}
	return evalRows[float64](name, dst, &v, cfg.rows(shape), false)
}

// EvalRMSNorm is RMSNorm of values; see the package documentation.
//
// Errors: ErrValue, ErrDtype, ErrShape, ErrOption.
func EvalRMSNorm(dst, x, gamma, beta *tensor.Dense, shape tensor.Shape, cfg RMSNormConfig) (*tensor.Dense, error) {
	const name = "rmsnorm"
	v := affineValues(x, gamma, beta)
	dt, err := checkRows(name, v.list(), shape, cfg.Eps)
	if err != nil {
		return nil, err
	}
	if err := cfg.check(name, v.gamma); err != nil {
		return nil, err
	}
	if dt == tensor.Float32 {
		return evalRows[float32](name, dst, &v, cfg.rows(shape), cfg.ScalePlusOne)
	}
	return evalRows[float64](name, dst, &v, cfg.rows(shape), cfg.ScalePlusOne)
}

func evalRows[T dense.Float](name string, dst *tensor.Dense, v *values, rows kernel.Rows, plusOne bool) (*tensor.Dense, error) {
	return evaluate(name, dst, v.value(0).Shape(), v, func(y []T, in [maxInputs][]T) {
		gamma, beta := affineOf(v.affine, in[1:])
		scale := scaleOf(gamma, plusOne)
		defer scale.release()
		rowNorm[T]{rows: rows}.forward(y, in[0], nil, scale.data, beta, nil)
	})
}

// EvalLayerNormAxes is LayerNormAxes of values; see the package documentation.
//
// Errors: ErrValue, ErrDtype, ErrShape, ErrOption.
func EvalLayerNormAxes(dst, x, gamma, beta *tensor.Dense, axes []int, cfg LayerNormConfig) (*tensor.Dense, error) {
	const name = "layernorm"
	v := affineValues(x, gamma, beta)
	var axesMem, sizesMem [maxAxes]int
	dt, sorted, sizes, err := checkAxes(name, v.list(), axes, cfg.Eps, axesMem[:0], sizesMem[:0])
	if err != nil {
		return nil, err
	}
	if trailingAxes(x.Shape(), sorted) {
		return EvalLayerNorm(dst, x, gamma, beta, x.Shape()[sorted[0]:], cfg)
	}
	how := kernel.Columns{Eps: cfg.Eps, UnbiasedStd: cfg.UnbiasedStd}
	if dt == tensor.Float32 {
		return evalAxes[float32](name, dst, &v, sorted, sizes, how, false)
	}
	return evalAxes[float64](name, dst, &v, sorted, sizes, how, false)
}

// EvalRMSNormAxes is RMSNormAxes of values; see the package documentation.
//
// Errors: ErrValue, ErrDtype, ErrShape, ErrOption.
func EvalRMSNormAxes(dst, x, gamma, beta *tensor.Dense, axes []int, cfg RMSNormConfig) (*tensor.Dense, error) {
	const name = "rmsnorm"
	v := affineValues(x, gamma, beta)
	var axesMem, sizesMem [maxAxes]int
	dt, sorted, sizes, err := checkAxes(name, v.list(), axes, cfg.Eps, axesMem[:0], sizesMem[:0])
	if err != nil {
		return nil, err
	}
	if trailingAxes(x.Shape(), sorted) {
		return EvalRMSNorm(dst, x, gamma, beta, x.Shape()[sorted[0]:], cfg)
	}
	if err := cfg.check(name, v.gamma); err != nil {
		return nil, err
	}
	how := kernel.Columns{Eps: cfg.Eps, Uncentred: true}
	if dt == tensor.Float32 {
		return evalAxes[float32](name, dst, &v, sorted, sizes, how, cfg.ScalePlusOne)
	}
	return evalAxes[float64](name, dst, &v, sorted, sizes, how, cfg.ScalePlusOne)
}

func evalAxes[T dense.Float](name string, dst *tensor.Dense, v *values, axes []int, sizes tensor.Shape, how kernel.Columns, plusOne bool) (*tensor.Dense, error) {
	var order [maxAxes]int
	shape := v.value(0).Shape()
	n := axesNorm[T]{axes: axes, sizes: sizes, how: how, order: orderOf(order[:0], len(shape), axes)}
	return evaluate(name, dst, shape, v, func(y []T, in [maxInputs][]T) {
		gamma, beta := affineOf(v.affine, in[1:])
		scale := scaleOf(gamma, plusOne)
		defer scale.release()
		n.forward(y, in[0], nil, scale.data, beta, shape)
	})
}

// EvalGroupNorm is GroupNorm of values; see the package documentation.
//
// Errors: ErrValue, ErrDtype, ErrShape, ErrOption, ErrBatch.
func EvalGroupNorm(dst, x, gamma, beta *tensor.Dense, cfg GroupNormConfig) (*tensor.Dense, error) {
	const name = "groupnorm"
	v := affineValues(x, gamma, beta)
	dt, err := checkArgs(name, v.list())
	if err != nil {
		return nil, err
	}
	if err := checkNoMask(name, cfg.Mask); err != nil {
		return nil, err
	}
	if err := checkGroupNorm(name, v.list(), cfg); err != nil {
		return nil, err
	}
	return evalGroups(name, dst, &v, dt, channelGroups{x.Shape()[1], cfg.Groups, cfg.Eps})
}

func evalGroups(name string, dst *tensor.Dense, v *values, dt tensor.Dtype, how channelGroups) (*tensor.Dense, error) {
	if dt == tensor.Float32 {
		return evalGroupsOf[float32](name, dst, v, how)
	}
	return evalGroupsOf[float64](name, dst, v, how)
}

func evalGroupsOf[T dense.Float](name string, dst *tensor.Dense, v *values, how channelGroups) (*tensor.Dense, error) {
	shape := v.value(0).Shape()
	return evaluate(name, dst, shape, v, func(y []T, in [maxInputs][]T) {
		gamma, beta := affineOf(v.affine, in[1:])
		groupNorm[T]{how}.forward(y, in[0], nil, gamma, beta, shape)
	})
}

// EvalBatchNorm is BatchNorm of values in evaluation. It uses a snapshot of the running
// statistics and never updates them; if stats are nil, it uses those of the batch. See
// the package documentation.
//
// Errors: ErrValue, ErrDtype, ErrShape, ErrOption, and ErrBatch if stats are nil.
func EvalBatchNorm(dst, x, gamma, beta *tensor.Dense, stats *RunningStats, cfg BatchNormConfig) (*tensor.Dense, error) {
	const name = "batchnorm"
	v := affineValues(x, gamma, beta)
	dt, err := checkArgs(name, v.list())
	if err != nil {
		return nil, err
	}
	if err := checkNoMask(name, cfg.Mask); err != nil {
		return nil, err
	}
	c, err := checkBatchNorm(name, v.list(), stats, cfg)
	if err != nil {
		return nil, err
	}
	return evalChannels(name, dst, &v, dt, c, stats, cfg.Eps)
}

// EvalInstanceNorm is InstanceNorm of values in evaluation. It uses a snapshot of the
// running statistics and never updates them; if stats are nil, it uses those of each
// sample. See the package documentation.
//
// Errors: ErrValue, ErrDtype, ErrShape, ErrOption, and ErrBatch if stats are nil.
func EvalInstanceNorm(dst, x, gamma, beta *tensor.Dense, stats *RunningStats, cfg InstanceNormConfig) (*tensor.Dense, error) {
	const name = "instancenorm"
	v := affineValues(x, gamma, beta)
	dt, err := checkArgs(name, v.list())
	if err != nil {
		return nil, err
	}
	if err := checkNoMask(name, cfg.Mask); err != nil {
		return nil, err
	}
	c, err := checkInstanceNorm(name, v.list(), stats, cfg)
	if err != nil {
		return nil, err
	}
	if stats == nil {
		return evalGroups(name, dst, &v, dt, channelGroups{c.channels, c.channels, cfg.Eps})
	}
	return evalChannels(name, dst, &v, dt, c, stats, cfg.Eps)
}

func evalChannels(name string, dst *tensor.Dense, v *values, dt tensor.Dtype, c channelAxis, stats *RunningStats, eps float64) (*tensor.Dense, error) {
	if dt == tensor.Float32 {
		return evalChannelsOf[float32](name, dst, v, c, stats, eps)
	}
	return evalChannelsOf[float64](name, dst, v, c, stats, eps)
}

func evalChannelsOf[T dense.Float](name string, dst *tensor.Dense, v *values, c channelAxis, stats *RunningStats, eps float64) (*tensor.Dense, error) {
	shape := v.value(0).Shape()
	return evaluate(name, dst, shape, v, func(y []T, in [maxInputs][]T) {
		x, view := in[0], axisView(shape, c.axis)
		gamma, beta := affineOf(v.affine, in[1:])
		if fixed := acquireFixed(stats, gamma, beta, eps); fixed != nil {
			defer fixed.release(stats)
			fixed.norm.Fwd(y, x, view)
			return
		}
		packed := kernel.Borrow[float64](statsLen(c.channels))
		defer packed.Release()
		s, _ := unpackStats(packed.Data, c.channels)
		if stats != nil {
			stats.read(s, eps)
		} else {
			kernel.Moments(x, nil, view, eps, s.Mean, s.Residual, s.Rstd)
			kernel.Rstd(s.Rstd, s.Rstd, float64(view.Count()), eps)
		}
		kernel.BatchNormFwd(y, x, nil, gamma, beta, view, s)
	})
}
