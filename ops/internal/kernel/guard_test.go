package kernel

import "slices"

// guards hands out the arrays of one run of kernels, in memory that is watched
// before and after them, and knows which are for reading.
type guards[T Float] struct {
	outputs, inputs [][]T // with their margins
	originals       [][]T // of the inputs
}

// in returns a copy of x for a kernel to read; nil stays nil.
func (g *guards[T]) in(x []T) []T {
	if x == nil {
		return nil
	}
	all := around[T](len(x))
	g.inputs, g.originals = append(g.inputs, all), append(g.originals, x)
	copy(all[margin:], x)
	return all[margin : len(all)-margin]
}

// out returns n elements for a kernel to write.
func (g *guards[T]) out(n int) []T {
	all := around[T](n)
	g.outputs = append(g.outputs, all)
	return all[margin : len(all)-margin]
}

// around returns n elements and their margins, all of them sentinels. Slices of it
// have the capacity to reach into the margin after them.
func around[T Float](n int) []T {
	all := make([]T, n+2*margin)
	for i := range all {
		all[i] = T(sentinel)
	}
	return all
}

// check panics, since runs have no test at hand, unless each output is written, and
// nothing else.
func (g *guards[T]) check() {
	touched := func(x []T) bool { return slices.ContainsFunc(x, func(v T) bool { return !isSentinel(v) }) }
	for _, all := range slices.Concat(g.inputs, g.outputs) {
		if n := len(all); touched(all[:margin]) || touched(all[n-margin:]) {
			panic("a kernel wrote around its arrays")
		}
	}
	for i, all := range g.inputs {
		if !sameBits(all[margin:len(all)-margin], g.originals[i]) {
			panic("a kernel wrote to its input")
		}
	}
	for _, all := range g.outputs {
		if slices.ContainsFunc(all[margin:len(all)-margin], isSentinel) {
			panic("a kernel left a part of its output")
		}
	}
}
