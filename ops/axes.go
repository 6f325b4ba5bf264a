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

// LayerNormAxes is LayerNorm over any axes of x, negative ones counted from the
// end, instead of the trailing ones:
//
//	y = (x − mean)/√(variance + eps)·γ + β
//
// with the mean and the biased variance over the axes, for each index of the
// others. Over axis 1 of (N, C, H, W) it normalizes the channels of each pixel,
// the LayerNorm2d of ConvNeXt, which is the layer norm of (N, H, W, C) without
// its transpositions.
//
// Axes that follow one another are normalized where they are. For others, such as 1 and
// 3, x is copied.
//
// Shapes: γ and β have the sizes of the axes, in the order in which x has them, or
// are nil; y has the shape of x. Dtypes: float32 or float64, one for all.
//
// Errors at graph building: ErrGraph, ErrDtype, ErrShape, ErrOption.
//
// Ba, Kiros, Hinton, "Layer Normalization", 2016, arXiv:1607.06450v1, section 3.
// Liu et al., "A ConvNet for the 2020s", 2022, arXiv:2201.03545v2, section 2.6.
func LayerNormAxes(x, gamma, beta *G.Node, axes []int, cfg LayerNormConfig) (*G.Node, error) {
	const name = "layernorm"
	in, aff := affineArgs(x, gamma, beta)
	dt, axes, shape, err := checkAxes(name, in, axes, cfg.Eps, nil, nil)
	if err != nil {
		return nil, err
	}
	if trailingAxes(x.Shape(), axes) {
		return LayerNorm(x, gamma, beta, shape, cfg)
	}
	if dt == tensor.Float32 {
		return apply(name, newLayerNormAxes[float32](x.Dims(), axes, shape, aff, cfg), nodes(in)...)
	}
	return apply(name, newLayerNormAxes[float64](x.Dims(), axes, shape, aff, cfg), nodes(in)...)
}

func newLayerNormAxes[T dense.Float](rank int, axes []int, sizes tensor.Shape, aff affine, cfg LayerNormConfig) *normOp[T] {
	how := newAxesNorm[T](rank, axes, sizes, kernel.Columns{Eps: cfg.Eps, UnbiasedStd: cfg.UnbiasedStd})
	return newNorm("LayerNorm", how, aff, rank, sizes, cfg.Reuse)
}

// RMSNormAxes is RMSNorm over any axes of x, negative ones counted from the end,
// instead of the trailing ones:
//
//	y = x/√(Σx²/n + eps)·γ + β
//
// with the sum over the axes, for each index of the others. Over axis 1 of
// (N, C, H, W) it scales the channels of each pixel. Axes that do not follow one
// another, such as 1 and 3, cost a copy of x.
//
// Shapes: γ and β have the sizes of the axes, in the order in which x has them, or
// are nil; y has the shape of x. Dtypes: float32 or float64, one for all.
//
// Errors at graph building: ErrGraph, ErrDtype, ErrShape, ErrOption.
//
// Zhang, Sennrich, "Root Mean Square Layer Normalization", 2019,
// arXiv:1910.07467v1, equation 4.
func RMSNormAxes(x, gamma, beta *G.Node, axes []int, cfg RMSNormConfig) (*G.Node, error) {
	const name = "rmsnorm"
	in, aff := affineArgs(x, gamma, beta)
	dt, axes, shape, err := checkAxes(name, in, axes, cfg.Eps, nil, nil)
	if err != nil {
		return nil, err
	}
	if trailingAxes(x.Shape(), axes) {
		return RMSNorm(x, gamma, beta, shape, cfg)
	}
	if err := cfg.check(name, aff.gamma); err != nil {
		return nil, err
	}
	if dt == tensor.Float32 {
		return apply(name, newRMSNormAxes[float32](x.Dims(), axes, shape, aff, cfg), nodes(in)...)
	}
	return apply(name, newRMSNormAxes[float64](x.Dims(), axes, shape, aff, cfg), nodes(in)...)
}

func newRMSNormAxes[T dense.Float](rank int, axes []int, sizes tensor.Shape, aff affine, cfg RMSNormConfig) *normOp[T] {
	how := newAxesNorm[T](rank, axes, sizes, kernel.Columns{Eps: cfg.Eps, Uncentred: true})
	return newNorm("RMSNorm", scaledAs(how, cfg), aff, rank, sizes, cfg.Reuse)
}

// checkAxes checks the arguments of a norm over axes, nodes or values, the first of which
// is x. It returns their dtype, the axes in ascending order, and their sizes. Both are in
// the memory of the given empty slices if that is large enough.
func checkAxes(name string, in []arg, axes []int, eps float64, sorted []int, sizes tensor.Shape) (tensor.Dtype, []int, tensor.Shape, error) {
	dt, err := checkArgs(name, in)
	if err != nil {
		return dt, nil, nil, err
	}
	x := in[0].node.Shape()
	if sorted, err = fault.AppendAxes(sorted, name, x, axes); err != nil {
		return dt, nil, nil, err
	}
	if err := fault.Eps(name, eps); err != nil {
		return dt, nil, nil, err
	}
	for _, a := range sorted {
		sizes = append(sizes, x[a])
	}
	for _, p := range in[1:] {
		if err := checkShape(name, p, sizes); err != nil {
			return dt, nil, nil, err
		}
	}
	return dt, sorted, sizes, nil
}

