package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// channels emits the kernels over arrays with an element for each channel: the steps
// between the sums over a batch and the map. They have a root and divisions for every
// channel, and in Go would take as long as the passes over a small batch.
func channels(v variant) {
	settle(v)
	setBatchNorm(v)
	setBatchNormGrad(v)
	round(v)
	if v.single() {
		outside(v)
	} else {
		rstd(v)
	}
}

// eachChannel emits a loop over n channels in float64. at addresses an array of
// float64, or of data.
func (v variant) eachChannel(body func(at func(p Register, v variant) Mem, part mask)) {
	i := GP64()
	v = v.inDouble()
	v.loop("channels", pointer("n"), i, 1, v.tail, func(_ int, part mask) {
		body(func(p Register, v variant) Mem { return v.at(p, i, 0) }, part)
	})
}

// settle emits momentsOf for channels.
func settle(v variant) {
	name := "settle" + v.suffix()
	TEXT(name, NOSPLIT, fmt.Sprintf("func(mean, residual, m2, d, q *float64, m *%s, n int, count, bound, least, most float64) (bad int)", v.elem()))
	Doc(name+" sets mean + residual = m + d/count and m2 = q − d²/count of n channels. bad is not 0 where",
		"d² ≤ q·bound and least ≤ q < most do not hold for all of them.")
	Pragma("noescape")
	w := v.inDouble().real()
	mean, residual, m2 := pointer("mean"), pointer("residual"), pointer("m2")
	d, q, m := pointer("d"), pointer("q"), pointer("m")
	count, bound, least, most := w.constant("count"), w.constant("bound"), w.constant("least"), w.constant("most")
	zero, found := w.zeros(1)[0], w.nowhere()
	v.eachChannel(func(at func(Register, variant) Mem, part mask) {
		sum, squares := w.load(at(d, w), part), w.load(at(q, w), part)
		guess := v.inDouble().load(at(m, v), part)

		r, rest := w.vec(), w.vec()
		VDIVPD(count, sum, r)
		w.mul(rest, r, sum) // rounded, as by momentsOf, so that it has the same bits
		w.sub(rest, squares, rest)
		VMAXPD(zero, rest, rest)
		w.store(rest, at(m2, w), part)

		// The sum of two numbers, and its rounding error (Knuth).
		s, t, e := w.vec(), w.vec(), w.vec()
		w.add(s, guess, r)
		w.sub(t, s, guess)
		w.sub(e, s, t)
		w.sub(e, guess, e)
		w.sub(t, r, t)
		w.add(e, e, t)
		w.store(s, at(mean, w), part)
		w.store(e, at(residual, w), part)

		square, limit := w.vec(), w.vec()
		w.mul(square, sum, sum)
		w.mul(limit, squares, bound)
		w.either(found, w.where(square, notLessOrEqual, limit, part))
		w.either(found, w.where(squares, notGreaterOrEqual, least, part))
		w.either(found, w.where(squares, notLess, most, part))
	})
	w.returnBits(found)
}

// setBatchNorm emits the constants of the map of batch norm for channels.
func setBatchNorm(v variant) {
	name := "setBatchNorm" + v.suffix()
	TEXT(name, NOSPLIT, fmt.Sprintf("func(exact *float64, rounded *%s, padded int, mean, residual, rstd *float64, gamma, beta *%s, n int)", v.elem(), v.elem()))
	Doc(name+" sets the constants m, scale and shift of n channels, in float64 and rounded. The",
		"arrays lie padded elements apart.")
	Pragma("noescape")
	w := v.inDouble().real()
	mean, residual, rstd := pointer("mean"), pointer("residual"), pointer("rstd")
	gamma, beta := pointer("gamma"), pointer("beta")
	exact, rounded, padded := pointer("exact"), pointer("rounded"), pointer("padded")
	v.eachChannel(func(at func(Register, variant) Mem, part mask) {
		m := w.load(at(mean, w), part)
		hi, lo := v.inDouble().centre(m, w.load(at(residual, w), part))

		scale := v.inDouble().load(at(gamma, v), part)
		w.mul(scale, scale, w.load(at(rstd, w), part))
		shift := v.inDouble().load(at(beta, v), part)
		w.fnma(shift, lo, scale)

		v.storeConstants(at(exact, w), at(rounded, v), padded, part, hi, scale, shift)
	})
	VZEROUPPER()
	RET()
}

