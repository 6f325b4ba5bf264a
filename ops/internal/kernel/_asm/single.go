package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// single is an instruction set with float32 arithmetic: twice the lanes of a
// variant, and no conversions.
type single struct{ variant }

func (s single) lanes() int { return 2 * s.variant.lanes() }

// at addresses vector i behind p + index.
func (s single) at(p, index Register, i int) Mem {
	return Mem{Base: p, Index: index, Scale: 4, Disp: 4 * s.lanes() * i}
}

func (s single) load(m Mem) VecVirtual {
	r := s.vec()
	VMOVUPS(m, r)
	return r
}

// lane returns float32 number k of x in all lanes of a register.
func (s single) lane(x VecVirtual, k int) VecVirtual {
	t, r := XMM(), s.vec()
	VPSHUFD(Imm(uint64(k*0x55)), x, t)
	VBROADCASTSS(t, r)
	return r
}

// four sums the lanes of four registers of float32, in float64, into one
// register of four float64.
func (s single) four(acc []VecVirtual) VecVirtual {
	var rows [4]VecVirtual
	for k, a := range acc {
		low, high := YMM(), YMM()
		if s.isa == "AVX512" {
			h := YMM()
			VEXTRACTF64X4(Imm(1), a, h)
			half, wide := ZMM(), ZMM()
			VCVTPS2PD(h, wide)
			VCVTPS2PD(a.AsY(), half)
			VADDPD(wide, half, wide)
			VEXTRACTF64X4(Imm(1), wide, high)
			VADDPD(high, wide.AsY(), low)
		} else {
			h := XMM()
			VEXTRACTF128(Imm(1), a, h)
			VCVTPS2PD(h, high)
			VCVTPS2PD(a.AsX(), low)
			VADDPD(high, low, low)
		}
		rows[k] = low
	}
	pair := func(a, b VecVirtual) VecVirtual { // a0+a1, b0+b1, a2+a3, b2+b3
		even, odd := YMM(), YMM()
		VUNPCKLPD(b, a, even)
		VUNPCKHPD(b, a, odd)
		VADDPD(odd, even, even)
		return even
	}
	a, b := pair(rows[0], rows[1]), pair(rows[2], rows[3])
	low, high := YMM(), YMM()
	if s.isa == "AVX512" {
		VSHUFF64X2(Imm(0), b, a, low)
		VSHUFF64X2(Imm(3), b, a, high)
	} else {
		VPERM2F128(Imm(0x20), b, a, low)
		VPERM2F128(Imm(0x31), b, a, high)
	}
	VADDPD(high, low, low)
	return low
}

// fold adds up registers of float32.
func fold(acc []VecVirtual) VecVirtual {
	for len(acc) > 1 {
		half := len(acc) / 2
		for i := range half {
			VADDPS(acc[i+half], acc[i], acc[i])
		}
		acc = acc[:half]
	}
	return acc[0]
}

