package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Whole kernels over many short rows, in one call: for a row of 64 elements a
// call of each loop by itself costs more than the loops.

// layerNormRows emits, for each row of n elements, a multiple of the lanes:
//
//	m0 = Σx/n, d = Σ(x − m0), q = Σ(x − m0)²
//	r = d/n, hi + lo = m0 + r, rstd = 1/√(max(0, q − r·d)/n + eps)
//	y = ((x − hi) − lo)·rstd·gamma + beta
func layerNormRows(v variant) {
	TEXT("layerNormRows"+v.suffix(), NOSPLIT,
		fmt.Sprintf("func(y, x, gamma, beta *%s, rows, n int, eps float64)", v.elem()))
	Doc(fmt.Sprintf("layerNormRows%s normalizes rows of n elements, a multiple of %d.", v.suffix(), v.lanes()))
	Pragma("noescape")
	p := map[string]Register{}
	for _, name := range []string{"y", "x", "gamma", "beta"} {
		p[name] = Load(Param(name), GP64())
	}
	rows, n := Load(Param("rows"), GP64()), Load(Param("n"), GP64())
	count := XMM() // n as a float64
	v.clear(count)
	VCVTSI2SDQ(n, count, count)
	eps := XMM()
	m, err := Param("eps").Resolve()
	if err != nil {
		panic(err)
	}
	VMOVSD(m.Addr, eps)

	i := GP64()
	Label("row")
	acc := v.zeros(4)
	v.over("sum", n, i, 4, func(k int) {
		VADDPD(v.load(v.at(p["x"], i, v.bytes, k)), acc[k], acc[k])
	})
	m0 := v.add(acc)
	VDIVSD(count, m0, m0)
	mean := v.broadcast(m0)

	d, q := v.zeros(4), v.zeros(4)
	v.over("centred", n, i, 4, func(k int) {
		x := v.load(v.at(p["x"], i, v.bytes, k))
		VSUBPD(mean, x, x)
		VADDPD(x, d[k], d[k])
		VFMADD231PD(x, x, q[k])
	})
	hi, lo, rstd := v.finish(m0, v.add(d), v.add(q), count, eps)

	v.over("write", n, i, 2, func(k int) {
		x := centre(v.load(v.at(p["x"], i, v.bytes, k)), hi, lo)
		VMULPD(rstd, x, x)
		VFMADD213PD(v.load(v.at(p["beta"], i, v.bytes, k)), v.load(v.at(p["gamma"], i, v.bytes, k)), x)
		v.store(x, v.at(p["y"], i, v.bytes, k))
	})
	for _, name := range []string{"x", "y"} {
		LEAQ(Mem{Base: p[name], Index: n, Scale: uint8(v.bytes)}, p[name])
	}
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// over emits a loop over the n elements of a row, unrolled, and one of single
// vectors behind it. i counts elements.
func (v variant) over(name string, n, i Register, unroll int, body func(k int)) {
	over(v.lanes(), name, n, i, unroll, body)
}

func (s single) over(name string, n, i Register, unroll int, body func(k int)) {
	over(s.lanes(), name, n, i, unroll, body)
}

func over(lanes int, name string, n, i Register, unroll int, body func(k int)) {
	left := GP64()
	MOVQ(n, left)
	XORQ(i, i)
	step := func(count int) {
		for k := range count {
			body(k)
		}
		ADDQ(Imm(uint64(count*lanes)), i)
		SUBQ(Imm(uint64(count*lanes)), left)
	}
	Label(name + "Unrolled")
	CMPQ(left, Imm(uint64(unroll*lanes)))
	JL(LabelRef(name + "Single"))
	step(unroll)
	JMP(LabelRef(name + "Unrolled"))
	Label(name + "Single")
	TESTQ(left, left)
	JE(LabelRef(name + "Done"))
	step(1)
	JMP(LabelRef(name + "Single"))
	Label(name + "Done")
}

// add adds up registers and the lanes of their sum.
func (v variant) add(acc []VecVirtual) VecVirtual {
	for len(acc) > 1 {
		half := len(acc) / 2
		for i := range half {
			VADDPD(acc[i+half], acc[i], acc[i])
		}
		acc = acc[:half]
	}
	var y VecVirtual
	if v.isa == "AVX512" {
		z, h := acc[0], YMM()
		VEXTRACTF64X4(Imm(1), z, h)
		y = YMM()
		VADDPD(h, z.AsY(), y)
	} else {
		y = acc[0]
	}
	x := XMM()
	if v.isa == "AVX512" {
		VEXTRACTF32X4(Imm(1), y, x) // takes the upper registers too
	} else {
		VEXTRACTF128(Imm(1), y, x)
	}
	VADDPD(x, y.AsX(), x)
	t := XMM()
	VUNPCKHPD(x, x, t)
	VADDSD(x, t, x)
	return x
}

// broadcast returns a register with a float64 in all lanes.
func (v variant) broadcast(x VecVirtual) VecVirtual {
	r := v.vec()
	VBROADCASTSD(x, r)
	return r
}

// finish is moments.momentsOf and rstd: from the first mean m0, d = Σ(x − m0)
// and q = Σ(x − m0)² it returns the mean as hi + lo, and 1/√(m2/n + eps).
func (v variant) finish(m0, d, q, count, eps VecVirtual) (hi, lo, rstd VecVirtual) {
	r := XMM()
	VDIVSD(count, d, r)
	VFNMADD231SD(r, d, q) // m2
	zero := XMM()
	v.clear(zero)
	VMAXSD(q, zero, q) // NaN stays NaN: the first operand wins
	VDIVSD(count, q, q)
	VADDSD(eps, q, q)
	VSQRTSD(q, q, q)
	one := v.double(0x3ff0000000000000)
	VDIVSD(q, one, q)

	s, t, e := XMM(), XMM(), XMM() // twoSum(m0, r)
	VADDSD(r, m0, s)
	VSUBSD(m0, s, t)
	VSUBSD(t, s, e)
	VSUBSD(e, m0, e)
	VSUBSD(t, r, t)
	VADDSD(t, e, e)
	return v.broadcast(s), v.broadcast(e), v.broadcast(q)
}

// double returns a float64 constant, given by its bits.
func (v variant) double(bits uint64) VecVirtual {
	r, x := GP64(), XMM()
	MOVQ(U64(bits), r)
	VMOVQ(r, x)
	return x
}
