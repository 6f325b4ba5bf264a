package ops

import (
	"fmt"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// LocalResponseNormConfig has the window and the constants of local response norm.
type LocalResponseNormConfig struct {
	// Size ≥ 1 is the number of channels in a window.
	Size int

	// Alpha ≥ 0, Beta and K ≥ 0 are the constants of the formula.
	Alpha, Beta, K float64

	// Mirrored takes ONNX's window: if Size is even, the extra channel comes after the
	// centre. In PyTorch it comes before.
	Mirrored bool

	// Reuse keeps the memory of results from run to run; see the package
	// documentation.
	Reuse bool
}

// DefaultLocalResponseNorm returns the defaults of PyTorch for a size: alpha = 1e-4, beta
// = 0.75 and k = 1. AlexNet has size 5 and k = 2. Its alpha is not divided by the size,
// so here it is 5e-4.
func DefaultLocalResponseNorm(size int) LocalResponseNormConfig {
	return LocalResponseNormConfig{Size: size, Alpha: 1e-4, Beta: 0.75, K: 1}
}

// LocalResponseNorm divides each element by the activity of its neighbours, which are the
// elements at the same place in nearby channels:
//
//	y = x/(k + alpha/size·Σx²)^beta
//
// with the sum over those of the channels c − size/2 to c + (size−1)/2 that exist, where
// c is the element's own channel and the quotients are rounded down. With cfg.Mirrored
// they are c − (size−1)/2 to c + size/2. Alpha is divided by the size at the first and
// the last channels too. It is PyTorch's LocalResponseNorm and ONNX's LRN; the paper does
// not divide alpha by the size.
//
// There are fast loops for a beta of 0.5 and 0.75, and a simple one for 1. Any other beta
// takes a power for each element.
//
// If k is 0, a window of zeros gives NaN. In float64 the squares have to stay in the
// range of float64, so |x| has to be below 1e154.
//
// Shapes: x is (N, C, L), (N, C, H, W) or (N, C, D, H, W), and y has its shape.
// Dtypes: float32 or float64.
//
// Errors at graph building: ErrGraph, ErrDtype, ErrShape, ErrOption.
//
// Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional
// Neural Networks", NIPS 2012, section 3.3.
func LocalResponseNorm(x *G.Node, cfg LocalResponseNormConfig) (*G.Node, error) {
	const name = "localresponsenorm"
	dt, err := checkLocalResponse(name, []arg{{"x", x}}, cfg)
	if err != nil {
		return nil, err
	}
	if dt == tensor.Float32 {
		return apply(name, newLocalResponse[float32](x.Shape(), cfg), x)
	}
	return apply(name, newLocalResponse[float64](x.Shape(), cfg), x)
}

func checkLocalResponse(name string, in []arg, cfg LocalResponseNormConfig) (tensor.Dtype, error) {
	dt, err := checkArgs(name, in)
	if err != nil {
		return dt, err
	}
	shape := in[0].node.Shape()
	switch {
	case len(shape) < 3 || len(shape) > 5:
		return dt, fault.New(fault.ErrShape, name, "x is %v, want rank 3 to 5 as (N, C, ...)", shape)
	case cfg.Size < 1:
		return dt, fault.New(fault.ErrOption, name, "size is %d, want at least 1", cfg.Size)
	case !(cfg.Alpha >= 0 && finite(cfg.Alpha)):
		return dt, fault.New(fault.ErrOption, name, "alpha is %v, want a finite number of at least 0", cfg.Alpha)
	case !finite(cfg.Beta):
		return dt, fault.New(fault.ErrOption, name, "beta is %v, want a finite number", cfg.Beta)
	case !(cfg.K >= 0 && finite(cfg.K)):
		return dt, fault.New(fault.ErrOption, name, "k is %v, want a finite number of at least 0", cfg.K)
	}
	return dt, nil
}

func newLocalResponse[T dense.Float](x tensor.Shape, cfg LocalResponseNormConfig) *normOp[T] {
	how := localResponse[T]{x[1], cfg.kernel()}
	return newNorm[T]("LocalResponseNorm", how, affine{}, len(x), nil, cfg.Reuse)
}

func (c LocalResponseNormConfig) kernel() kernel.LocalResponse {
	return kernel.LocalResponse{Size: c.Size, Alpha: c.Alpha, Beta: c.Beta, K: c.K, Mirrored: c.Mirrored}
}

// localResponse is the normalizer of local response norm.
type localResponse[T dense.Float] struct {
	channels int
	kernel.LocalResponse
}

// String names the attributes.
func (l localResponse[T]) String() string {
	return fmt.Sprintf("channels=%d, size=%d, alpha=%v, beta=%v, k=%v, mirrored=%v", l.channels, l.Size, l.Alpha, l.Beta, l.K, l.Mirrored)
}

func (l localResponse[T]) fits(op string, x tensor.Shape) error {
	if x[1] != l.channels {
		return fault.New(fault.ErrValue, op, "x is %v, want %s", x, fault.WithChannels(l.channels, 1))
	}
	return nil
}

func (l localResponse[T]) forward(y, x, _, _, _ []T, shape tensor.Shape) {
	kernel.LocalResponseNormFwd(y, x, axisView(shape, 1), l.LocalResponse)
}

func (l localResponse[T]) backward(dx, _, _, x, _, _, dy []T, shape tensor.Shape) {
	kernel.LocalResponseNormBwd(dx, x, dy, axisView(shape, 1), l.LocalResponse)
}

func (l localResponse[T]) second(out kernel.SecondGrads[T], in kernel.SecondArgs[T], _ []T, shape tensor.Shape) {
	kernel.LocalResponseNormSecond(out.X, out.DY, in.X, in.DY, in.UX, axisView(shape, 1), l.LocalResponse)
}
