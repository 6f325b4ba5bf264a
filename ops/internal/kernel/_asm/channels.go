package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// channels emits the kernels over arrays with an element for each channel: what lies
// between the sums over a batch and the map. With a root and divisions in every channel
// that would take as long, for a small batch, as the passes over it.
func channels(v variant) {
	settle(v)
	setBatchNorm(v)
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
	VZEROUPPER()
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
	zero := w.zeros(1)[0]
	bad := GP64()
	XORQ(bad, bad)
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
		w.mark(bad, square, notLessOrEqual, limit, part)
		w.mark(bad, squares, notGreaterOrEqual, least, part)
		w.mark(bad, squares, notLess, most, part)
	})
	Store(bad, ReturnIndex(0))
	RET()
}

// Comparisons, which are true with NaN.
const (
	notLess           = 5
	notLessOrEqual    = 6
	notGreaterOrEqual = 9
)

// mark sets bits of bad for the lanes in which a comparison holds.
func (v variant) mark(bad Register, a VecVirtual, how uint64, b VecVirtual, part mask) {
	bits := GP64()
	if v.wide() {
		k := K()
		if part.all() {
			v.by(VCMPPS, VCMPPD)(Imm(how), b, a, k)
		} else {
			v.by(VCMPPS, VCMPPD)(Imm(how), b, a, part.k, k)
		}
		KMOVW(k, bits.As32())
	} else {
		y := YMM()
		v.by(VCMPPS, VCMPPD)(Imm(how), b, a, y)
		if !part.all() {
			VANDPD(part.y, y, y)
		}
		if v.single() {
			VMOVMSKPS(y, bits.As32())
		} else {
			VMOVMSKPD(y, bits.As32())
		}
	}
	ORQ(bits, bad)
}

// setBatchNorm emits the constants of the map of batch norm for channels.
func setBatchNorm(v variant) {
	name := "setBatchNorm" + v.suffix()
	TEXT(name, NOSPLIT, fmt.Sprintf("func(exact *float64, rounded *%s, padded int, mean, residual, rstd *float64, gamma, beta *%s, n int)", v.elem(), v.elem()))
	Doc(name+" sets the constants m, scale and shift of n channels, in float64 and rounded. They",
		"are padded elements apart.")
	Pragma("noescape")
	w := v.inDouble().real()
	mean, residual, rstd := pointer("mean"), pointer("residual"), pointer("rstd")
	gamma, beta := pointer("gamma"), pointer("beta")
	exact, rounded, padded := pointer("exact"), pointer("rounded"), pointer("padded")
	v.eachChannel(func(at func(Register, variant) Mem, part mask) {
		m := w.load(at(mean, w), part)
		hi := v.inDouble().nearest(m)
		lo := w.vec()
		w.sub(lo, m, hi)
		w.add(lo, lo, w.load(at(residual, w), part))

		scale := v.inDouble().load(at(gamma, v), part)
		w.mul(scale, scale, w.load(at(rstd, w), part))
		shift := v.inDouble().load(at(beta, v), part)
		w.fnma(shift, lo, scale)

		to, toRounded := GP64(), GP64()
		LEAQ(at(exact, w), to)
		LEAQ(at(rounded, v), toRounded)
		for i, x := range []VecVirtual{hi, scale, shift} {
			if i > 0 {
				LEAQ(Mem{Base: to, Index: padded, Scale: 8}, to)
				LEAQ(Mem{Base: toRounded, Index: padded, Scale: uint8(v.bytes)}, toRounded)
			}
			w.store(x, Mem{Base: to}, part)
			v.inDouble().storeRounded(x, Mem{Base: toRounded}, part)
		}
	})
	RET()
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
	RET()
}

// outside emits the search for a number of unusual size.
func outside(v variant) {
	name := "outside" + v.suffix()
	TEXT(name, NOSPLIT, "func(k *float32, n int, least, most float32) (bad int)")
	Doc(name + " says by a number other than 0 that least ≤ |k| < most does not hold for all n numbers.")
	Pragma("noescape")
	k, least, most := pointer("k"), v.constant("least"), v.constant("most")
	i, bad, magnitude := GP64(), GP64(), v.magnitude()
	found, lanes := K(), v.zeros(1)[0] // where a number is outside, on AVX-512 and on AVX2
	if v.wide() {
		KXORW(found, found, found)
	}
	v.loop("numbers", pointer("n"), i, 4, v.tail, func(j int, part mask) {
		x := v.load(v.at(k, i, j), part)
		v.maxAbs(x, x, magnitude) // which may drop a NaN beside a number, and not beside itself
		for _, bound := range []struct {
			how uint64
			of  VecVirtual
		}{{notGreaterOrEqual, least}, {notLess, most}} {
			switch {
			case v.wide() && part.all():
				m := K()
				VCMPPS(Imm(bound.how), bound.of, x, m)
				KORW(m, found, found)
			case v.wide():
				m := K()
				VCMPPS(Imm(bound.how), bound.of, x, part.k, m)
				KORW(m, found, found)
			default:
				y := YMM()
				VCMPPS(Imm(bound.how), bound.of, x, y)
				if !part.all() {
					VANDPS(part.y, y, y)
				}
				VORPS(y, lanes, lanes)
			}
		}
	})
	if v.wide() {
		KMOVW(found, bad.As32())
	} else {
		VMOVMSKPS(lanes, bad.As32())
	}
	VZEROUPPER()
	Store(bad, ReturnIndex(0))
	RET()
}

// rstd emits 1/√(variance + eps).
func rstd(v variant) {
	name := "rstd" + v.suffix()
	TEXT(name, NOSPLIT, "func(rstd, m2 *float64, n int, perValue, eps float64)")
	Doc(name + " sets rstd = 1/√(m2·perValue + eps) for n channels.")
	Pragma("noescape")
	to, m2 := pointer("rstd"), pointer("m2")
	perValue, eps := v.constant("perValue"), v.constant("eps")
	one := v.vec()
	x := GP64()
	MOVQ(U64(0x3ff0000000000000), x)
	VMOVQ(x, one.AsX())
	VBROADCASTSD(one.AsX(), one)
	v.eachChannel(func(at func(Register, variant) Mem, part mask) {
		r := v.load(at(m2, v), part)
		v.affine(r, perValue, eps)
		VSQRTPD(r, r)
		VDIVPD(r, one, r)
		v.store(r, at(to, v), part)
	})
	RET()
}
