package kernel

import "math"

// The assembly works in float32 on float32 data. This file keeps it right where the
// range of float32 is enough for data and results but not for intermediate values:
// constants that are denormal or infinite as a float32, and differences from a mean and
// products with a factor that overflow. The definitions, which work in float64, take over
// for the channels where that happens, and only for these, since the data of one channel
// must not change a bit of another.

// largestMean bounds the means m for which no x − m overflows: half an ulp of the largest
// float32.
const largestMean = 0x1p103

// fits says whether the assembly can do a channel with the constant k, a mean or a
// factor. With 0, NaN and infinities it gives what float64 arithmetic gives.
func fits(k float64, mean bool) bool {
	a := math.Abs(k)
	if mean {
		return !(a >= largestMean && a <= math.MaxFloat64)
	}
	return !(a < 0x1p-126 && a != 0 || a > math.MaxFloat32 && a <= math.MaxFloat64)
}

// usual says that all of the rounded constants k fit. It is quick, and may be false
// although they do.
func usual[T Float](k []T, mean bool) bool {
	if mean {
		return within(k, 0, largestMean)
	}
	return within(k, 0x1p-126, math.MaxFloat32)
}

// withinGo is the definition of within.
func withinGo[T Float](k []T, least, most float32) bool {
	for _, v := range k {
		if a := float32(math.Abs(float64(v))); !(a >= least && a < most) {
			return false
		}
	}
	return true
}

// A factor names an array of constants by its number, one that elements are multiplied by
// or, if mean is set, one that is subtracted. γ has the type of the data, so it always fits
// and is not listed; for the range of γ·dy see cancels.
type factor struct {
	array int
	mean  bool // subtracted, or a bound of what is
}

var factors = [...][]factor{
	normalizePass: {{0, true}, {1, false}},
	normGradPass:  {{0, true}, {1, false}, {4, false}},
	scaledPass:    {{0, false}},
	scaleGradPass: {{0, false}, {1, false}, {2, false}, {3, true}},
}

// usual says that the constants of n channels fit; it may be false although they do.
func (p *mapPass[T]) usual(first, n int) bool {
	for _, k := range factors[p.loop] {
		if !usual(p.k.data(k.array)[first:][:n], k.mean) {
			return false
		}
	}
	return true
}

// unfit calls f for the channels of a block that the assembly cannot do.
func (p *mapPass[T]) unfit(b block, f func(one block)) {
	if p.plain || isa == generic || !is32[T]() || p.usual(b.channel, b.channels) {
		return
	}
	for c := range b.channels {
		for _, k := range factors[p.loop] {
			if !fits(p.k.of(k.array)[b.channel+c], k.mean) {
				f(b.one(c))
				break
			}
		}
	}
}

// block does the pass over a block.
func (p *mapPass[T]) block(b block) {
	// The definitions go first, and their results are kept: out may be an operand too, and
	// the assembly overwrites these channels with anything.
	var kept *Scratch[T]
	var n int
	p.unfit(b, func(one block) {
		if kept == nil {
			kept = Borrow[T](b.channels * b.count())
		}
		p.define(one)
		for l := range one.lines {
			n += copy(kept.Data[n:], p.out[l.at:][:l.n])
		}
	})
	p.fast(b)
	if kept == nil {
		return
	}
	defer kept.Release()
	n = 0
	p.unfit(b, func(one block) {
		for l := range one.lines {
			n += copy(p.out[l.at:][:l.n], kept.Data[n:])
		}
	})
}

// define is fast by the definitions.
func (p *mapPass[T]) define(b block) {
	switch p.loop {
	case normalizePass:
		normalizeGo(p.out, p.x, p.k, b)
	case normGradPass:
		normGradGo(p.out, p.x, p.dy, p.k, b)
	case scaledPass:
		scaledGo(p.out, p.x, p.k, b)
	case scaleGradPass:
		scaleGradGo(p.out, p.x, p.dy, p.k, b)
	}
}

// mendOverflown replaces the elements of dγ and dβ that have overflowed in short sums in
// float32. again computes all of them without such sums, and dx, which is right already
// and goes to scratch memory.
func mendOverflown[T Float](dgamma, dbeta, dx []T, again func(dgamma, dbeta, dx []T)) {
	if !is32[T]() || within(dgamma, 0, math.MaxFloat32) && within(dbeta, 0, math.MaxFloat32) {
		return
	}
	if !within(dx, 0, math.MaxFloat32) {
		return // x or dy is not finite, and dγ and dβ are what they have to be
	}
	n := max(len(dgamma), len(dbeta))
	exact := Borrow[T](2*n + len(dx))
	defer exact.Release()
	all := [][]T{exact.Data[:n], exact.Data[n:][:n]}
	again(all[0], all[1], exact.Data[2*n:])
	for i, grads := range [][]T{dgamma, dbeta} {
		for c, g := range grads {
			if g-g != 0 {
				grads[c] = all[i][c]
			}
		}
	}
}

// leftOver is the fraction of the energy Σu², u = γ·dy, that must be left in Σ(dx/scale)²
// for dx to be computed in float32. Where u is nearly a combination of 1 and x̂, as it is
// in batches of a few, dx is a difference of almost equal numbers.
const leftOver = 0.25

// cancelled takes the place of the energy of a channel in which less is left.
const cancelled = -1

// cancels says whether less than leftOver is left of the energy Σu² of n values with
// Σu = s and Σu·x̂ = p, or u is out of range. It is false for float64, which has no better
// arithmetic to go to.
func cancels[T Float](n, energy, s, p float64) bool {
	if !is32[T]() {
		return false
	}
	least, most := energyRange(n)
	return energy-(s*s+p*p)/n < energy*leftOver || energy != 0 && !(energy >= least && energy < most)
}

// energyRange returns the bounds, least included, within which an energy Σu² of n float32
// values may be: their root mean square may be as small as 2⁻¹⁰⁰, and no value is larger
// than 2¹²⁶.
func energyRange(n float64) (least, most float64) { return n * 0x1p-200, 0x1p252 }
