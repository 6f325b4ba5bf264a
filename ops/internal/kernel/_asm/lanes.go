package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Comparisons and what becomes of the lanes in which they hold.

// How to compare. All but the first are true with NaN.
const (
	less              = 1
	notEqual          = 4
	notLess           = 5
	notLessOrEqual    = 6
	notGreaterOrEqual = 9
)

// where returns the lanes in which a comparison holds, and which take part: a mask
// register, or on AVX2 all ones in a register.
func (v variant) where(a VecVirtual, how uint64, b Op, part mask) Register {
	compare := v.by(VCMPPS, VCMPPD)
	switch {
	case v.wide() && part.all():
		k := K()
		compare(Imm(how), b, a, k)
		return k
	case v.wide():
		k := K()
		compare(Imm(how), b, a, part.k, k)
		return k
	}
	y := YMM()
	compare(Imm(how), b, a, y)
	if !part.all() {
		VANDPS(part.y, y, y)
	}
	return y
}

// nowhere returns no lanes.
func (v variant) nowhere() Register {
	if !v.wide() {
		return v.zeros(1)[0]
	}
	k := K()
	KXORW(k, k, k)
	return k
}

// either sets a to the lanes that are in a or in b.
func (v variant) either(a, b Register) {
	if v.wide() {
		KORW(a, b, a)
	} else {
		VORPS(a, b, a)
	}
}

// both sets a to the lanes that are in a and in b.
func (v variant) both(a, b Register) {
	if v.wide() {
		KANDW(a, b, a)
	} else {
		VANDPS(a, b, a)
	}
}

// bits returns lanes as bits.
func (v variant) bits(lanes Register) Register {
	r := GP64()
	switch {
	case v.wide():
		KMOVW(lanes, r.As32())
	case v.single():
		VMOVMSKPS(lanes, r.As32())
	default:
		VMOVMSKPD(lanes, r.As32())
	}
	return r
}

// mark sets bits of bad for the lanes in which a comparison holds.
func (v variant) mark(bad Register, a VecVirtual, how uint64, b VecVirtual, part mask) {
	ORQ(v.bits(v.where(a, how, b, part)), bad)
}

// only sets the other lanes of float64 to zero.
func (v variant) only(x VecVirtual, lanes Register) {
	if v.wide() {
		VMOVAPD_Z(x, lanes, x)
	} else {
		VANDPD(lanes, x, x)
	}
}

// replace sets lanes of float64 to a number.
func (v variant) replace(x VecVirtual, lanes Register, by Mem) {
	if v.wide() {
		VBROADCASTSD(by, lanes, x)
		return
	}
	VBLENDVPD(lanes, v.fill(by), x, x)
}
