package main

import (
	"io"
	"math"
	"strconv"

	"github.com/gorgonorm/norm/ops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// family is a norm other than layer, batch and weight norm.
type family struct {
	raw    bool           // its gradient is one op, which may be called without a graph
	arrays map[string]int // how many a pass must read or write, if not what arrays says
	args   func(r source, shape []int, add func(name string, v *tensor.Dense))
	apply  func(e *expression, shape []int, reuse bool) (*G.Node, error)
	check  func(k *checker, shape []int)
}

// family returns the family of a case, if it belongs to one.
func (c benchCase) family() (family, bool) {
	f, ok := families[c.name]
	return f, ok
}

const (
	channelGroups = 32 // of group norm
	windowSize    = 5  // of local response norm
)

// localResponse are PyTorch's defaults.
var localResponse = ops.DefaultLocalResponseNorm(windowSize)

var families = map[string]family{
	"rmsnorm": {
		raw: true, args: activation(last, "gamma"),
		apply: func(e *expression, shape []int, reuse bool) (*G.Node, error) {
			return ops.RMSNorm(e.args[0], e.args[1], nil, shape[len(shape)-1:], ops.RMSNormConfig{Eps: eps, Reuse: reuse})
		},
		check: func(k *checker, shape []int) { k.partitioned(rowsOf(shape, true)) },
	},
	"layernorm_residual": {
		arrays: map[string]int{fwd: 4, fwdbwd: 7},
		args: func(r source, shape []int, add func(string, *tensor.Dense)) {
			add("x", r.normal(shape...))
			add("r", r.normal(shape...))
			add("gamma", r.uniform(0.5, 1.5, last(shape)))
			add("beta", r.uniform(-1, 1, last(shape)))
		},
		apply: func(e *expression, shape []int, reuse bool) (*G.Node, error) {
			a := e.args
			y, _, err := ops.AddLayerNorm(a[0], a[1], a[2], a[3], shape[len(shape)-1:], ops.LayerNormConfig{Eps: eps, Reuse: reuse})
			return y, err
		},
		check: func(k *checker, shape []int) { k.partitioned(rowsOf(shape, false)) },
	},
	"layernorm_channels": {
		raw: true, args: activation(second, "gamma", "beta"),
		apply: func(e *expression, _ []int, reuse bool) (*G.Node, error) {
			return ops.LayerNormAxes(e.args[0], e.args[1], e.args[2], []int{1}, ops.LayerNormConfig{Eps: eps, Reuse: reuse})
		},
		check: func(k *checker, shape []int) {
			c, inner := shape[1], tensor.Shape(shape[2:]).TotalSize()
			k.partitioned(partition{
				groups: shape[0] * inner, group: func(i int) int { return i/(c*inner)*inner + i%inner },
				params: c, param: func(i int) int { return i / inner % c },
			})
		},
	},
	"groupnorm": {
		raw: true, args: activation(second, "gamma", "beta"),
		apply: func(e *expression, shape []int, reuse bool) (*G.Node, error) {
			return ops.GroupNorm(e.args[0], e.args[1], e.args[2], ops.GroupNormConfig{Groups: groupsOf(shape), Eps: eps, Reuse: reuse})
		},
		check: func(k *checker, shape []int) { k.partitioned(channelsOf(shape, shape[1]/groupsOf(shape))) },
	},
	"instancenorm": {
		raw: true, args: activation(second),
		apply: func(e *expression, _ []int, reuse bool) (*G.Node, error) {
			return ops.InstanceNorm(e.args[0], nil, nil, nil, ops.InstanceNormConfig{Eps: eps, Reuse: reuse})
		},
		check: func(k *checker, shape []int) { k.partitioned(channelsOf(shape, 1)) },
	},
	"masked_batchnorm": {
		raw: true, args: activation(second, "gamma", "beta"),
		apply: func(e *expression, shape []int, reuse bool) (*G.Node, error) {
			values := e.args[0].Value().(*tensor.Dense)
			mask := input(e.g, "lengths", lengthsOf(values.Dtype(), shape))
			return ops.BatchNorm(e.args[0], e.args[1], e.args[2], nil, ops.BatchNormConfig{Eps: eps, Mask: mask, Reuse: reuse})
		},
		check: func(k *checker, shape []int) {
			n, c := last(shape), shape[1]
			inner := tensor.Shape(shape[2:]).TotalSize()
			channel := func(i int) int { return i / inner % c }
			k.partitioned(partition{
				groups: c, group: channel, params: c, param: channel,
				counts: func(i int) bool { return i%n < lengthOf(i/(c*inner), shape) },
			})
		},
	},
	"normalize": {
		raw: true, args: activation(second),
		apply: func(e *expression, _ []int, reuse bool) (*G.Node, error) {
			cfg := ops.DefaultNormalize()
			cfg.Reuse = reuse
			return ops.Normalize(e.args[0], cfg)
		},
		check: (*checker).normalize,
	},
	"local_response_norm": {
		raw: true, args: activation(second),
		apply: func(e *expression, _ []int, reuse bool) (*G.Node, error) {
			cfg := localResponse
			cfg.Reuse = reuse
			return ops.LocalResponseNorm(e.args[0], cfg)
		},
		check: (*checker).localResponse,
	},
	"spectral_norm": {
		args: activation(second),
		apply: func(e *expression, _ []int, reuse bool) (y *G.Node, err error) {
			if e.vectors, err = ops.NewSingularVectors(e.args[0].Value().(*tensor.Dense), 0); err != nil {
				return nil, err
			}
			cfg := ops.DefaultSpectralNorm()
			cfg.Reuse = reuse
			return ops.SpectralNorm(e.args[0], e.vectors, cfg)
		},
		check: (*checker).spectralNorm,
	},
}

// families prints the norms other than layer, batch and weight norm.
func (f *figures) families(w io.Writer) {
	var rows [][]string
	for _, c := range f.cells(kernelSystem, graphSystem, reuseSystem) {
		if _, ok := families[c.name]; !ok {
			continue
		}
		raw, reuse, best := f.time(c, kernelSystem), f.time(c, reuseSystem), f.fastest(c, torchBest)
		rows = append(rows, []string{c.name, times(c.shape), c.dtype, strconv.Itoa(c.threads), c.pass,
			raw.String(), f.time(c, graphSystem).String(), reuse.String(), f.fastest(c, torchDefault).String(), best.String(), best.which,
			ratio(best.us, raw.us), ratio(best.us, reuse.us)})
	}
	printTable(w, []string{"norm", "shape", "dtype", "t", "pass", kernelSystem, graphSystem, reuseSystem,
		"torch default", "torch best", "which", "torch best / " + kernelSystem, "torch best / " + reuseSystem}, rows)
}

func last(shape []int) int   { return shape[len(shape)-1] }
func second(shape []int) int { return shape[1] }

// activation draws x, and parameters of as many elements as size says.
func activation(size func(shape []int) int, params ...string) func(r source, shape []int, add func(string, *tensor.Dense)) {
	return func(r source, shape []int, add func(string, *tensor.Dense)) {
		add("x", r.normal(shape...))
		for _, p := range params {
			if p == "gamma" {
				add(p, r.uniform(0.5, 1.5, size(shape)))
			} else {
				add(p, r.uniform(-1, 1, size(shape)))
			}
		}
	}
}

func groupsOf(shape []int) int { return min(channelGroups, shape[1]/2) }

// lengthOf is how much of the last axis counts in a sample: 40 to 100 %.
func lengthOf(sample int, shape []int) int {
	return int(math.Ceil(float64(last(shape)) * (0.4 + 0.6*float64(sample+1)/float64(shape[0]))))
}

func lengthsOf(dt tensor.Dtype, shape []int) *tensor.Dense {
	at := -1
	next := func() float64 { at++; return float64(lengthOf(at, shape)) }
	return source{nil, dt}.tensor(next, shape[:1])
}