// storeConstants writes a vector of each array of constants, in float64 and rounded. exact
// and rounded are where the first one goes; the arrays lie padded elements apart.
func (v variant) storeConstants(exact, rounded Mem, padded Register, part mask, constants ...VecVirtual) {
	v = v.inDouble()
	to, toRounded := GP64(), GP64()
	LEAQ(exact, to)
	LEAQ(rounded, toRounded)
	for i, x := range constants {
		if i > 0 {
			LEAQ(Mem{Base: to, Index: padded, Scale: 8}, to)
			LEAQ(Mem{Base: toRounded, Index: padded, Scale: uint8(v.bytes)}, toRounded)
		}
		v.real().store(x, Mem{Base: to}, part)
		v.storeRounded(x, Mem{Base: toRounded}, part)
	}
}

// setBatchNormGrad emits the constants of the gradient of batch norm for channels.
func setBatchNormGrad(v variant) {
	name := "setBatchNormGrad" + v.suffix()
	bounds, marks := "", ""
	if v.single() {
		bounds, marks = ", least, most", ", and the third −1 for a channel that is left to float64"
	}
	TEXT(name, NOSPLIT, fmt.Sprintf("func(exact *float64, rounded *%s, sums *float64, padded int, mean, residual, rstd *float64, gamma *%s, n int, share%s float64)", v.elem(), v.elem(), bounds))
	Doc(name+" sets the constants m, scale, factor, a and b of n channels from Σdy, Σdy·(x − m) and Σdy²,",
		"of which the second becomes dγ"+marks+". The arrays of each set lie padded elements apart.")
	Pragma("noescape")
	w := v.inDouble().real()
	mean, residual, rstd, gamma := pointer("mean"), pointer("residual"), pointer("rstd"), pointer("gamma")
	exact, rounded, sums, padded := pointer("exact"), pointer("rounded"), pointer("sums"), pointer("padded")
	share := w.constant("share")
	var quarter, zero VecVirtual
	if v.single() {
		quarter, zero = w.fill(float("quarter", 0.25)), w.zeros(1)[0]
	}
	v.eachChannel(func(at func(Register, variant) Mem, part mask) {
		hi, lo := v.inDouble().centre(w.load(at(mean, w), part), w.load(at(residual, w), part))
		r := w.load(at(rstd, w), part)
		first, second := GP64(), GP64()
		LEAQ(at(sums, w), first)
		LEAQ(Mem{Base: first, Index: padded, Scale: 8}, second)
		third := Mem{Base: second, Index: padded, Scale: 8}

		db, dg := w.load(Mem{Base: first}, part), w.load(Mem{Base: second}, part)
		w.fnma(dg, lo, db)
		w.mul(dg, dg, r)
		w.store(dg, Mem{Base: second}, part)

		// The sums Σu and Σu·x̂ of u = γ·dy, and the means, which may be in range where
		// the sums are not.
		u := v.inDouble().load(at(gamma, v), part)
		s, p, a, b := w.vec(), w.vec(), w.vec(), w.vec()
		w.mul(a, db, share)
		w.mul(a, a, u)
		w.mul(b, dg, share)
		w.mul(b, b, u)
		if v.single() {
			w.mul(s, u, db)
			w.mul(p, u, dg)
			w.mul(s, s, a)
			w.fma(s, p, b)
		}
		// As normGradConstants of package kernel.
		w.mul(b, b, r)
		w.fnma(a, lo, b)
		v.storeConstants(at(exact, w), at(rounded, v), padded, part, hi, r, u, a, b)
		if !v.single() {
			return // float64 has no better arithmetic to go to
		}

		// As cancels of package kernel, with leftOver and cancelled. The bounds are loaded
		// here, since AVX2 has too few registers to keep them.
		e := w.load(third, part)
		energy, left := w.vec(), w.vec()
		w.mul(energy, u, u)
		w.mul(energy, energy, e)
		w.sub(left, energy, s)
		w.mul(s, energy, quarter)
		cancelled := w.where(left, less, s, mask{})
		unusual := w.where(energy, notGreaterOrEqual, w.constant("least"), mask{})
		w.either(unusual, w.where(energy, notLess, w.constant("most"), mask{}))
		w.both(unusual, w.where(energy, notEqual, zero, mask{}))
		w.either(cancelled, unusual)
		w.replace(e, cancelled, float("minusOne", -1))
		w.store(e, third, part)
	})
	VZEROUPPER()
	RET()
}