// trailingAxes says whether axes, in ascending order, are the last ones of x.
func trailingAxes(x tensor.Shape, axes []int) bool { return axes[0] == len(x)-len(axes) }

// axesNorm is the normalizer of norms over any axes, in ascending order. It takes x as a
// stack of matrices whose columns are normalized. γ and β have an element for each row.
type axesNorm[T dense.Float] struct {
	axes  []int
	sizes tensor.Shape
	how   kernel.Columns // without its sizes

	// order has the normalized axes first and then the others. It is nil if the
	// normalized axes follow one another.
	order []int
}

// newAxesNorm makes the normalizer for an x of the given rank. sizes are those of the
// axes.
func newAxesNorm[T dense.Float](rank int, axes []int, sizes tensor.Shape, how kernel.Columns) normalizer[T] {
	return axesNorm[T]{axes: axes, sizes: sizes, how: how, order: orderOf(nil, rank, axes)}
}

// orderOf returns the order of axesNorm, in the memory of the given empty slice if that
// is large enough.
func orderOf(order []int, rank int, axes []int) []int {
	if axes[len(axes)-1]-axes[0] == len(axes)-1 {
		return nil
	}
	order = append(order, axes...)
	for a := range rank {
		if !slices.Contains(axes, a) {
			order = append(order, a)
		}
	}
	return order
}

// String returns the attributes.
func (n axesNorm[T]) String() string {
	return fmt.Sprintf("axes=%v, shape=%v, eps=%v, unbiasedStd=%v, uncentred=%v", n.axes, n.sizes, n.how.Eps, n.how.UnbiasedStd, n.how.Uncentred)
}

func (n axesNorm[T]) fits(op string, x tensor.Shape) error {
	for i, a := range n.axes {
		if x[a] != n.sizes[i] {
			return fault.New(fault.ErrValue, op, "x is %v, want %v in the axes %v", x, n.sizes, n.axes)
		}
	}
	return nil
}

// of returns the sizes of a value of x as matrices.
func (n axesNorm[T]) of(shape tensor.Shape) kernel.Columns {
	p := n.how
	p.Rows = n.sizes.TotalSize()
	if n.order != nil {
		p.Outer, p.Cols = 1, shape.TotalSize()/p.Rows
		return p
	}
	p.Outer, p.Cols = shape[:n.axes[0]].TotalSize(), shape[n.axes[0]+len(n.axes):].TotalSize()
	return p
}

// inOrder says whether the elements of x already lie in memory as those matrices. They
// always do if all axes but the normalized ones have size 1.
func (n axesNorm[T]) inOrder(p kernel.Columns) bool { return n.order == nil || p.Cols == 1 }

func (n axesNorm[T]) forward(y, x, _, gamma, beta []T, shape tensor.Shape) {
	p := n.of(shape)
	if n.inOrder(p) {
		kernel.ColumnNormFwd(y, x, gamma, beta, p)
		return
	}
	perm := kernel.Permuted[T]{Shape: shape, Order: n.order}
	px, py := perm.Gather(x), kernel.Borrow[T](len(y))
	defer px.Release()
	defer py.Release()
	kernel.ColumnNormFwd(py.Data, px.Data, gamma, beta, p)
	perm.Scatter(y, py.Data)
}

func (n axesNorm[T]) backward(dx, dgamma, dbeta, x, _, gamma, dy []T, shape tensor.Shape) {
	p := n.of(shape)
	if n.inOrder(p) {
		kernel.ColumnNormBwd(dx, dgamma, dbeta, x, gamma, dy, p)
		return
	}
	perm := kernel.Permuted[T]{Shape: shape, Order: n.order}
	px, pdy, pdx := perm.Gather(x), perm.Gather(dy), kernel.Borrow[T](len(dx))
	defer px.Release()
	defer pdy.Release()
	defer pdx.Release()
	kernel.ColumnNormBwd(pdx.Data, dgamma, dbeta, px.Data, gamma, pdy.Data, p)
	perm.Scatter(dx, pdx.Data)
}

func (n axesNorm[T]) second(out kernel.SecondGrads[T], in kernel.SecondArgs[T], _ []T, shape tensor.Shape) {
	p := n.of(shape)
	if n.inOrder(p) {
		kernel.ColumnNormSecond(out, in, p)
		return
	}
	perm := kernel.Permuted[T]{Shape: shape, Order: n.order}
	x, dy, ux := perm.Gather(in.X), perm.Gather(in.DY), perm.Gather(in.UX)
	dx, ddy := kernel.Borrow[T](len(out.X)), kernel.Borrow[T](len(out.DY))
	defer x.Release()
	defer dy.Release()
	defer ux.Release()
	defer dx.Release()
	defer ddy.Release()
	in.X, in.DY, in.UX = x.Data, dy.Data, ux.Data
	kernel.ColumnNormSecond(kernel.SecondGrads[T]{X: dx.Data, Gamma: out.Gamma, DY: ddy.Data}, in, p)
	perm.Scatter(out.X, dx.Data)
	perm.Scatter(out.DY, ddy.Data)
}
