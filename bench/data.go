package main

import (
	"math"
	"math/rand/v2"

	"gorgonia.org/tensor"
)

// data are the values that a case runs on.
type data struct {
	names []string        // of the arguments
	args  []*tensor.Dense // of the op, in its order
	dy    *tensor.Dense   // the gradient of the result

	mean, variance []float64 // the running statistics at the start, for batch norm
}

// newData draws the values of a case, the same on each call: inputs and output
// gradients are normal, parameters uniform. A plain linear map has its weight
// as (in, out) for a graph, where Gorgonia's product takes it without a copy, and
// as (out, in), PyTorch's way, for a raw call. For Gorgonia's ops the parameters of
// a norm have the shape in which they are broadcast.
func newData(c benchCase, s system) *data {
	r := source{rand.New(rand.NewPCG(1, 2)), c.dtype}
	d := &data{}
	add := func(name string, v *tensor.Dense) {
		d.names, d.args = append(d.names, name), append(d.args, v)
	}
	along := func(axis int) tensor.Shape { // the shape of a parameter
		if s.today {
			return onAxis(c.shape, axis)
		}
		return tensor.Shape{c.shape[axis]}
	}
	f, isFamily := c.family()
	switch {
	case s.copies:
		add("x", r.normal(c.shape...))
	case isFamily:
		f.args(r, c.shape, add)
		d.dy = r.normal(c.shape...)
	case c.isLinear():
		batch, in, out := c.shape[0], c.shape[1], c.shape[2]
		bound := 1 / math.Sqrt(float64(in))
		add("x", r.normal(batch, in))
		if c.name == "weightnorm_linear" {
			add("v", r.uniform(-bound, bound, out, in))
			add("g", r.uniform(0.5, 1.5, out))
			add("b", r.uniform(-bound, bound, out))
		} else if s.raw {
			add("w", r.uniform(-bound, bound, out, in))
			add("b", r.uniform(-bound, bound, out))
		} else {
			add("w", r.uniform(-bound, bound, in, out))
			add("b", r.uniform(-bound, bound, 1, out))
		}
		d.dy = r.normal(batch, out)
	case c.name == "weight_norm":
		add("v", r.normal(c.shape...))
		add("g", r.uniform(0.5, 1.5, along(0)...))
		d.dy = r.normal(c.shape...)
	default:
		axis := len(c.shape) - 1
		if c.isBatchNorm() {
			axis = 1
			d.mean, d.variance = r.floats(-1, 1, c.shape[axis]), r.floats(0.5, 1.5, c.shape[axis])
		}
		add("x", r.normal(c.shape...))
		add("gamma", r.uniform(0.5, 1.5, along(axis)...))
		add("beta", r.uniform(-1, 1, along(axis)...))
		d.dy = r.normal(c.shape...)
	}
	return d
}

// source makes random tensors of a dtype.
type source struct {
	*rand.Rand
	dtype tensor.Dtype
}

func (r source) normal(shape ...int) *tensor.Dense { return r.tensor(r.NormFloat64, shape) }

func (r source) uniform(lo, hi float64, shape ...int) *tensor.Dense {
	return r.tensor(func() float64 { return lo + (hi-lo)*r.Float64() }, shape)
}

func (r source) floats(lo, hi float64, n int) []float64 {
	f := make([]float64, n)
	for i := range f {
		f[i] = lo + (hi-lo)*r.Float64()
	}
	return f
}

func (r source) tensor(draw func() float64, shape []int) *tensor.Dense {
	n := tensor.Shape(shape).TotalSize()
	if r.dtype == tensor.Float32 {
		return dense(filled(make([]float32, n), draw), shape)
	}
	return dense(filled(make([]float64, n), draw), shape)
}

func filled[T float32 | float64](s []T, draw func() float64) []T {
	for i := range s {
		s[i] = T(draw())
	}
	return s
}

func dense(backing any, shape []int) *tensor.Dense {
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(backing))
}