// centre splits mean + residual, of float64, into a number that the type of the data has
// and the rest.
func (v variant) centre(mean, residual VecVirtual) (m, rest VecVirtual) {
	m, rest = v.nearest(mean), v.vec()
	v.sub(rest, mean, m)
	v.add(rest, rest, residual)
	return m, rest
}

// nearest rounds float64 to numbers that the type of the data has.
func (v variant) nearest(x VecVirtual) VecVirtual {
	if !v.converts() {
		return x
	}
	h, r := v.half(), v.vec()
	v.shorten(x, h)
	VCVTPS2PD(h, r)
	return r
}

// round emits a conversion of float64 to data.
func round(v variant) {
	name := "round" + v.suffix()
	TEXT(name, NOSPLIT, fmt.Sprintf("func(rounded *%s, exact *float64, n int, factor float64)", v.elem()))
	Doc(name + " sets rounded = exact·factor for n numbers.")
	Pragma("noescape")
	w := v.inDouble().real()
	rounded, exact, factor := pointer("rounded"), pointer("exact"), w.constant("factor")
	v.eachChannel(func(at func(Register, variant) Mem, part mask) {
		x := w.load(at(exact, w), part)
		w.mul(x, x, factor)
		v.inDouble().storeRounded(x, at(rounded, v), part)
	})
	VZEROUPPER()
	RET()
}

// outside emits the search for a number of unusual size.
func outside(v variant) {
	name := "outside" + v.suffix()
	TEXT(name, NOSPLIT, "func(k *float32, n int, least, most float32) (bad int)")
	Doc(name + " returns 0 if least ≤ |k| < most holds for all n numbers.")
	Pragma("noescape")
	k, least, most := pointer("k"), v.constant("least"), v.constant("most")
	i, magnitude := GP64(), v.magnitude()
	found := v.nowhere()
	v.loop("numbers", pointer("n"), i, 4, v.tail, func(j int, part mask) {
		x := v.load(v.at(k, i, j), part)
		v.maxAbs(x, x, magnitude) // of x and itself: beside a number a NaN might be dropped
		v.either(found, v.where(x, notGreaterOrEqual, least, part))
		v.either(found, v.where(x, notLess, most, part))
	})
	v.returnBits(found)
}

// rstd emits 1/√(variance + eps).
func rstd(v variant) {
	name := "rstd" + v.suffix()
	TEXT(name, NOSPLIT, "func(rstd, m2 *float64, n int, perValue, eps float64)")
	Doc(name + " sets rstd = 1/√(m2·perValue + eps) for n channels.")
	Pragma("noescape")
	to, m2 := pointer("rstd"), pointer("m2")
	perValue, eps := v.constant("perValue"), v.constant("eps")
	one := v.fill(float("one", 1))
	v.eachChannel(func(at func(Register, variant) Mem, part mask) {
		r := v.load(at(m2, v), part)
		v.affine(r, perValue, eps)
		VSQRTPD(r, r)
		VDIVPD(r, one, r)
		v.store(r, at(to, v), part)
	})
	VZEROUPPER()
	RET()
}
