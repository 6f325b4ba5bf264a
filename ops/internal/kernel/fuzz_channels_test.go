package kernel

import "testing"

// fuzzView has up to some 30000 elements.
func fuzzView(outer, channels, inner uint16) View {
	v := View{fuzzSize(outer, 3000), fuzzSize(channels, 500), fuzzSize(inner, 20000)}
	v.Outer = min(v.Outer, 1+30000/v.Inner)
	v.Channels = min(v.Channels, 1+30000/v.Inner/v.Outer)
	return v
}

func FuzzChannels(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, seed uint64, outer, channels, inner, values, options uint16) {
		v := fuzzView(outer, channels, inner)
		eachType(t, options, func(t *testing.T, options uint16) {
			fuzzChannels[float32](t, newFuzzed(seed, values), v, options)
		}, func(t *testing.T, options uint16) {
			fuzzChannels[float64](t, newFuzzed(seed, values), v, options)
		})
	})
}

// fuzzChannels is for batch norm with the statistics of the batch, which it checks too,
// and with others.
func fuzzChannels[T Float](t *testing.T, f *fuzzed, v View, options uint16) {
	c := batchNormCase[T]{v: v, eps: f.eps(), x: fuzzX[T](f, v), dy: drawn[T](f).normal(v.Len(), 0, 1)}
	c.gamma, c.beta = fuzzAffine[T](f, v.Channels, options)
	fixed := newStats(v.Channels)
	for ch := range v.Channels {
		fixed.Mean[ch], fixed.Residual[ch] = f.scale()*f.r.NormFloat64(), 0
		fixed.Rstd[ch] = (0.5 + f.r.Float64()) / f.scale()
	}
	paths(func(path string) {
		what := label(path, v, c.eps)
		c.checkBatch(t, what)
		c.checkFixed(t, what+" fixed", fixed)
		clean := c.run(nil)
		k := c
		var i int
		k.x, i = poisoned(f, c.x, false)
		got, ch := k.run(nil), i/v.Inner%v.Channels
		channel := func(j int) bool { return j/v.Inner%v.Channels == ch }
		own := func(j int) bool { return j == ch }
		requireIsolated(t, what+" y", clean.y, got.y, channel)
		requireIsolated(t, what+" dx", clean.dx, got.dx, channel)
		requireIsolated(t, what+" dgamma", clean.dgamma, got.dgamma, own)
		requireIsolated(t, what+" m2", clean.m2, got.m2, own)
		requireIsolated(t, what+" dbeta", clean.dbeta, got.dbeta, func(int) bool { return false })
	})
}

func FuzzGroups(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, seed uint64, samples, channels, inner, values, options uint16) {
		v := fuzzView(samples, channels, inner)
		p := GroupShape{v.Outer, v.Channels, 1 + int(options>>4)%v.Channels, v.Inner, newFuzzed(seed, values).eps()}
		for p.Channels%p.Groups != 0 {
			p.Groups--
		}
		eachType(t, options, func(t *testing.T, options uint16) {
			fuzzGroups[float32](t, newFuzzed(seed, values), p, options)
		}, func(t *testing.T, options uint16) {
			fuzzGroups[float64](t, newFuzzed(seed, values), p, options)
		})
	})
}

// fuzzGroups is for group norm and, with as many groups as channels, instance norm.
func fuzzGroups[T Float](t *testing.T, f *fuzzed, p GroupShape, options uint16) {
	v := p.groups()
	c := groupNormCase[T]{p: p, x: fuzzX[T](f, v), dy: drawn[T](f).normal(v.Len(), 0, 1)}
	c.gamma, c.beta = fuzzAffine[T](f, p.Channels, options)
	paths(func(path string) {
		what := label(path, p)
		c.check(t, what)
		clean := c.run()
		k := c
		var i int
		k.x, i = poisoned(f, c.x, false)
		got := k.run()
		group := func(j int) bool { return j/v.Inner == i/v.Inner }
		per := p.Channels / p.Groups
		requireIsolated(t, what+" y", clean.y, got.y, group)
		requireIsolated(t, what+" dx", clean.dx, got.dx, group)
		requireIsolated(t, what+" dgamma", clean.dgamma, got.dgamma, func(ch int) bool { return ch/per == p.channelOf(i)/per })
		for ch := range got.dbeta { // last bits may differ in the channels of the group
			if ch/per == p.channelOf(i)/per {
				got.dbeta[ch] = clean.dbeta[ch]
			}
		}
		requireIsolated(t, what+" dbeta", clean.dbeta, got.dbeta, func(int) bool { return false })
	})
}
