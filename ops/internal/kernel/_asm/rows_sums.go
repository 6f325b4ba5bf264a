package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// What the gradient needs of sums down columns, of largest elements, and of stores that
// round.

// maxAbs sets m = max(m, |x|). magnitude is what the function of that name returns.
func (v variant) maxAbs(m, x VecVirtual, magnitude Op) {
	if v.wide() {
		const largerMagnitude, clearSign = 3, 2 << 2
		v.by(VRANGEPS, VRANGEPD)(Imm(largerMagnitude|clearSign), x, m, m)
		return
	}
	y := v.vec()
	VANDPS(magnitude, x, y)
	v.by(VMAXPS, VMAXPD)(y, m, m)
}

// magnitude is a register, for AVX2, with all bits set but the signs.
func (v variant) magnitude() Op {
	if v.wide() {
		return nil
	}
	size := v.real().bytes
	if _, ok := magnitudes[size]; !ok {
		m := GLOBL(fmt.Sprint("magnitude", 8*size), RODATA|NOPTR)
		for i := range 4 {
			DATA(8*i, U64(map[int]uint64{4: 0x7fffffff7fffffff, 8: 0x7fffffffffffffff}[size]))
		}
		magnitudes[size] = m
	}
	r := v.vec()
	VMOVUPS(magnitudes[size], r)
	return r
}

var magnitudes = map[int]Mem{}

// accumulate adds sums to vector j after column i of the arrays at pointers, which are
// padded to whole vectors.
func (v variant) accumulate(pointers []Register, i Register, j int, sums []VecVirtual) {
	for k, x := range sums {
		m := v.real().at(pointers[k], i, j)
		v.add(x, x, m)
		v.real().store(x, m, mask{})
	}
}

// write is storeRounded, or with past, for whole vectors, stream. past needs data as wide
// as the arithmetic and addresses that are multiples of width.
func (v variant) write(past bool, r VecVirtual, m Mem, part mask) {
	if past && part.all() {
		v.stream(r, m)
		return
	}
	v.storeRounded(r, m, part)
}

// storeRounded is store, also where the data is narrower than the arithmetic.
func (v variant) storeRounded(r VecVirtual, m Mem, part mask) {
	if !v.converts() {
		v.store(r, m, part)
		return
	}
	h := v.half()
	v.shorten(r, h)
	switch {
	case part.all():
		VMOVUPS(h, m)
	case v.wide():
		VMOVUPS(h, part.k, m)
	default:
		VMASKMOVPS(h, part.x, m)
	}
}

// shorten rounds float64 to float32, in half a register.
func (v variant) shorten(x, half VecVirtual) {
	if v.wide() {
		VCVTPD2PS(x, half)
	} else {
		VCVTPD2PSY(x, half)
	}
}

// carryRows emits total += sums, sums = 0, for n elements, a multiple of 16.
func carryRows(v variant) {
	name := "carryRows" + v.suffix()
	TEXT(name, NOSPLIT, fmt.Sprintf("func(total *float64, sums *%s, n int)", v.elem()))
	Doc(name + " adds n sums, a multiple of 16, to a total, and sets them to 0.")
	Pragma("noescape")
	total, sums, left, i := pointer("total"), pointer("sums"), pointer("n"), GP64()
	zero := v.zeros(1)[0]
	XORQ(i, i)
	Label("loop")
	x := v.load(v.at(sums, i, 0), mask{})
	v.store(zero, v.at(sums, i, 0), mask{})
	parts := []VecVirtual{x}
	if v.single() {
		low, high := v.widen(x)
		parts = []VecVirtual{low, high}
	}
	for k, part := range parts {
		m := Mem{Base: total, Index: i, Scale: 8, Disp: k * v.width()}
		VADDPD(m, part, part)
		VMOVUPD(part, m)
	}
	ADDQ(Imm(uint64(v.lanes())), i)
	CMPQ(i, left)
	JL(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// sumParts emits the sums down the columns of a matrix of float64, rounded to the type
// of the data.
func sumParts(v variant) {
	name := "sumParts" + v.suffix()
	TEXT(name, NOSPLIT, fmt.Sprintf("func(sums *%s, parts *float64, rows, stride, n int)", v.elem()))
	Doc(name + " adds up the columns of rows that are stride bytes apart and padded; n are wanted.")
	Pragma("noescape")
	sums, parts, rows, stride, i := pointer("sums"), pointer("parts"), pointer("rows"), pointer("stride"), GP64()
	v.loop("columns", pointer("n"), i, 1, v.tail, func(_ int, part mask) {
		acc := v.zeros(8 / v.bytes)
		at, left := GP64(), GP64()
		LEAQ(Mem{Base: parts, Index: i, Scale: 8}, at)
		MOVQ(rows, left)
		row := "row" + map[bool]string{true: "", false: "Last"}[part.all()]
		Label(row)
		for k, a := range acc {
			VADDPD(Mem{Base: at, Disp: k * v.width()}, a, a)
		}
		ADDQ(stride, at)
		DECQ(left)
		JNE(LabelRef(row))
		v.store(v.narrow(acc), v.at(sums, i, 0), part)
	})
	VZEROUPPER()
	RET()
}

// narrow rounds float64, of the lower and the upper half of a vector, to data.
func (v variant) narrow(x []VecVirtual) VecVirtual {
	if !v.single() {
		return x[0]
	}
	r := v.vec()
	low, high := v.half(), v.half()
	if v.wide() {
		VCVTPD2PS(x[0], low)
		VCVTPD2PS(x[1], high)
		VINSERTF64X4(Imm(1), high, low.AsZ(), r)
	} else {
		VCVTPD2PSY(x[0], low)
		VCVTPD2PSY(x[1], high)
		VINSERTF128(Imm(1), high, low.AsY(), r)
	}
	return r
}
