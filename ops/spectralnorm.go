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

// spectralNorm is the op's name in errors.
const spectralNorm = "spectralnorm"

// SpectralNormConfig says how spectral norm finds the largest singular value.
type SpectralNormConfig struct {
	// PowerIterations ≥ 1 is the number of iterations of each training run.
	PowerIterations int

	// Eps > 0 replaces a smaller norm in an iteration.
	Eps float64

	// Reuse keeps the memory of results from run to run; see the package
	// documentation.
	Reuse bool
}

// DefaultSpectralNorm returns the defaults of PyTorch: one iteration, and 1e-12 for
// eps.
func DefaultSpectralNorm() SpectralNormConfig {
	return SpectralNormConfig{PowerIterations: 1, Eps: 1e-12}
}

// SpectralNorm divides a weight by an estimate of its largest singular value, so
// that as a linear map it has a spectral norm of about 1:
//
//	w = W/σ,  σ = u·Wv
//
// with W as a matrix, and the vectors u and v, as described at SingularVectors. Each
// training run first improves them by cfg.PowerIterations iterations; evaluation uses
// them unchanged. To the gradient they are constants:
//
//	dW = (dw − Σ(dw·W)/σ·u·vᵀ)/σ
//
// If σ is 0, as for a weight of zeros, w and the gradient are 0 (PyTorch gives NaN). An
// iteration computes v from Wᵀu and then u from Wv, as in the paper and in
// torch.nn.utils.spectral_norm. torch.nn.utils.parametrizations.spectral_norm computes
// them in the reverse order, so in training its estimate differs by half an iteration.
//
// Building a machine sets the mode of every op in its graph: evaluation with
// gorgonia.EvalMode(), else training. Until then the mode is training.
//
// Shapes: W has the shape of the weight that the vectors were made for, rank 1 to
// 5, and w its shape. Dtypes: float32 or float64.
//
// Errors at graph building: ErrGraph, ErrDtype, ErrShape, ErrOption.
//
// Miyato, Kataoka, Koyama, Yoshida, "Spectral Normalization for Generative
// Adversarial Networks", 2018, arXiv:1802.05957v1, algorithm 1.
func SpectralNorm(weight *G.Node, vectors *SingularVectors, cfg SpectralNormConfig) (*G.Node, error) {
	dt, err := checkSpectral([]arg{{"the weight", weight}}, vectors)
	if err != nil {
		return nil, err
	}
	if cfg.PowerIterations < 1 {
		return nil, fault.New(fault.ErrOption, spectralNorm, "%d power iterations, want at least 1", cfg.PowerIterations)
	}
	if err := fault.Eps(spectralNorm, cfg.Eps); err != nil {
		return nil, err
	}
	if dt == tensor.Float32 {
		return applySpectralNorm[float32](weight, vectors, cfg)
	}
	return applySpectralNorm[float64](weight, vectors, cfg)
}

// checkSpectral checks the weight, and that the vectors are for it.
func checkSpectral(in []arg, vectors *SingularVectors) (tensor.Dtype, error) {
	dt, err := checkArgs(spectralNorm, in)
	if err != nil {
		return dt, err
	}
	if vectors == nil {
		return dt, fault.New(fault.ErrOption, spectralNorm, "the singular vectors are nil, want those that NewSingularVectors makes")
	}
	return dt, checkShape(spectralNorm, in[0], vectors.shape)
}

func applySpectralNorm[T dense.Float](weight *G.Node, vectors *SingularVectors, cfg SpectralNormConfig) (*G.Node, error) {
	s, err := apply(spectralNorm, newSingular[T](vectors, cfg), weight)
	if err != nil {
		return nil, err
	}
	n := spectral{shape: vectors.shape, axis: vectors.axis, reuse: cfg.Reuse}
	return apply(spectralNorm, newSpectralNorm[T](n), weight, s)
}

// spectral is what the ops have in common. u, v and σ travel through the graph as
// a float64 vector for both dtypes.
type spectral struct {
	shape tensor.Shape
	axis  int
	reuse bool
}

