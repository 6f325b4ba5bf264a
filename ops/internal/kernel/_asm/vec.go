package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A variant is one instruction set for one type of data, and for arithmetic in
// that type or in float64.
type variant struct {
	isa    string // AVX2 or AVX512
	bytes  int    // of an element of the data: 4 or 8
	double bool   // arithmetic in float64: loads convert
}

var variants = []variant{
	{isa: "AVX2", bytes: 4}, {isa: "AVX2", bytes: 8},
	{isa: "AVX512", bytes: 4}, {isa: "AVX512", bytes: 8},
}

func (v variant) wide() bool { return v.isa == "AVX512" }

// single says whether arithmetic is in float32.
func (v variant) single() bool { return v.bytes == 4 && !v.double }

// inDouble is the variant with arithmetic in float64.
func (v variant) inDouble() variant {
	v.double = true
	return v
}

// converts says whether a load converts.
func (v variant) converts() bool { return v.bytes == 4 && v.double }

// width is that of a register in bytes.
func (v variant) width() int {
	if v.wide() {
		return 64
	}
	return 32
}

// lanes is the number of elements in a register.
func (v variant) lanes() int {
	if v.single() {
		return v.width() / 4
	}
	return v.width() / 8
}

// step is the length of a vector of data in memory, in bytes.
func (v variant) step() int { return v.lanes() * v.bytes }

func (v variant) suffix() string { return fmt.Sprintf("F%d%s", 8*v.bytes, v.isa) }

// elem is the Go type of the data.
func (v variant) elem() string { return fmt.Sprintf("float%d", 8*v.bytes) }

// vec returns a new register.
func (v variant) vec() VecVirtual {
	if v.wide() {
		return ZMM()
	}
	return YMM()
}

// half returns a new register of half the width.
func (v variant) half() VecVirtual {
	if v.wide() {
		return YMM()
	}
	return XMM()
}

// zeros returns n registers of zeros.
func (v variant) zeros(n int) []VecVirtual {
	r := make([]VecVirtual, n)
	for i := range r {
		r[i] = v.vec()
		clear0(r[i])
	}
	return r
}

// clear0 sets a register to zero. It is VXORPD, not VPXORQ, as avo knows of the former
// that it does not read what was there.
func clear0(x VecVirtual) { VXORPD(x, x, x) }

// A mask says which lanes of a vector take part; the zero mask is all of them.
type mask struct {
	k Register   // AVX-512: a mask register
	y VecVirtual // AVX2: a register of all ones in the lanes that take part
	x VecVirtual // AVX2 where a load converts: the same in lanes as wide as the data
}

func (m mask) all() bool { return m.k == nil && m.y == nil }

// by returns the instruction for the type of the data.
func (v variant) by(ps, pd func(...Op)) func(...Op) {
	if v.single() {
		return ps
	}
	return pd
}

// by3 is by for instructions of three operands.
func (v variant) by3(ps, pd func(a, b, c Op)) func(a, b, c Op) {
	if v.single() {
		return ps
	}
	return pd
}

// load reads a vector of data into a new register, with zeros in the lanes that
// do not take part; their memory is not touched.
func (v variant) load(m Mem, part mask) VecVirtual {
	r := v.vec()
	switch {
	case v.converts() && part.all():
		VCVTPS2PD(m, r)
	case v.converts() && v.wide():
		VCVTPS2PD_Z(m, part.k, r)
	case v.converts():
		x := XMM()
		VMASKMOVPS(m, part.x, x)
		VCVTPS2PD(x, r)
	case part.all():
		v.by(VMOVUPS, VMOVUPD)(m, r)
	case v.wide():
		v.by3(VMOVUPS_Z, VMOVUPD_Z)(m, part.k, r)
	default:
		v.by3(VMASKMOVPS, VMASKMOVPD)(m, part.y, r)
	}
	return r
}

// store writes the lanes that take part.
func (v variant) store(r VecVirtual, m Mem, part mask) {
	switch {
	case part.all():
		v.by(VMOVUPS, VMOVUPD)(r, m)
	case v.wide():
		v.by(VMOVUPS, VMOVUPD)(r, part.k, m)
	default:
		v.by3(VMASKMOVPS, VMASKMOVPD)(r, part.y, m)
	}
}

// stream writes a vector past the caches. The address is a multiple of width.
func (v variant) stream(r VecVirtual, m Mem) {
	if v.single() {
		VMOVNTPS(r, m)
	} else {
		VMOVNTPD(r, m)
	}
}

// keep sets the lanes that do not take part to zero.
func (v variant) keep(r VecVirtual, part mask) {
	switch {
	case part.all():
	case v.wide():
		v.by3(VMOVAPS_Z, VMOVAPD_Z)(r, part.k, r)
	default:
		VANDPS(part.y, r, r)
	}
}

// The arithmetic. An operand b may be in memory.

