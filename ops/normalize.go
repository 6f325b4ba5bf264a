package ops

import (
	"fmt"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// NormalizeConfig says which norm Normalize divides by.
type NormalizeConfig struct {
	// P ≥ 1 is the power of the norm. +Inf takes the largest |x|.
	P float64

	// Axis is the axis that the norm runs along. Negative numbers count from the end.
	// WholeTensor stands for a single norm over all elements.
	Axis int

	// Eps > 0 replaces a smaller norm.
	Eps float64

	// Reuse keeps the memory of results from run to run; see the package
	// documentation.
	Reuse bool
}

// DefaultNormalize returns the defaults of PyTorch: the Euclidean norm along
// axis 1, and 1e-12 for eps.
func DefaultNormalize() NormalizeConfig { return NormalizeConfig{P: 2, Axis: 1, Eps: 1e-12} }

// Normalize gives the vectors along an axis of x the length 1:
//
//	y = x/max(‖x‖, eps),  ‖x‖ = (Σ|x|^p)^(1/p), or max|x| for p = +Inf
//
// It is torch.nn.functional.normalize. The gradient
//
//	dx = dy/‖x‖ − Σ(dy·x)/‖x‖²·∂‖x‖/∂x,  ∂‖x‖/∂x = sign(x)·(|x|/‖x‖)^(p−1)
//
// has no part through the norm if that is below eps: then dx = dy/eps. The derivative of
// |x| at 0 is taken to be 0. For p = +Inf, if several elements are the largest, they have
// equal shares.
//
// Powers of x do not overflow. There are fast loops for p = 2, and simple ones for p = 1,
// 3, 4 and +Inf. Any other p takes a power for each element.
//
// Shapes: x has rank 1 to 5, and y its shape. Dtypes: float32 or float64.
//
// Errors at graph building: ErrGraph, ErrDtype, ErrShape, ErrOption.
func Normalize(x *G.Node, cfg NormalizeConfig) (*G.Node, error) {
	const name = "normalize"
	in := []arg{{"x", x}}
	dt, err := checkNormalize(name, in, &cfg)
	if err != nil {
		return nil, err
	}
	if dt == tensor.Float32 {
		return apply(name, newNormalize[float32](x.Shape(), cfg), x)
	}
	return apply(name, newNormalize[float64](x.Shape(), cfg), x)
}

// checkNormalize checks x and the settings, and counts the axis from the front.
func checkNormalize(name string, in []arg, cfg *NormalizeConfig) (tensor.Dtype, error) {
	dt, err := checkArgs(name, in)
	if err != nil {
		return dt, err
	}
	shape := in[0].node.Shape()
	rank := len(shape)
	switch {
	case rank > 5:
		return dt, fault.New(fault.ErrShape, name, "x is %v, want rank 1 to 5", shape)
	case cfg.Axis != WholeTensor && (cfg.Axis < -rank || cfg.Axis >= rank):
		return dt, fault.New(fault.ErrShape, name, "axis is %d, want %d to %d for x %v, or WholeTensor", cfg.Axis, -rank, rank-1, shape)
	case !(cfg.P >= 1):
		return dt, fault.New(fault.ErrOption, name, "p is %v, want a number of at least 1", cfg.P)
	}
	if cfg.Axis < 0 && cfg.Axis != WholeTensor {
		cfg.Axis += rank
	}
	return dt, fault.Eps(name, cfg.Eps)
}

func newNormalize[T dense.Float](x tensor.Shape, cfg NormalizeConfig) *normOp[T] {
	how := lpNorm[T]{axis: cfg.Axis, lp: cfg.lp()}
	how.length = how.view(x).Channels
	return newNorm[T]("Normalize", how, affine{}, len(x), nil, cfg.Reuse)
}

func (c NormalizeConfig) lp() kernel.Lp { return kernel.Lp{P: c.P, Eps: c.Eps} }

// lpNorm is the normalizer of Normalize.
type lpNorm[T dense.Float] struct {
	axis, length int // the axis that norms run along, and its size
	lp           kernel.Lp
}

// String names the attributes.
func (l lpNorm[T]) String() string {
	return fmt.Sprintf("%s, length=%d, p=%v, eps=%v", axisLabel(l.axis), l.length, l.lp.P, l.lp.Eps)
}

func (l lpNorm[T]) fits(op string, x tensor.Shape) error {
	if n := l.view(x).Channels; n != l.length {
		return fault.New(fault.ErrValue, op, "x is %v with %d elements to a norm, want %d", x, n, l.length)
	}
	return nil
}

// view returns the sizes of x, with the axis that norms run along as the channels.
func (l lpNorm[T]) view(x tensor.Shape) kernel.View {
	if l.axis == WholeTensor {
		return kernel.View{Outer: 1, Channels: x.TotalSize(), Inner: 1}
	}
	return axisView(x, l.axis)
}

func (l lpNorm[T]) forward(y, x, _, _, _ []T, shape tensor.Shape) {
	kernel.NormalizeFwd(y, x, l.view(shape), l.lp)
}

func (l lpNorm[T]) backward(dx, _, _, x, _, _, dy []T, shape tensor.Shape) {
	kernel.NormalizeBwd(dx, x, dy, l.view(shape), l.lp)
}

func (l lpNorm[T]) second(out kernel.SecondGrads[T], in kernel.SecondArgs[T], _ []T, shape tensor.Shape) {
	kernel.NormalizeSecond(out.X, out.DY, in.X, in.DY, in.UX, l.view(shape), l.lp)
}