// layerNormRowsSingle is layerNormRows with float32 arithmetic where that loses
// nothing that counts. Four rows are taken at a time, so that what is done once
// in a row is done for four at once:
//
//	m0 = Σx/n                        a guess in float32, which the next line mends
//	d = Σ(x − m0), q = Σ(x − m0)²    in float32 lanes, that are added up in float64
//	r = d/n, rstd = 1/√((q − r·d)/n + eps)                          in float64
//	y = ((x − m0)·rstd − r·rstd)·gamma + beta    in float32, rstd as a sum of two
//
// The mean is m0 + r, finer than float32; three roundings are left in y.
//
// It returns how many rows it did: it stops before four of which one has a q that
// is not finite, because of its elements or of their squares, or below n·2⁻¹⁰⁰, or
// for which the guess is so bad that r·d is a good part of q.
func layerNormRowsSingle(s single) {
	TEXT("layerNormRowsSingle"+s.isa, NOSPLIT, "func(y, x, gamma, beta *float32, rows, n int, eps float64) (done int)")
	Doc(fmt.Sprintf("layerNormRowsSingle%s normalizes rows, a multiple of 4, of n elements, a multiple of %d, in float32 arithmetic.", s.isa, s.lanes()))
	Pragma("noescape")
	p := map[string]Register{}
	for _, name := range []string{"y", "x", "gamma", "beta"} {
		p[name] = Load(Param(name), GP64())
	}
	n := Load(Param("n"), GP64())
	size := GP64() // of a row, in bytes
	MOVQ(n, size)
	SHLQ(Imm(2), size)
	// Constants are made where they are needed: registers are few.
	count := func() VecVirtual {
		t, c := XMM(), YMM()
		s.clear(t)
		VCVTSI2SDQ(n, t, t)
		VBROADCASTSD(t, c)
		return c
	}
	bits := func(b uint64) VecVirtual {
		c := YMM()
		VBROADCASTSD(s.double(b), c)
		return c
	}
	m, err := Param("eps").Resolve()
	if err != nil {
		panic(err)
	}
	unroll := 2
	if s.isa == "AVX512" {
		unroll = 4
	}
	done, i, row := GP64(), GP64(), GP64()
	XORQ(done, done)
	// next moves on to the next row.
	next := func() { ADDQ(size, row) }

	Label("rows")
	MOVQ(p["x"], row)
	sums := make([]VecVirtual, 4)
	for k := range sums {
		acc := s.zeros(4)
		s.over(fmt.Sprint("sum", k), n, i, 4, func(j int) { VADDPS(s.at(row, i, j), acc[j], acc[j]) })
		sums[k] = fold(acc)
		next()
	}
	guess, m0 := YMM(), XMM()
	VDIVPD(count(), s.four(sums), guess)
	s.round(guess, m0)

	MOVQ(p["x"], row)
	ds, qs := make([]VecVirtual, 4), make([]VecVirtual, 4)
	for k := range ds {
		mean := s.lane(m0, k)
		d, q := s.zeros(unroll), s.zeros(unroll)
		s.over(fmt.Sprint("centred", k), n, i, unroll, func(j int) {
			x := s.load(s.at(row, i, j))
			VSUBPS(mean, x, x)
			VADDPS(x, d[j], d[j])
			VFMADD231PS(x, x, q[j])
		})
		ds[k], qs[k] = fold(d), fold(q)
		next()
	}
	d, q := s.four(ds), s.four(qs)
	r, rd, limit := YMM(), YMM(), YMM()
	VDIVPD(count(), d, r)
	VMULPD(r, d, rd)
	VMULPD(bits(0x3fd0000000000000), q, limit) // q/4
	VSUBPD(rd, limit, limit)                   // negative where the guess is bad
	least, rest := YMM(), YMM()
	VMULPD(bits(0x39b0000000000000), count(), least) // n·2⁻¹⁰⁰
	VSUBPD(least, q, rest)                           // negative where squares were lost below the range
	VMINPD(rest, limit, limit)
	VSUBPD(q, q, rest) // NaN where q is not finite
	VADDPD(rest, limit, limit)
	zero, mask := YMM(), GP32()
	s.clear(zero)
	if s.isa == "AVX512" { // limit >= 0, false for NaN
		good := K()
		VCMPPD(Imm(0x0d), zero, limit, good)
		KMOVW(good, mask)
	} else {
		good := YMM()
		VCMPPD(Imm(0x0d), zero, limit, good)
		VMOVMSKPD(good, mask)
	}
	CMPL(mask, Imm(0xf))
	JNE(LabelRef("done"))
	VSUBPD(rd, q, q)
	VDIVPD(count(), q, q)
	eps := YMM()
	VBROADCASTSD(m.Addr, eps)
	VADDPD(eps, q, q)
	VSQRTPD(q, q)
	VDIVPD(q, bits(0x3ff0000000000000), q)
	rstd, back, low, shift := XMM(), YMM(), XMM(), XMM()
	s.round(q, rstd)
	VCVTPS2PD(rstd, back)
	VMULPD(q, r, r)
	s.round(r, shift)
	VSUBPD(back, q, q)
	s.round(q, low)

	MOVQ(p["x"], row)
	for k := range 4 {
		mean, rstd, low, shift := s.lane(m0, k), s.lane(rstd, k), s.lane(low, k), s.lane(shift, k)
		s.over(fmt.Sprint("write", k), n, i, 4, func(j int) {
			x := s.load(s.at(row, i, j))
			VSUBPS(mean, x, x)
			y := s.vec()
			VMOVAPS(shift, y)
			VFMSUB231PS(low, x, y)
			VFMADD231PS(rstd, x, y)
			gamma := s.load(s.at(p["gamma"], i, j))
			VFMADD213PS(s.at(p["beta"], i, j), gamma, y)
			VMOVUPS(y, s.at(p["y"], i, j))
		})
		next()
		ADDQ(size, p["y"])
	}
	MOVQ(row, p["x"])
	ADDQ(Imm(4), done)
	rows, err := Param("rows").Resolve()
	if err != nil {
		panic(err)
	}
	CMPQ(done, rows.Addr)
	JL(LabelRef("rows"))
	Label("done")
	Store(done, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// round rounds four float64 to float32.
func (s single) round(from, to VecVirtual) { VCVTPD2PSY(from, to) }
