package main

import (
	"slices"
	"strconv"
	"strings"

	"gorgonia.org/tensor"
)

// benchCase is something to be timed in one or more passes. Names, shapes and
// passes are those of peers/torch_norm.py.
type benchCase struct {
	name  string
	shape []int
	dtype tensor.Dtype
}

// Passes.
const (
	fwd    = "fwd"    // forward alone, without a gradient in the graph
	bwd    = "bwd"    // the gradients of the input and every parameter alone
	fwdbwd = "fwdbwd" // both
	step   = "step"   // a training step of a model
)

// shapes are the shapes of the cases, by name. A linear map has (batch, in, out), a
// multi-layer perceptron (batch, in, hidden..., classes).
var shapes = []struct {
	names  []string
	shapes [][]int
}{
	{[]string{"layernorm"}, [][]int{{32, 64}, {128, 256}, {512, 768}, {4096, 1024}, {8192, 4096}, {64, 128, 768}}},
	{[]string{"batchnorm1d_train", "batchnorm1d_eval"}, [][]int{{64, 200}, {512, 1024}, {8192, 512}, {65536, 256}}},
	{[]string{"batchnorm2d_train", "batchnorm2d_eval"}, [][]int{{32, 64, 56, 56}, {64, 256, 14, 14}, {16, 3, 224, 224}}},
	{[]string{"weight_norm"}, [][]int{{50, 100}, {1024, 1024}, {4096, 4096}}},
	{[]string{"weightnorm_linear", "linear"}, [][]int{{32, 100, 50}, {256, 1024, 1024}, {512, 4096, 4096}}},
	{[]string{"rmsnorm", "layernorm_residual"}, [][]int{{512, 768}, {4096, 1024}, {64, 128, 768}}},
	{[]string{"layernorm_channels", "groupnorm"}, [][]int{{32, 64, 56, 56}, {64, 256, 14, 14}}},
	{[]string{"instancenorm"}, [][]int{{32, 64, 56, 56}, {16, 3, 224, 224}}},
	{[]string{"masked_batchnorm"}, [][]int{{64, 128, 100}, {32, 64, 56, 56}}},
	{[]string{"normalize"}, [][]int{{512, 768}, {4096, 1024}}},
	{[]string{"local_response_norm"}, [][]int{{32, 64, 56, 56}, {64, 256, 14, 14}}},
	{[]string{"spectral_norm"}, [][]int{{256, 2304}, {1024, 1024}}},
	{[]string{"mlp_small", "mlp_small_layernorm", "mlp_small_nonorm"}, [][]int{{64, 100, 200, 10}}},
	{[]string{"mlp_big", "mlp_big_layernorm", "mlp_big_nonorm"}, [][]int{{128, 784, 512, 512, 10}}},
}

// allCases returns the cases of a dtype.
func allCases(dt tensor.Dtype) (cs []benchCase) {
	for _, row := range shapes {
		for _, s := range row.shapes {
			for _, n := range row.names {
				cs = append(cs, benchCase{n, s, dt})
			}
		}
	}
	return cs
}

// passes returns the passes of the case that a system has.
func (c benchCase) passes(s system) []string {
	if f, ok := c.family(); ok && s.raw && !f.raw {
		return nil
	}
	switch {
	case s.today && !c.hasGorgonia():
		return nil
	case s.copies && (c.isModel() || c.isLinear() || c.evaluates()):
		return nil // the other cases have all sizes already
	case s.copies:
		return []string{fwd}
	case c.isModel() && s.raw:
		return nil
	case c.isModel():
		return []string{step}
	case c.evaluates():
		return []string{fwd}
	case s.raw:
		return []string{fwd, bwd, fwdbwd}
	default:
		return []string{fwd, fwdbwd}
	}
}

func (c benchCase) isModel() bool     { return strings.HasPrefix(c.name, "mlp") }
func (c benchCase) isBatchNorm() bool { return strings.HasPrefix(c.name, "batchnorm") }
func (c benchCase) isLinear() bool    { return strings.HasSuffix(c.name, "linear") }
func (c benchCase) evaluates() bool   { return strings.HasSuffix(c.name, "_eval") }

// key is what filters are matched against.
func (c benchCase) key(pass string) string {
	return strings.Join([]string{c.name, shapeKey(c.shape), c.dtype.String(), pass}, " ")
}

func shapeKey(shape []int) string {
	dims := make([]string, len(shape))
	for i, n := range shape {
		dims[i] = strconv.Itoa(n)
	}
	return strings.Join(dims, "x")
}

// arrays is how many arrays a pass of a norm must read or write. Forward and backward
// together read the input twice, once each.
var arrays = map[string]int{fwd: 2, bwd: 3, fwdbwd: 5}

// bytes counts what a pass must read and what it must write, whatever the algorithm:
// each tensor once, but in fwdbwd the input of a norm twice. The peers' programs count
// in the same way.
func (c benchCase) bytes(pass string) int64 {
	return int64(c.elements(pass)) * int64(c.dtype.Size())
}

func (c benchCase) elements(pass string) int {
	if c.isModel() { // an optimizer step: value, gradient and two moments
		return 7 * c.parameters()
	}
	if f, ok := c.family(); ok && f.arrays != nil {
		return f.arrays[pass] * tensor.Shape(c.shape).TotalSize()
	}
	if !c.isLinear() {
		return arrays[pass] * tensor.Shape(c.shape).TotalSize()
	}
	x, w, y := c.shape[0]*c.shape[1], c.shape[1]*c.shape[2], c.shape[0]*c.shape[2]
	return map[string]int{fwd: x + w + y, bwd: 2*x + 2*w + y, fwdbwd: 2 * (x + w + y)}[pass]
}

// parameters is the number of parameters of a model.
func (c benchCase) parameters() (n int) {
	for i, in := range c.shape[1 : len(c.shape)-1] {
		out := c.shape[i+2]
		n += in*out + out
		if i+3 < len(c.shape) && !strings.HasSuffix(c.name, "_nonorm") {
			n += 2 * out
		}
	}
	return n
}

// flops counts the operations of the matrix products. It is 0 where there are none.
func (c benchCase) flops(pass string) (n int64) {
	switch {
	case c.isLinear():
		n = 2 * int64(tensor.Shape(c.shape).TotalSize())
		return map[string]int64{fwd: n, bwd: 2 * n, fwdbwd: 3 * n}[pass]
	case c.isModel():
		for i, in := range c.shape[1 : len(c.shape)-1] {
			n += 6 * int64(c.shape[0]) * int64(in) * int64(c.shape[i+2])
		}
	}
	return n
}

// system is a way to run the cases.
type system struct {
	name   string
	raw    bool // ops called directly, without a graph
	reuse  bool // results keep their memory
	copies bool // no op at all: a copy of the input
	today  bool // Gorgonia without this package
}

// ours says whether the kernels of this package run.
func (s system) ours() bool { return !s.copies && !s.today }

var systems = []system{
	{name: kernelSystem, raw: true, reuse: true},
	{name: graphSystem},
	{name: reuseSystem, reuse: true},
	{name: copySystem, copies: true},
	{name: gorgoniaSystem, today: true},
}

// systemOf returns the system of a name.
func systemOf(name string) (system, bool) {
	i := slices.IndexFunc(systems, func(s system) bool { return s.name == name })
	if i < 0 {
		return system{}, false
	}
	return systems[i], true
}
