package kernel

import (
	"math"
	"testing"
)

func FuzzMasks(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, seed uint64, samples, channels, inner, values, options uint16) {
		v := fuzzView(samples, channels, inner)
		eachType(t, options, func(t *testing.T, options uint16) {
			fuzzMasks[float32](t, newFuzzed(seed, values), v, options)
		}, func(t *testing.T, options uint16) {
			fuzzMasks[float64](t, newFuzzed(seed, values), v, options)
		})
	})
}

// fuzzMask draws a mask: of lengths of the samples, of single positions, or of runs of
// them. At least one position counts.
func fuzzMask[T Float](f *fuzzed, v View, kind uint16) []T {
	n := v.Outer * v.Inner
	mask := make([]T, n)
	switch kind & 3 {
	case 0, 1:
		for s := range v.Outer {
			for i := range f.r.IntN(v.Inner + 1) {
				mask[s*v.Inner+i] = 1
			}
		}
	case 2:
		for i := range mask {
			mask[i] = T(f.r.IntN(2))
		}
	case 3:
		mask = maskOf[T](n, 1+f.r.IntN(100), f.r.IntN(100))
	}
	mask[f.r.IntN(n)] = 1
	return mask
}

// maskedNorm is batch norm, or group and instance norm, of what counts.
type maskedNorm[T Float] struct {
	groupNormCase[T]
	mask  []T
	batch bool
}

func (c maskedNorm[T]) view() View { return View{c.p.N, c.p.Channels, c.p.Inner} }

func (c maskedNorm[T]) run() (r normResult[T], s batchNormResult[T]) {
	var g guards[T]
	var wide guards[float64]
	x, mask, gamma, beta, dy := g.in(c.x), g.in(c.mask), g.in(c.gamma), g.in(c.beta), g.in(c.dy)
	n := c.p.Channels
	r = normResult[T]{g.out(len(x)), g.out(len(x)), g.out(n), g.out(n)}
	if c.batch {
		v := c.view()
		s.m2, s.s = wide.out(n), Stats{wide.out(n), wide.out(n), wide.out(n)}
		Moments(x, mask, v, c.p.Eps, s.s.Mean, s.s.Residual, s.m2)
		for ch, q := range s.m2 {
			s.s.Rstd[ch] = 1 / math.Sqrt(q/float64(len(counting(mask)))+c.p.Eps)
		}
		BatchNormFwd(r.y, x, mask, gamma, beta, v, s.s)
		BatchNormBwd(r.dx, r.dgamma, r.dbeta, x, mask, gamma, dy, v, s.s, true)
	} else {
		GroupNormFwd(r.y, x, mask, gamma, beta, c.p)
		GroupNormBwd(r.dx, r.dgamma, r.dbeta, x, mask, gamma, dy, c.p)
	}
	g.check()
	wide.check()
	return r, s
}

// groups are the elements that are normalized together: those of a channel, or those
// of some channels of a sample.
func (c maskedNorm[T]) groups() (all [][]int) {
	v := c.view()
	if c.batch {
		for ch := range v.Channels {
			all = append(all, elementsAt(v, ch, counting(c.mask)))
		}
		return all
	}
	for s := range v.Outer {
		positions := counting(c.mask[s*v.Inner:][:v.Inner])
		for i := range positions {
			positions[i] += s * v.Inner
		}
		for g := range c.p.Groups {
			var at []int
			for ch := g * c.p.per(); ch < (g+1)*c.p.per(); ch++ {
				at = append(at, elementsAt(v, ch, positions)...)
			}
			if len(at) > 0 {
				all = append(all, at)
			}
		}
	}
	return all
}

// fuzzMasks fills what does not count with values that must not spread, compares the rest
// with the oracle, which knows no masks, and then spoils an element that counts.
func fuzzMasks[T Float](t *testing.T, f *fuzzed, v View, options uint16) {
	p := GroupShape{v.Outer, v.Channels, 1 + int(options>>6)%v.Channels, v.Inner, f.eps()}
	for p.Channels%p.Groups != 0 {
		p.Groups--
	}
	mask := fuzzMask[T](f, v, options>>3)
	c := maskedNorm[T]{groupNormCase[T]{p: p, x: fuzzX[T](f, v), dy: drawn[T](f).normal(v.Len(), 0, 1)}, mask, options>>2&1 == 1}
	c.gamma, c.beta = fuzzAffine[T](f, v.Channels, options)
	padding := append(poisons, 1e30)[f.r.IntN(len(poisons)+1)]
	poison(c.x, mask, v, padding)
	poison(c.dy, mask, v, padding)

	groups := c.groups()
	count := len(counting(mask))
	counts, spoilt := make([]bool, v.Len()), make([]bool, v.Len())
	for _, at := range groups {
		for _, i := range at {
			counts[i] = true
		}
	}
	own := groups[f.r.IntN(len(groups))]
	for _, i := range own {
		spoilt[i] = true
	}
	first, last := p.channelOf(own[0]), p.channelOf(own[len(own)-1])
	k := c
	k.x = append([]T(nil), c.x...)
	_, bad := f.poison(1, false)
	k.x[own[f.r.IntN(len(own))]] = T(bad)

	paths(func(path string) {
		what := label(path, p, "batch", c.batch, "padding", padding)
		clean, s := c.run()
		c.compareGroups(t, what, clean, groups, count)
		for i := range counts {
			if !counts[i] && (clean.y[i] != 0 || clean.dx[i] != 0) {
				t.Fatalf("%s: element %d is padding, and y %v, dx %v", what, i, clean.y[i], clean.dx[i])
			}
		}
		if c.batch {
			for ch, at := range groups {
				batchNormCase[T]{v: v, eps: p.Eps}.checkMoments(t, what, s, ch, wide(c.x, at))
			}
		}
		got, _ := k.run()
		requireIsolated(t, what+" y", clean.y, got.y, func(i int) bool { return spoilt[i] })
		requireIsolated(t, what+" dx", clean.dx, got.dx, func(i int) bool { return spoilt[i] })
		requireIsolated(t, what+" dgamma", clean.dgamma, got.dgamma, func(ch int) bool { return first <= ch && ch <= last })
		requireIsolated(t, what+" dbeta", clean.dbeta, got.dbeta, func(int) bool { return false })
	})
}
