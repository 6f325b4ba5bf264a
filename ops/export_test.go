package ops

import (
	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// FaultyNorm is LayerNorm of a matrix in float64, with a fault in the method that *in
// names: forward, backward or second. If *in is another string there is no fault.
func FaultyNorm(x, gamma, beta *G.Node, in *string) (*G.Node, error) {
	cols := x.Shape()[1]
	how := faultyNorm[float64]{rowNorm[float64]{tensor.Shape{cols}, kernel.Rows{Cols: cols, Eps: 1e-5}}, in}
	return apply("faulty", newNorm("Faulty", how, affine{true, true}, 2, tensor.Shape{cols}, false), x, gamma, beta)
}

// faultyNorm gives a kernel no memory for its result, so that it panics in all its tasks,
// also in those that workers run.
type faultyNorm[T dense.Float] struct {
	rowNorm[T]
	in *string
}

func (f faultyNorm[T]) forward(y, x, mask, gamma, beta []T, shape tensor.Shape) {
	f.rowNorm.forward(f.spoil("forward", y), x, mask, gamma, beta, shape)
}

func (f faultyNorm[T]) backward(dx, dgamma, dbeta, x, mask, gamma, dy []T, shape tensor.Shape) {
	f.rowNorm.backward(f.spoil("backward", dx), dgamma, dbeta, x, mask, gamma, dy, shape)
}

func (f faultyNorm[T]) second(out kernel.SecondGrads[T], in kernel.SecondArgs[T], mask []T, shape tensor.Shape) {
	out.X = f.spoil("second", out.X)
	f.rowNorm.second(out, in, mask, shape)
}

func (f faultyNorm[T]) spoil(where string, out []T) []T {
	if *f.in == where {
		return nil
	}
	return out
}
