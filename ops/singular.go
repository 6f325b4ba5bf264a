package ops

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// SingularVectors are estimates of the singular vectors u and v of a weight for its
// largest singular value, in float64 whatever the dtype of the weight. The weight is
// taken as a matrix W with a row for each index along one axis, which is 0 for PyTorch's
// dim=0, and with all other axes in the columns. A spectral norm improves them by power
// iteration in each training run:
//
//	v ← Wᵀu/‖Wᵀu‖,  u ← Wv/‖Wv‖
//
// A weight of zeros, or with a NaN or an infinity, leaves them unchanged.
//
// All methods may be called at any time from any goroutine: every read is a
// consistent snapshot, and several ops, graphs or machines may share one
// SingularVectors.
type SingularVectors struct {
	id    uint64 // tells ops with different vectors apart
	shape tensor.Shape
	axis  int

	mu   sync.Mutex
	u, v []float64
}

// firstIterations is the number of iterations of a constructor, as in PyTorch.
const firstIterations = 15

// NewSingularVectors returns estimates for a weight, by 15 iterations from random
// vectors, which are the same each time. The axis may be WholeTensor, for which the
// largest singular value is the norm of all elements. Negative axes are an error.
//
// Errors: ErrValue, ErrDtype, ErrShape.
func NewSingularVectors(w *tensor.Dense, axis int) (*SingularVectors, error) {
	dt, err := checkValues(spectralNorm, []arg{{"the weight", w}})
	if err != nil {
		return nil, err
	}
	if err := fault.Axis(spectralNorm, w.Shape(), axis); err != nil {
		return nil, err
	}
	view := weightView(w.Shape(), axis)
	s := &SingularVectors{id: lastState.Add(1), shape: w.Shape().Clone(), axis: axis}
	s.u, s.v = randomUnit(view.Channels, 1), randomUnit(view.Count(), 2)
	iterate := iterateValue[float64]
	if dt == tensor.Float32 {
		iterate = iterateValue[float32]
	}
	return s, iterate(s, w)
}

// Restart re-estimates the vectors for another value of the weight, as NewSingularVectors
// does. For a weight of zeros, or with a NaN or an infinity, they become the random
// vectors that NewSingularVectors starts from. After an error nothing has changed.
//
// Errors: ErrValue, ErrDtype, ErrShape for another shape.
func (s *SingularVectors) Restart(w *tensor.Dense) error {
	if w != nil && !slices.Equal(w.Shape(), s.shape) {
		return fault.New(fault.ErrShape, spectralNorm, "the weight is %v, want %v", w.Shape(), s.shape)
	}
	fresh, err := NewSingularVectors(w, s.axis)
	if err != nil {
		return err
	}
	return s.Set(fresh.Values())
}

func iterateValue[T dense.Float](s *SingularVectors, w *tensor.Dense) error {
	data, err := dense.Elements[T](spectralNorm, "the weight", w)
	if err != nil {
		return err
	}
	iterate(s, data, firstIterations, DefaultSpectralNorm().Eps, slices.Clone(s.u), slices.Clone(s.v))
	return nil
}

func randomUnit(n int, stream uint64) []float64 {
	r, v, square := rand.New(rand.NewPCG(1, stream)), make([]float64, n), 0.0
	for i := range v {
		v[i] = r.NormFloat64()
		square += v[i] * v[i]
	}
	for i := range v {
		v[i] /= math.Sqrt(square)
	}
	return v
}

func (s *SingularVectors) view() kernel.View { return weightView(s.shape, s.axis) }

// iterate improves the vectors, copies them to u and v, and returns σ.
func iterate[T dense.Float](s *SingularVectors, w []T, n int, eps float64, u, v []float64) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	copy(u, s.u)
	copy(v, s.v)
	sigma, ok := kernel.PowerIteration(w, s.view(), u, v, n, eps)
	if !ok {
		copy(u, s.u)
		copy(v, s.v)
		return kernel.Sigma(w, s.view(), u, v)
	}
	copy(s.u, u)
	copy(s.v, v)
	return sigma
}

// read copies the vectors.
func (s *SingularVectors) read(u, v []float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	copy(u, s.u)
	copy(v, s.v)
}

// Values returns copies of u and v.
func (s *SingularVectors) Values() (u, v []float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.u), slices.Clone(s.v)
}

// Set replaces the vectors, for example by saved ones. Every value must be finite, and
// neither vector may be zero, from which power iteration finds nothing; else nothing
// changes.
//
// Errors: ErrShape for vectors of other lengths, ErrValue.
func (s *SingularVectors) Set(u, v []float64) error {
	if len(u) != len(s.u) || len(v) != len(s.v) {
		return fault.New(fault.ErrShape, spectralNorm, "u has %d elements and v has %d, want %d and %d", len(u), len(v), len(s.u), len(s.v))
	}
	for i, x := range slices.Concat(u, v) {
		if !finite(x) {
			return fault.New(fault.ErrValue, spectralNorm, "element %d of u and v is %v, want a finite number", i, x)
		}
	}
	for i, x := range [][]float64{u, v} {
		if !slices.ContainsFunc(x, func(x float64) bool { return x != 0 }) {
			return fault.New(fault.ErrValue, spectralNorm, "%c is a vector of zeros, want one that has a direction", "uv"[i])
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	copy(s.u, u)
	copy(s.v, v)
	return nil
}

// SetTraining sets the mode of the ops in a graph that have these vectors, as building a
// machine does for all ops.
func (s *SingularVectors) SetTraining(g *G.ExprGraph, training bool) { setTraining(g, s, training) }

// Training says whether an op in a graph that has these vectors is in training mode, and
// so updates them. applied says whether there is such an op.
func (s *SingularVectors) Training(g *G.ExprGraph) (training, applied bool) { return trainingIn(g, s) }

// Materialize returns w/σ for a value of the weight and the current vectors, as a new
// tensor. It is the result of SpectralNorm in evaluation.
//
// Errors: ErrValue, ErrDtype, ErrShape for another shape.
func (s *SingularVectors) Materialize(w *tensor.Dense) (*tensor.Dense, error) {
	return EvalSpectralNorm(nil, w, s)
}
