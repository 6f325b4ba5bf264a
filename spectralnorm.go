package norm

import (
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// SpectralNorm is a weight of any layer, such as a convolution, divided by its largest
// singular value:
//
//	W/σ,  σ = u·Wv
//
// so that its spectral norm is about 1, as in GAN discriminators. W is taken as a matrix
// with a row for each output. The singular vectors u and v are estimated by power
// iteration: 15 iterations at construction, then WithPowerIterations, by default one, per
// training run. Building a machine sets the mode of every layer in its graph: evaluation
// with gorgonia.EvalMode(), else training. ops.SpectralNorm has the details.
//
// Parameter: name.w, of the shape of the weight. The vectors are not parameters.
//
// Miyato, Kataoka, Koyama, Yoshida, "Spectral Normalization for Generative
// Adversarial Networks", 2018, arXiv:1802.05957v1.
type SpectralNorm struct {
	layer
	vectors *ops.SingularVectors
	cfg     ops.SpectralNormConfig
}

// NewSpectralNorm makes a weight of rank 1 to 5. Options: WithName, WithAxis (0),
// WithPowerIterations (1), WithWeightInit (gorgonia.GlorotU(1)), WithWeight,
// WithReuse.
//
// Errors: ErrGraph, ErrDtype, ErrShape, ErrOption, ErrName, and ErrValue for an
// initial value that does not fit. After an error the graph is as it was.
func NewSpectralNorm(g *G.ExprGraph, dt tensor.Dtype, shape tensor.Shape, opts ...SpectralNormOption) (*SpectralNorm, error) {
	c := configure(opts)
	l, err := newLayer("spectralnorm", g, dt, c.name, "w")
	if err != nil {
		return nil, err
	}
	if c.powerIterations < 1 {
		return nil, fault.New(ErrOption, l.label, "%d power iterations, want at least 1", c.powerIterations)
	}
	if err := fault.Sizes(l.label, "the weight", shape); err != nil {
		return nil, err
	}
	if err := fault.Axis(l.label, shape, c.axis); err != nil {
		return nil, err
	}
	w, err := l.startOfWeight(shape, c)
	if err != nil {
		return nil, err
	}
	s := &SpectralNorm{cfg: ops.DefaultSpectralNorm()}
	s.cfg.PowerIterations, s.cfg.Reuse = c.powerIterations, c.reuse
	if s.vectors, err = ops.NewSingularVectors(w, c.axis); err != nil {
		return nil, l.wrap(err)
	}
	l.addParams(w)
	l.done()
	s.layer = l
	return s, nil
}

// Weight returns W/σ as a node, to be used wherever a weight is, as in gorgonia.Conv2d.
// It follows the mode that the machine sets. A second call returns the same node.
//
// Errors: only those of gorgonia.ApplyOp.
func (l *SpectralNorm) Weight() (*G.Node, error) {
	return l.named(ops.SpectralNorm(l.Learnable("w"), l.vectors, l.cfg))
}

// Vectors returns the singular vectors themselves, to save or set. The same weight in
// other graphs shares them.
func (l *SpectralNorm) Vectors() *ops.SingularVectors { return l.vectors }

// SetTraining sets the mode of the weight in its graph. Building a machine sets the mode
// of all layers; the later of the two counts.
func (l *SpectralNorm) SetTraining(training bool) { l.vectors.SetTraining(l.graph, training) }

// Materialize returns the current W/σ, as in evaluation, as a new tensor, for a graph
// that only predicts.
//
// Errors: ErrValue.
func (l *SpectralNorm) Materialize() (*tensor.Dense, error) { return l.EvalWeight(nil) }

// In returns the same weight in another graph: W and the vectors are the same
// storage. Each graph has a mode of its own.
//
// Errors: ErrGraph, ErrName, ErrValue.
func (l *SpectralNorm) In(g *G.ExprGraph) (*SpectralNorm, error) {
	other, err := l.in(g)
	if err != nil {
		return nil, err
	}
	return &SpectralNorm{other, l.vectors, l.cfg}, nil
}