// add sets d = a + b.
func (v variant) add(d, a VecVirtual, b Op) { v.by(VADDPS, VADDPD)(b, a, d) }

// sub sets d = a − b.
func (v variant) sub(d, a VecVirtual, b Op) { v.by(VSUBPS, VSUBPD)(b, a, d) }

// mul sets d = a·b.
func (v variant) mul(d, a VecVirtual, b Op) { v.by(VMULPS, VMULPD)(b, a, d) }

// fma sets d += a·b, rounded once.
func (v variant) fma(d, a VecVirtual, b Op) { v.by(VFMADD231PS, VFMADD231PD)(b, a, d) }

// fnma sets d −= a·b, rounded once.
func (v variant) fnma(d, a VecVirtual, b Op) { v.by(VFNMADD231PS, VFNMADD231PD)(b, a, d) }

// affine sets d = d·a + b, rounded once.
func (v variant) affine(d, a VecVirtual, b Op) { v.by(VFMADD213PS, VFMADD213PD)(b, a, d) }

// reduce sets d = d·a − b, rounded once.
func (v variant) reduce(d, a VecVirtual, b Op) { v.by(VFMSUB213PS, VFMSUB213PD)(b, a, d) }

// fill returns a register with an element of the data in all lanes.
func (v variant) fill(m Op) VecVirtual {
	r := v.vec()
	if v.converts() {
		x := XMM()
		VMOVSS(m, x)
		VCVTSS2SD(x, x, x)
		VBROADCASTSD(x, r)
		return r
	}
	v.by(VBROADCASTSS, VBROADCASTSD)(m, r)
	return r
}

// constant returns a register with a parameter, of the type of the data, in all
// lanes.
func (v variant) constant(name string) VecVirtual { return v.fill(address(name)) }

// address is where a parameter lies.
func address(name string) Mem {
	m, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return m.Addr
}

// pointer loads a parameter into a register.
func pointer(name string) Register { return Load(Param(name), GP64()) }

// at addresses vector number k after p + i·size, where size is that of an
// element of the data.
func (v variant) at(p, i Register, k int) Mem {
	m := Mem{Base: p, Disp: k * v.step()}
	if i != nil {
		m.Index, m.Scale = i, uint8(v.bytes)
	}
	return m
}

// loop emits a loop over the elements i of a run of n, many vectors a turn, then
// single vectors, then what is left as part of a vector. body gets the number of
// the vector in its turn.
func (v variant) loop(name string, n, i Register, unroll int, tail tail, body func(k int, part mask)) {
	left := GP64()
	MOVQ(n, left)
	XORQ(i, i)
	v.consume(name, left, i, unroll, tail, body)
}

// consume is loop for the left elements from i on. It uses left up.
func (v variant) consume(name string, left, i Register, unroll int, tail tail, body func(k int, part mask)) {
	turns := func(label string, count int) {
		SUBQ(Imm(uint64(count*v.lanes())), left)
		JL(LabelRef(name + label + "End"))
		Label(name + label)
		for k := range count {
			body(k, mask{})
		}
		ADDQ(Imm(uint64(count*v.lanes())), i)
		SUBQ(Imm(uint64(count*v.lanes())), left)
		JGE(LabelRef(name + label))
		Label(name + label + "End")
		ADDQ(Imm(uint64(count*v.lanes())), left)
	}
	if unroll > 1 {
		turns("Many", unroll)
	}
	turns("One", 1)
	TESTQ(left, left)
	JE(LabelRef(name + "Done"))
	body(0, tail(left))
	Label(name + "Done")
}

// A tail makes the mask of the first few lanes.
type tail func(left Register) mask

// tail returns the mask for left elements, fewer than lanes.
func (v variant) tail(left Register) mask {
	if v.wide() {
		bits, k := GP32(), K()
		MOVL(U32(0xffffffff), bits)
		BZHIL(left.(GPVirtual).As32(), bits, bits)
		KMOVW(bits, k)
		return mask{k: k}
	}
	table, from := GP64(), GP64()
	LEAQ(tailTable(), table)
	MOVQ(left, from)
	NEGQ(from)
	// Ones from the middle of the table backwards: left of them are read.
	ones := Mem{Base: table, Index: from, Scale: uint8(v.bytes), Disp: 32}
	y := YMM()
	if v.converts() {
		x := XMM()
		VMOVUPS(ones, x)
		VPMOVSXDQ(x, y)
		return mask{y: y, x: x}
	}
	VMOVUPS(ones, y)
	return mask{y: y}
}

// tailTable is 32 bytes of ones, then of zeros.
func tailTable() Mem {
	if tailMem == nil {
		m := GLOBL("tailMask", RODATA|NOPTR)
		for i := range 4 {
			DATA(8*i, U64(0xffffffffffffffff))
		}
		for i := range 4 {
			DATA(32+8*i, U64(0))
		}
		tailMem = &m
	}
	return *tailMem
}

var tailMem *Mem
