package norm

import (
	"slices"

	"github.com/gorgonorm/norm/ops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Each constructor takes its own option interface, so an unsupported option does
// not compile. An option's return type lists the layers that accept it.
type (
	// LayerNormOption is an option of NewLayerNorm.
	LayerNormOption interface {
		layerNorm()
		set(*config)
	}

	// BatchNormOption is an option of NewBatchNorm.
	BatchNormOption interface {
		batchNorm()
		set(*config)
	}

	// GroupNormOption is an option of NewGroupNorm.
	GroupNormOption interface {
		groupNorm()
		set(*config)
	}

	// InstanceNormOption is an option of NewInstanceNorm.
	InstanceNormOption interface {
		instanceNorm()
		set(*config)
	}

	// WeightNormOption is an option of NewWeightNorm.
	WeightNormOption interface {
		weightNorm()
		set(*config)
	}

	// WeightNormLinearOption is an option of NewWeightNormLinear.
	WeightNormLinearOption interface {
		weightNormLinear()
		set(*config)
	}

	// SpectralNormOption is an option of NewSpectralNorm.
	SpectralNormOption interface {
		spectralNorm()
		set(*config)
	}

	// RMSNormOption is an option of NewRMSNorm.
	RMSNormOption interface {
		rmsNorm()
		set(*config)
	}

	// AnyOption is an option of every layer.
	AnyOption interface {
		LayerNormOption
		RMSNormOption
		BatchNormOption
		GroupNormOption
		InstanceNormOption
		WeightNormOption
		WeightNormLinearOption
		SpectralNormOption
	}

	// NormOption is an option of the layers that normalize activations.
	NormOption interface {
		LayerNormOption
		RMSNormOption
		BatchNormOption
		GroupNormOption
		InstanceNormOption
	}

	// AxesOption is an option of the layers that normalize each sample by itself over
	// any axes.
	AxesOption interface {
		LayerNormOption
		RMSNormOption
	}

	// StatsOption is an option of the layers that may have running statistics.
	StatsOption interface {
		BatchNormOption
		InstanceNormOption
	}

	// WeightOption is an option of the layers that normalize weights.
	WeightOption interface {
		WeightNormOption
		WeightNormLinearOption
		SpectralNormOption
	}

	// ShiftOption is an option of the layers that add a learned constant.
	ShiftOption interface {
		NormOption
		WeightNormLinearOption
	}
)

// config has the settings of all layers; each layer reads its own.
type config struct {
	name        string
	eps         float64
	unbiasedStd bool
	plusOne     bool

	// These are separate, so that the order of WithAffine, WithoutScale and WithoutBias
	// does not matter; gamma and beta combine them. noBias is also that of a linear
	// layer.
	affine, noScale, noBias bool

	channelAxis int
	axes        []int // of layer norm and RMS norm
	hasAxes     bool

	momentum   float64
	cumulative bool
	untracked  bool

	scaleInit, biasInit initial

	axis      int
	init      G.InitWFn
	weight    *tensor.Dense
	hasWeight bool

	powerIterations int

	reuse bool
}

// gamma says whether there is a γ, and beta whether there is a β.
func (c *config) gamma() bool { return c.affine && !c.noScale }
func (c *config) beta() bool  { return c.affine && !c.noBias }

func (c *config) weightNormConfig() ops.WeightNormConfig {
	return ops.WeightNormConfig{Axis: c.axis, Reuse: c.reuse}
}

// defaults returns PyTorch's defaults.
func defaults() config {
	return config{eps: 1e-5, affine: true, channelAxis: 1, momentum: 0.1, init: G.GlorotU(1), powerIterations: 1}
}

// option implements every option interface; the functions below return it as the
// interface of the layers that accept it.
type option func(*config)

func (o option) set(c *config)     { o(c) }
func (o option) layerNorm()        {}
func (o option) rmsNorm()          {}
func (o option) batchNorm()        {}
func (o option) groupNorm()        {}
func (o option) instanceNorm()     {}
func (o option) weightNorm()       {}
func (o option) weightNormLinear() {}
func (o option) spectralNorm()     {}

// configure applies options to the defaults.
func configure[O interface{ set(*config) }](opts []O) config {
	c := defaults()
	for _, o := range opts {
		if any(o) != nil {
			o.set(&c)
		}
	}
	return c
}

// WithName names the layer. Its parameters are called name.gamma and so on, and its
// entries in a file name.weight and so on; see Stateful. Without it a layer is named
// after its kind, with a number if that name is taken, so that the name depends on the
// order in which layers are made.
func WithName(name string) AnyOption { return option(func(c *config) { c.name = name }) }

// WithReuse keeps the memory of the layer's results and of their gradients, and writes
// into it again on the next run. By default each run allocates new memory, which has to
// be garbage-collected. Reuse has three conditions: only one machine at a time runs the
// layer's graph, clones of the graph included; a value is valid only until the next run
// begins, so copy what you want to keep; and nobody else writes into the values.
func WithReuse() AnyOption { return option(func(c *config) { c.reuse = true }) }

// WithEps sets the positive constant that is added to the variance, by default 1e-5. RMS
// norm adds it to the mean square, and WithUnbiasedStd to σ, outside the root.
func WithEps(eps float64) NormOption { return option(func(c *config) { c.eps = eps }) }

// WithoutAffine leaves out γ and β.
func WithoutAffine() NormOption {
	return option(func(c *config) { c.affine = false })
}

// WithoutScale leaves out γ.
func WithoutScale() NormOption { return option(func(c *config) { c.noScale = true }) }

// WithoutBias leaves out β, or the b of a linear layer. RMS norm has no β and
// ignores it.
func WithoutBias() ShiftOption {
	return option(func(c *config) { c.noBias = true })
}

// WithScaleInit sets the initial value of γ, by default 1. init is called with the shape
// of γ. It is an error for a layer without γ.
//
// gorgonia.Zeroes() for the last norm of a residual block lets the block begin as the
// identity: Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour",
// 2017, arXiv:1706.02677v2, section 5.1.
func WithScaleInit(init G.InitWFn) NormOption {
	return option(func(c *config) { c.scaleInit = initial{init, true} })
}

// WithBiasInit sets the initial value of β, or of the b of a linear layer, by default 0.
// init is called with its shape. It is an error for a layer without either.
func WithBiasInit(init G.InitWFn) ShiftOption {
	return option(func(c *config) { c.biasInit = initial{init, true} })
}

// WithUnbiasedStd divides by σ + eps with the unbiased standard deviation
// σ = √(Σ(x − mean)²/(n−1)), instead of by √(variance + eps). A row of one element
// has no σ and gives NaN.
func WithUnbiasedStd() LayerNormOption { return option(func(c *config) { c.unbiasedStd = true }) }

// WithChannelAxis sets which axis of the input has the channels, by default 1.
// Negative axes count from the end: -1 is for inputs (N, channels),
// (N, L, channels), (N, H, W, channels) and (N, D, H, W, channels), the layout of
// Keras and Flax. For axis 0 pass −rank, as 0 is an error.
func WithChannelAxis(axis int) BatchNormOption {
	return option(func(c *config) { c.channelAxis = axis })
}

// WithAxes sets which axes of the input are normalized, instead of the trailing ones;
// negative axes count from the end. WithAxes(1) is for (N, channels, H, W). The shape
// that is given to the constructor has the sizes of these axes, in the order in which the
// input has them.
func WithAxes(axes ...int) AxesOption {
	return option(func(c *config) { c.axes, c.hasAxes = slices.Clone(axes), true })
}

// WithMomentum sets how far the running statistics move towards each batch, in [0, 1] and
// by default 0.1:
//
//	running ← (1−m)·running + m·batch
//
// This is PyTorch's and Gorgonia's meaning. Keras, Flax and ONNX give the same name to
// 1−m. If WithMomentum and WithCumulativeAverage are both given, the last one counts. It
// has no effect on a layer without running statistics, such as an InstanceNorm by
// default.
func WithMomentum(m float64) StatsOption {
	return option(func(c *config) { c.momentum, c.cumulative = m, false })
}

// WithCumulativeAverage makes the running statistics the average of all batches
// so far: the k-th batch updates them with momentum 1/k. It is momentum=None of
// PyTorch's batch norm; its instance norm has no such average. It has no effect
// without running statistics.
func WithCumulativeAverage() StatsOption {
	return option(func(c *config) { c.cumulative = true })
}

// WithoutRunningStats keeps no running statistics: in evaluation, too, batches are
// normalized by their own statistics. It is PyTorch's track_running_stats=False.
func WithoutRunningStats() BatchNormOption { return option(withoutStats) }

func withoutStats(c *config) { c.untracked = true }

// WithRunningStats keeps running statistics, by which evaluation normalizes. The default
// is none. It is PyTorch's track_running_stats=True.
func WithRunningStats() InstanceNormOption {
	return option(func(c *config) { c.untracked = false })
}

// WithAffine adds γ and β to a layer that by default has none.
func WithAffine() InstanceNormOption {
	return option(func(c *config) { c.affine = true })
}

// WholeTensor as an axis stands for one norm over all elements. It is PyTorch's dim=None.
const WholeTensor = ops.WholeTensor

// WithAxis sets the axis of the weight whose indices each have a norm and a g of their
// own. The default is 0, one for each output of a weight (out, in, ...). It may be
// WholeTensor. For a spectral norm it is the axis that becomes the rows of the matrix.
// Negative axes are an error, since −1 means the whole tensor in PyTorch's weight_norm.
func WithAxis(axis int) WeightOption { return option(func(c *config) { c.axis = axis }) }

// WithPowerIterations sets how many iterations improve the singular vectors in each
// training run, by default 1.
func WithPowerIterations(n int) SpectralNormOption {
	return option(func(c *config) { c.powerIterations = n })
}

// WithWeightInit sets the initial value of v, or of the weight of a spectral norm. init
// is called with its shape, which is (out, in) for a linear layer. The default is
// gorgonia.GlorotU(1), which takes its seed from the clock. g starts as ‖v‖, so that the
// first w is v. If WithWeightInit and WithWeight are both given, the last one counts.
func WithWeightInit(init G.InitWFn) WeightOption {
	return option(func(c *config) { c.init, c.hasWeight = init, false })
}

// WithWeight starts from an existing weight of the layer's shape and dtype: v is a copy
// of w and g is ‖w‖, so that the layer begins with w. For a spectral norm, W is a copy of
// w.
func WithWeight(w *tensor.Dense) WeightOption {
	return option(func(c *config) { c.weight, c.hasWeight = w, true })
}

// WithScalePlusOne scales by 1 + γ, where γ starts at 0, so that weight decay
// pulls the scale to 1.
func WithScalePlusOne() RMSNormOption { return option(func(c *config) { c.plusOne = true }) }
