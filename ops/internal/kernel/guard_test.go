package kernel

import "slices"

// guards hands out the arrays of one run of kernels, in fences, and knows which are for
// reading.
type guards[T Float] struct{ inputs, outputs []fence[T] }

// in returns a copy of x for a kernel to read; nil stays nil.
func (g *guards[T]) in(x []T) []T {
	if x == nil {
		return nil
	}
	f := fenced(x)
	g.inputs = append(g.inputs, f)
	return f.data()
}

// out returns n elements for a kernel to write, sentinels until then.
func (g *guards[T]) out(n int) []T {
	f := fenced(slices.Repeat([]T{T(sentinel)}, n))
	g.outputs = append(g.outputs, f)
	return f.data()
}

// check panics unless each output is written, and nothing else. (Runs have no *testing.T
// to fail.)
func (g *guards[T]) check() {
	for _, f := range slices.Concat(g.inputs, g.outputs) {
		if !f.marginsUntouched() {
			panic("a kernel wrote around its arrays")
		}
	}
	for _, f := range g.inputs {
		if !f.untouched() {
			panic("a kernel wrote to its input")
		}
	}
	for _, f := range g.outputs {
		if !f.written() {
			panic("a kernel left a part of its output")
		}
	}
}
