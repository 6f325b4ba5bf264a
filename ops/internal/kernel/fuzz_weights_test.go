package kernel

import "testing"

func FuzzWeights(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, seed uint64, outer, channels, inner, values, options uint16) {
		v := fuzzView(outer, channels, inner)
		eachType(t, options, func(t *testing.T, options uint16) {
			fuzzWeights[float32](t, newFuzzed(seed, values), v)
		}, func(t *testing.T, options uint16) {
			fuzzWeights[float64](t, newFuzzed(seed, values), v)
		})
	})
}

// fuzzWeights is for weight norm.
func fuzzWeights[T Float](t *testing.T, f *fuzzed, v View) {
	c := weightNormCase[T]{v, fuzzX[T](f, v), drawn[T](f).normal(v.Channels, 0, 1), drawn[T](f).normal(v.Len(), 0, 1)}
	for ch := range v.Channels { // a norm of 0 has tests of its own
		if i := ch * v.Inner; c.v[i] == 0 {
			c.v[i] = T(f.scale())
		}
	}
	paths(func(path string) {
		what := label(path, v)
		c.check(t, what)
		clean := c.run()
		k := c
		var i int
		k.v, i = poisoned(f, c.v, true)
		got, ch := k.run(), i/v.Inner%v.Channels
		channel := func(j int) bool { return j/v.Inner%v.Channels == ch }
		own := func(j int) bool { return j == ch }
		requireIsolated(t, what+" w", clean.w, got.w, channel)
		requireIsolated(t, what+" dv", clean.dv, got.dv, channel)
		requireIsolated(t, what+" dg", clean.dg, got.dg, own)
		requireIsolated(t, what+" norm", clean.norm, got.norm, own)
	})
}

// fuzzBetas are the exponents that the oracle knows.
var fuzzBetas = [5]float64{0.75, 0.5, 1, 2, 0.25}

func FuzzNeighbours(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, seed uint64, outer, channels, inner, values, options uint16) {
		v := fuzzView(outer, channels, inner)
		eachType(t, options, func(t *testing.T, options uint16) {
			fuzzNeighbours[float32](t, newFuzzed(seed, values), v, options)
		}, func(t *testing.T, options uint16) {
			fuzzNeighbours[float64](t, newFuzzed(seed, values), v, options)
		})
	})
}

// fuzzNeighbours is for Lp and local response normalization.
func fuzzNeighbours[T Float](t *testing.T, f *fuzzed, v View, options uint16) {
	x, dy := fuzzX[T](f, v), drawn[T](f).normal(v.Len(), 0, 1)
	n := normalizeCase[T]{v, Lp{lpNorms[int(options>>1)%len(lpNorms)], f.eps()}, x, dy}
	v.Channels, v.Inner = min(v.Channels, 30), min(v.Inner, 100) // the oracle has a sum for each element
	p := LocalResponse{fuzzSize(options, 40), 0.5, fuzzBetas[int(options>>4)%len(fuzzBetas)], 1, options&1 == 1}
	l := localCase[T]{v, p, x[:v.Len()], dy[:v.Len()]}
	paths(func(path string) {
		what := label(path, n.view, n.p)
		y, dx := n.run()
		n.compareGroups(t, what, y, dx)
		k := n
		var i int
		k.x, i = poisoned(f, n.x, true)
		gotY, gotDX := k.run()
		group := func(i int) [2]int { return [2]int{i / n.view.Inner / n.view.Channels, i % n.view.Inner} }
		same := func(j int) bool { return group(j) == group(i) }
		requireIsolated(t, what+" y", y, gotY, same)
		requireIsolated(t, what+" dx", dx, gotDX, same)
		l.check(t, label(path, l.view, l.p))
	})
}
