package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Comparisons and what becomes of the lanes in which they hold.

// Predicates of VCMPPS and VCMPPD. All but less are true with NaN.
const (
	less              = 1
	notEqual          = 4
	notLess           = 5
	notLessOrEqual    = 6
	notGreaterOrEqual = 9
)

// where returns the lanes in which a comparison holds, and which take part.
func (v variant) where(a VecVirtual, how uint64, b Op, part mask) mask {
	compare := v.by(VCMPPS, VCMPPD)
	switch {
	case v.wide() && part.all():
		k := K()
		compare(Imm(how), b, a, k)
		return mask{k: k}
	case v.wide():
		k := K()
		compare(Imm(how), b, a, part.k, k)
		return mask{k: k}
	}
	y := YMM()
	compare(Imm(how), b, a, y)
	if !part.all() {
		VANDPS(part.y, y, y)
	}
	return mask{y: y}
}

// nowhere returns no lanes.
func (v variant) nowhere() mask {
	if !v.wide() {
		return mask{y: v.zeros(1)[0]}
	}
	k := K()
	KXORW(k, k, k)
	return mask{k: k}
}

// either adds the lanes of b to those of a.
func (v variant) either(a, b mask) {
	if v.wide() {
		KORW(a.k, b.k, a.k)
	} else {
		VORPS(a.y, b.y, a.y)
	}
}

// both leaves the lanes of a that are in b too.
func (v variant) both(a, b mask) {
	if v.wide() {
		KANDW(a.k, b.k, a.k)
	} else {
		VANDPS(a.y, b.y, a.y)
	}
}

// bits returns lanes as bits.
func (v variant) bits(lanes mask) Register {
	r := GP64()
	switch {
	case v.wide():
		KMOVW(lanes.k, r.As32())
	case v.single():
		VMOVMSKPS(lanes.y, r.As32())
	default:
		VMOVMSKPD(lanes.y, r.As32())
	}
	return r
}

// returnBits ends a function that returns lanes as bits.
func (v variant) returnBits(lanes mask) {
	bits := v.bits(lanes)
	VZEROUPPER()
	Store(bits, ReturnIndex(0))
	RET()
}

// replace sets lanes of float64 to a number.
func (v variant) replace(x VecVirtual, lanes mask, by Mem) {
	if v.wide() {
		VBROADCASTSD(by, lanes.k, x)
		return
	}
	VBLENDVPD(lanes.y, v.fill(by), x, x)
}
