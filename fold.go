package norm

import (
	"math"
	"slices"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"gorgonia.org/tensor"
)

// Fold merges the layer, in evaluation mode, into the preceding linear layer or
// convolution, for inference without batch norm. For the weight w and the bias b of
// that layer it returns new ones: with the running statistics, for each output c,
//
//	s = γ[c]/√(variance[c] + eps)
//	w'[c] = w[c]·s,  b'[c] = (b[c] − mean[c])·s + β[c]
//
// outAxis is the axis of the weight that has the outputs, which must be the
// channels that are normalized; negative axes count from the end:
//
//	0  for filters (out, in, height, width), and for (out, in) used as x·wᵀ
//	1  for (in, out) used as x·w, and for filters (in, out, ...) of a transposed
//	   convolution
//
// The bias has the size of the channels in one axis and 1 in all others, as in (out) and
// (1, out, 1, 1), and the new one has the same shape. For a nil bias, of a layer that has
// none, the new one is (out). Both results are new row-major tensors, each number rounded
// once. weight, bias and the layer are not changed, and later changes to them do not
// affect the results.
//
// Errors: ErrValue for a nil or masked tensor, ErrDtype for a dtype other than the
// layer's, ErrShape if the outputs are not the channels, ErrOption for a layer
// without running statistics.
func (l *BatchNorm) Fold(weight, bias *tensor.Dense, outAxis int) (foldedWeight, foldedBias *tensor.Dense, err error) {
	if l.stats == nil {
		return nil, nil, l.untracked()
	}
	if err := l.checkFold(weight, bias, outAxis); err != nil {
		return nil, nil, err
	}
	if l.dtype == tensor.Float32 {
		return fold[float32](l, weight, bias, outAxis)
	}
	return fold[float64](l, weight, bias, outAxis)
}

func (l *BatchNorm) checkFold(weight, bias *tensor.Dense, outAxis int) error {
	if weight == nil {
		return fault.New(ErrValue, l.label, "the weight is nil, want a tensor")
	}
	shape := weight.Shape()
	rank := len(shape)
	switch {
	case rank == 0:
		return fault.New(ErrShape, l.label, "the weight is a scalar, want a tensor")
	case weight.Dtype() != l.dtype:
		return fault.New(ErrDtype, l.label, "the weight is %v, want %v", weight.Dtype(), l.dtype)
	case outAxis < -rank || outAxis >= rank:
		return fault.New(ErrShape, l.label, "the axis of the outputs is %d, want %d to %d for a weight %v", outAxis, -rank, rank-1, shape)
	}
	axis := fromFront(outAxis, rank)
	if shape[axis] != l.channels {
		return fault.New(ErrShape, l.label, "the weight is %v with the outputs in axis %d, want as many outputs as channels, %d", shape, axis, l.channels)
	}
	if bias == nil {
		return nil
	}
	if bias.Dtype() != l.dtype {
		return fault.New(ErrDtype, l.label, "the bias is %v, want %v", bias.Dtype(), l.dtype)
	}
	if s := bias.Shape(); len(s) == 0 || s.TotalSize() != l.channels || slices.Max(s) != l.channels {
		return fault.New(ErrShape, l.label, "the bias is %v, want (%d), or %d in one axis and 1 in the others", s, l.channels, l.channels)
	}
	return nil
}

// fromFront returns a negative axis as counted from the front.
func fromFront(axis, rank int) int {
	if axis < 0 {
		return axis + rank
	}
	return axis
}

func fold[T dense.Float](l *BatchNorm, weight, bias *tensor.Dense, outAxis int) (*tensor.Dense, *tensor.Dense, error) {
	old := make([]T, l.channels) // the bias
	biasShape := tensor.Shape{l.channels}
	if bias != nil {
		e, err := dense.Elements[T](l.label, "the bias", bias)
		if err != nil {
			return nil, nil, err
		}
		old, biasShape = e, bias.Shape()
	}
	gamma, err := paramOf[T](l, "gamma", 1)
	if err != nil {
		return nil, nil, err
	}
	beta, err := paramOf[T](l, "beta", 0)
	if err != nil {
		return nil, nil, err
	}
	mean, variance, _ := l.stats.Values()
	scale := variance // in place
	for c, v := range variance {
		scale[c] = float64(gamma[c]) / math.Sqrt(v+l.cfg.Eps)
	}
	e, err := dense.Elements[T](l.label, "the weight", weight)
	if err != nil {
		return nil, nil, err
	}
	inner := weight.Shape()[fromFront(outAxis, weight.Dims())+1:].TotalSize()
	w := make([]T, len(e))
	for i, v := range e {
		w[i] = T(float64(v) * scale[i/inner%l.channels])
	}
	shifted := make([]T, l.channels)
	for c, v := range old {
		shifted[c] = T((float64(v)-mean[c])*scale[c] + float64(beta[c]))
	}
	return dense.New(weight.Shape(), w), dense.New(biasShape, shifted), nil
}

// paramOf returns the elements of a parameter, or start for each channel if the layer
// does not have it.
func paramOf[T dense.Float](l *BatchNorm, suffix string, start T) ([]T, error) {
	p := l.Learnable(suffix)
	if p == nil {
		return slices.Repeat([]T{start}, l.channels), nil
	}
	e, err := dense.Elements[T](l.label, p.Name(), p.Value())
	if err == nil && len(e) != l.channels {
		err = fault.New(ErrValue, l.label, "%s has %d elements, want %d", p.Name(), len(e), l.channels)
	}
	return e, err
}