func (n *spectral) describe(name string) string {
	return fmt.Sprintf("%s(%s, reuse=%v, shape=%v)", name, axisLabel(n.axis), n.reuse, n.shape)
}

func (n *spectral) view() kernel.View { return weightView(n.shape, n.axis) }

// statsLen returns the length of that vector.
func (n *spectral) statsLen() int { return n.view().Channels + n.view().Count() + 1 }

// unpack returns u, v and σ, as a slice of one element.
func (n *spectral) unpack(packed []float64) (u, v, sigma []float64) {
	rows, last := n.view().Channels, len(packed)-1
	return packed[:rows:rows], packed[rows:last:last], packed[last:]
}

// spectralInputs returns the inputs (weight, statistics, dw?) of a pure op.
func spectralInputs[T dense.Float](b *base, n *spectral, vs []G.Value) (w, dw []T, stats []float64, err error) {
	if err = b.checkCount(vs); err != nil {
		return nil, nil, nil, err
	}
	if w, err = input[T](b, vs, 0); err != nil {
		return nil, nil, nil, err
	}
	if err = n.fits(b.label, vs[0].Shape()); err != nil {
		return nil, nil, nil, err
	}
	if stats, err = input[float64](b, vs, 1); err != nil {
		return nil, nil, nil, err
	}
	if len(vs) > 2 {
		dw, err = input[T](b, vs, 2)
	}
	return w, dw, stats, err
}

func (n *spectral) fits(op string, shape tensor.Shape) error {
	if !slices.Equal(shape, n.shape) {
		return fault.New(fault.ErrValue, op, "the weight is %v, want %v", shape, n.shape)
	}
	return nil
}

// singularOp returns u, v and σ, and in training improves u and v first.
type singularOp[T dense.Float] struct {
	stateful
	spectral
	vectors *SingularVectors
	cfg     SpectralNormConfig
	mem     memory[float64]
}

func newSingular[T dense.Float](vectors *SingularVectors, cfg SpectralNormConfig) *singularOp[T] {
	label := fmt.Sprintf("norm.Singular(iterations=%d, eps=%v, reuse=%v, vectors=#%d)", cfg.PowerIterations, cfg.Eps, cfg.Reuse, vectors.id)
	n := spectral{vectors.shape, vectors.axis, cfg.Reuse}
	return &singularOp[T]{
		stateful: stateful{base: statefulBase[T](label, n.inputSpecs()[:1])},
		spectral: n, vectors: vectors, cfg: cfg, mem: memory[float64]{reuse: cfg.Reuse},
	}
}

// state returns the vectors that the op updates.
func (o *singularOp[T]) state() any { return o.vectors }

// InferShape returns the length of the vector.
func (o *singularOp[T]) InferShape(...G.DimSizer) (tensor.Shape, error) {
	return tensor.Shape{o.statsLen()}, nil
}

// Do returns u, v and σ.
func (o *singularOp[T]) Do(vs ...G.Value) (_ G.Value, err error) {
	defer guard(o, &err)
	in, err := inputs[T](&o.base, vs)
	if err != nil {
		return nil, err
	}
	if err := o.fits(o.label, vs[0].Shape()); err != nil {
		return nil, err
	}
	out, packed := o.mem.tensor(o.statsLen())
	u, v, sigma := o.unpack(packed)
	if !o.trains() || o.held() {
		o.vectors.read(u, v)
		sigma[0] = kernel.Sigma(in[0], o.view(), u, v)
	} else {
		sigma[0] = iterate(o.vectors, in[0], o.cfg.PowerIterations, o.cfg.Eps, u, v)
	}
	return out, nil
}

// inputSpecs are the weight and the statistics.
func (n *spectral) inputSpecs() []inputSpec {
	return []inputSpec{
		{name: "the weight", rank: len(n.shape), size: n.shape.TotalSize()},
		{name: "statistics", rank: 1, size: n.statsLen(), kind: statistics},
	}
}

// spectralNormOp is the forward op, of (weight, statistics).
type spectralNormOp[T dense.Float] struct {
	base
	spectral
	differentiable[T]
	mem memory[T]
}

