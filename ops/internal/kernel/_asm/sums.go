package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Sums over float32 data are short chains in float32, whose results are carried
// on in float64: a lane adds a few numbers, then several lanes are added, then
// the sum is converted. So the rounding errors are those of less than ten
// additions, whatever the length, and a conversion is made once for many
// elements. Float64 data takes the same path, which keeps its chains short too.

// turnsOfChain is how many numbers a lane adds up before the chain ends: fewer with more
// vectors in a turn, whose lanes are added then.
func turnsOfChain(unroll int) int { return min(8, 16/unroll) }

// sums emits count sums over a run of n elements and returns them as registers of
// float64. If there are not enough registers it returns none, and the sums are in memory,
// at place(0) and so on. step adds vector number k of a turn to one register for each sum.
func (v variant) sums(name string, n Register, count, unroll int, tail tail, place func(s int) Mem, step func(i Register, k int, part mask, acc []VecVirtual)) []VecVirtual {
	total := v.totals(count, unroll, place)
	i, left, todo, most := GP64(), GP64(), GP64(), GP64()
	XORQ(i, i)
	MOVQ(n, left)
	MOVQ(U32(uint32(turnsOfChain(unroll)*unroll*v.lanes())), most)
	Label(name + "Chain")
	MOVQ(left, todo)
	CMPQ(todo, most)
	CMOVQGT(most, todo)
	SUBQ(todo, left)
	acc := make([][]VecVirtual, unroll) // [vector of a turn][sum]
	for k := range acc {
		acc[k] = v.zeros(count)
	}
	v.consume(name, todo, i, unroll, tail, func(k int, part mask) { step(i, k, part, acc[k]) })
	for s := range count {
		total.carry(s, v.tree(column(acc, s)))
	}
	TESTQ(left, left)
	JNE(LabelRef(name + "Chain"))
	return total.regs
}

// totals are sums in float64, in registers or, where the chains need these, in memory.
type totals struct {
	v     variant
	regs  []VecVirtual
	place func(s int) Mem
}

// totals returns count sums of 0, for chains of unroll vectors each. place says where they
// go in memory.
func (v variant) totals(count, unroll int, place func(s int) Mem) totals {
	registers, others := 16, 6 // what a step needs besides
	if v.wide() {
		registers = 32
	}
	if count*(unroll+1)+others <= registers {
		return totals{v: v, regs: v.zeros(count)}
	}
	if v.wide() || place == nil {
		panic("totals: no memory for sums, which have the width of AVX2 there")
	}
	zero := v.zeros(1)[0]
	for s := range count {
		VMOVUPD(zero, place(s))
	}
	return totals{v: v, place: place}
}

// carry adds data to total s, lane by lane. The two halves of a vector of float32 are added
// to it one by one or, if it is in memory, first to each other.
func (t totals) carry(s int, x VecVirtual) {
	parts := []VecVirtual{x}
	if t.v.single() {
		low, high := t.v.widen(x)
		parts = []VecVirtual{low, high}
	}
	if t.regs != nil {
		for _, p := range parts {
			VADDPD(p, t.regs[s], t.regs[s])
		}
		return
	}
	if len(parts) > 1 {
		VADDPD(parts[1], parts[0], parts[0])
	}
	VADDPD(t.place(s), parts[0], parts[0])
	VMOVUPD(parts[0], t.place(s))
}

// longSums is sums where the chains are as long as the run, in float64.
func (v variant) longSums(name string, n Register, count, unroll int, tail tail, step func(i Register, k int, part mask, acc []VecVirtual)) []VecVirtual {
	acc := make([][]VecVirtual, unroll) // [vector of a turn][sum]
	for k := range acc {
		acc[k] = v.zeros(count)
	}
	i := GP64()
	v.loop(name, n, i, unroll, tail, func(k int, part mask) { step(i, k, part, acc[k]) })
	total := make([]VecVirtual, count)
	for s := range total {
		total[s] = v.tree(column(acc, s))
	}
	return total
}

func column(acc [][]VecVirtual, s int) []VecVirtual {
	c := make([]VecVirtual, len(acc))
	for k := range acc {
		c[k] = acc[k][s]
	}
	return c
}

// tree adds up registers of data, a power of two of them, pair by pair into the first.
func (v variant) tree(acc []VecVirtual) VecVirtual {
	if n := len(acc); n&(n-1) != 0 {
		panic("tree: the number of registers is no power of two")
	}
	for len(acc) > 1 {
		half := len(acc) / 2
		for k := range half {
			v.add(acc[k], acc[k], acc[k+half])
		}
		acc = acc[:half]
	}
	return acc[0]
}

// widen converts the lower and the upper half of a register of float32.
func (v variant) widen(x VecVirtual) (low, high VecVirtual) {
	low, high = v.vec(), v.vec()
	h := v.half()
	if v.wide() {
		VEXTRACTF64X4(Imm(1), x, h)
		VCVTPS2PD(x.AsY(), low)
	} else {
		VEXTRACTF128(Imm(1), x, h)
		VCVTPS2PD(x.AsX(), low)
	}
	VCVTPS2PD(h, high)
	return low, high
}

// across adds up the lanes of a register of float64.
func (v variant) across(total VecVirtual) VecVirtual {
	y := total
	if v.wide() {
		h := YMM()
		VEXTRACTF64X4(Imm(1), total, h)
		y = YMM()
		VADDPD(h, total.AsY(), y)
	}
	x := XMM()
	if v.wide() {
		VEXTRACTF32X4(Imm(1), y, x) // reaches the upper registers too
	} else {
		VEXTRACTF128(Imm(1), y, x)
	}
	VADDPD(x, y.AsX(), x)
	t := XMM()
	VUNPCKHPD(x, x, t)
	VADDSD(x, t, x)
	return x
}
