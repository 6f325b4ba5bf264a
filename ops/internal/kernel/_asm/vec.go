package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A variant is one instruction set for one type of data. All arithmetic is
// float64; variants differ in the width of a register and in what a load and a
// store convert.
type variant struct {
	isa   string // AVX2 or AVX512
	bytes int    // of an element of the data: 4 or 8
}

var variants = []variant{{"AVX2", 4}, {"AVX2", 8}, {"AVX512", 4}, {"AVX512", 8}}

// lanes is the number of float64 in a register.
func (v variant) lanes() int {
	if v.isa == "AVX512" {
		return 8
	}
	return 4
}

func (v variant) suffix() string {
	if v.bytes == 4 {
		return "F32" + v.isa
	}
	return "F64" + v.isa
}

// elem is the Go type of the data.
func (v variant) elem() string {
	if v.bytes == 4 {
		return "float32"
	}
	return "float64"
}

// vec returns a register of float64.
func (v variant) vec() VecVirtual {
	if v.isa == "AVX512" {
		return ZMM()
	}
	return YMM()
}

func (v variant) vecs(n int) []VecVirtual {
	r := make([]VecVirtual, n)
	for i := range r {
		r[i] = v.vec()
	}
	return r
}

// zero returns n registers of zeros.
func (v variant) zeros(n int) []VecVirtual {
	r := v.vecs(n)
	for _, x := range r {
		v.clear(x)
	}
	return r
}

func (v variant) clear(x VecVirtual) { VXORPD(x, x, x) }

// at addresses vector number i behind the pointer p + index·size, where size is
// that of an element: the data's, or 8 for constants and sums.
func (v variant) at(p, index Register, size, i int) Mem {
	m := Mem{Base: p, Disp: i * v.lanes() * size}
	if index != nil {
		m.Index, m.Scale = index, uint8(size)
	}
	return m
}

// load reads data into a new register.
func (v variant) load(m Mem) VecVirtual {
	r := v.vec()
	if v.bytes == 4 {
		VCVTPS2PD(m, r)
	} else {
		VMOVUPD(m, r)
	}
	return r
}

// store rounds a register to data.
func (v variant) store(r VecVirtual, m Mem) {
	switch {
	case v.bytes == 8:
		VMOVUPD(r, m)
	case v.isa == "AVX512":
		h := YMM()
		VCVTPD2PS(r, h)
		VMOVUPS(h, m)
	default:
		h := XMM()
		VCVTPD2PSY(r, h)
		VMOVUPS(h, m)
	}
}

// loadDouble reads float64 into a new register.
func (v variant) loadDouble(m Mem) VecVirtual {
	r := v.vec()
	VMOVUPD(m, r)
	return r
}

// constant returns a register with a float64 parameter in all lanes.
func (v variant) constant(name string) VecVirtual {
	m, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	r := v.vec()
	VBROADCASTSD(m.Addr, r)
	return r
}

// total adds up registers, and the lanes of their sum, and returns it as
// result number i.
func (v variant) total(acc []VecVirtual, result int) {
	Store(v.add(acc), ReturnIndex(result))
}