func newSpectralNorm[T dense.Float](n spectral) *spectralNormOp[T] {
	b := newBase[T](n.describe("norm.SpectralNorm"), len(n.shape), n.inputSpecs()...)
	o := &spectralNormOp[T]{base: b, spectral: n, mem: memory[T]{reuse: n.reuse}}
	o.differentiable = differentiable[T]{spectralNorm, o}
	return o
}

// InferShape returns the shape of the weight.
func (o *spectralNormOp[T]) InferShape(...G.DimSizer) (tensor.Shape, error) {
	return o.shape.Clone(), nil
}

// Do returns w.
func (o *spectralNormOp[T]) Do(vs ...G.Value) (_ G.Value, err error) {
	defer guard(o, &err)
	weight, _, stats, err := spectralInputs[T](&o.base, &o.spectral, vs)
	if err != nil {
		return nil, err
	}
	_, _, sigma := o.unpack(stats)
	out, w := o.mem.tensor(o.shape...)
	kernel.SpectralNormFwd(w, weight, sigma[0])
	return out, nil
}

// gradient returns the gradient with respect to the weight.
func (o *spectralNormOp[T]) gradient() gradient {
	grad := newSpectralNormGrad[T](o.spectral)
	return gradientOf(&o.base, grad, grad.inputs, o.reuse)
}

// spectralNormGradOp is the gradient, of (weight, statistics, dw), as a vector.
type spectralNormGradOp[T dense.Float] struct {
	base
	spectral
	differentiable[T]
	mem memory[T]
}

func newSpectralNormGrad[T dense.Float](n spectral) *spectralNormGradOp[T] {
	dw := inputSpec{name: "dw", rank: len(n.shape), size: n.shape.TotalSize()}
	b := newBase[T](n.describe("norm.SpectralNormGrad"), 1, append(n.inputSpecs(), dw)...)
	o := &spectralNormGradOp[T]{base: b, spectral: n, mem: memory[T]{reuse: n.reuse}}
	o.differentiable = differentiable[T]{spectralNorm, o}
	return o
}

// InferShape returns the length of the vector.
func (o *spectralNormGradOp[T]) InferShape(...G.DimSizer) (tensor.Shape, error) {
	return tensor.Shape{o.shape.TotalSize()}, nil
}

// Do returns the gradient of the weight.
func (o *spectralNormGradOp[T]) Do(vs ...G.Value) (_ G.Value, err error) {
	defer guard(o, &err)
	weight, dw, stats, err := spectralInputs[T](&o.base, &o.spectral, vs)
	if err != nil {
		return nil, err
	}
	u, v, sigma := o.unpack(stats)
	out, dweight := o.mem.tensor(len(weight))
	kernel.SpectralNormBwd(dweight, weight, dw, o.view(), u, v, sigma[0])
	return out, nil
}

// gradient returns the gradient with respect to the weight and dw.
func (o *spectralNormGradOp[T]) gradient() gradient { return secondOf[T](&o.base, o, o.reuse) }

// second returns the gradients of ⟨upstream, dweight⟩ with respect to the weight and dw.
func (o *spectralNormGradOp[T]) second(mem *memory[T], upstream []T, vs []G.Value) (*tensor.Dense, error) {
	weight, dw, stats, err := spectralInputs[T](&o.base, &o.spectral, vs)
	if err != nil {
		return nil, err
	}
	n := len(weight)
	if err := checkUpstream(o.label, upstream, n); err != nil {
		return nil, err
	}
	u, v, sigma := o.unpack(stats)
	out, packed := mem.tensor(2 * n)
	kernel.SpectralNormSecond(packed[:n], packed[n:], weight, dw, upstream, o.view(), u, v, sigma[0])
	return out, nil
}

var (
	_ G.SDOp          = (*singularOp[float32])(nil)
	_ G.ADOp          = (*singularOp[float32])(nil)
	_ G.TrainModeOp   = (*singularOp[float32])(nil)
	_ G.SDOp          = (*spectralNormOp[float32])(nil)
	_ G.ADOp          = (*spectralNormOp[float32])(nil)
	_ gradOp[float32] = (*spectralNormGradOp[float32])(nil)
	_ G.ADOp          = (*spectralNormGradOp[float32])(nil)
)
