package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// statistics emits what finds m0 and, for each half, r and m2 = q − r·d (see rows.go), in
// four float64, which it hands to then. It does so in every try, as a second one is rare.
//
// The first guess is the mean of the first elements. A guess is bad where r·d is more
// than a quarter of q; then m0 − r is the next one, in up to three tries. Rows for which
// none is good, or whose q is not finite, or too small because squares were lost below
// the range, are left to others, with a bit in bad.
//
// The sweep over the elements can take along more sums.
func (g *group) statistics(along sweep, then func(r, m2 VecVirtual, h half)) {
	v := g.v
	g.guess()
	g.halves("guessed", func(h half) {
		m0 := g.gather(0, h, VADDPD)
		VMULPD(g.constant(perHead), m0, m0)
		g.keep(m0, g.m0, h)
	})
	tries := GP64()
	MOVQ(U32(3), tries)

	Label("centre")
	g.each("centred", append([]string{"x"}, along.arrays...), func(at map[string]Register, k, slot Register) {
		m0 := g.of(g.m0, k, 0)
		ahead := g.ahead(at["x"])
		step, end := along.begin(at)
		all := v.sums("centredSums", pointer("n"), 2+along.sums, along.unroll, g.part, func(page int) Mem { return onSheet(slot, page) }, func(i Register, j int, part mask, acc []VecVirtual) {
			v.fetch(ahead, i, j)
			e := v.deviation(v.at(at["x"], i, j), m0, part)
			v.keep(e, part)
			v.add(acc[0], acc[0], e)
			v.fma(acc[1], e, e)
			step(i, j, part, e, acc[2:])
		})
		for page, s := range all {
			g.put(s, slot, page, VADDPD)
		}
		end(slot)
	})
	MOVQ(U32(0), g.bad)
	g.halves("judged", func(h half) {
		r, m2, limit := g.centred(h)
		ORQ(g.rows(g.below(limit), h), g.bad)
		then(r, m2, h)
	})
	CMPQ(g.bad, Imm(0))
	JE(LabelRef("known"))
	DECQ(tries)
	JE(LabelRef("known"))
	g.halves("better", func(h half) {
		r, _, limit := g.centred(h)
		v.inDouble().keep(r, g.below(limit))
		m0 := g.kept(g.m0, h)
		VSUBPD(r, m0, m0)
		g.keep(m0, g.m0, h)
	})
	JMP(LabelRef("centre"))
	Label("known")
}

// centred emits r and m2 = q − r·d from the sums of a half, and limit, which is below 0 or
// NaN where they are no good.
func (g *group) centred(h half) (r, m2, limit VecVirtual) {
	d, q := g.gather(0, h, VADDPD), g.gather(1, h, VADDPD)
	r, m2, limit = YMM(), YMM(), YMM()
	VMULPD(g.constant(perRow), d, r)
	rd, rest, quarter := YMM(), YMM(), YMM()
	VMULPD(r, d, rd)
	VBROADCASTSD(float("quarter", 0.25), quarter)
	VMULPD(quarter, q, limit)
	VSUBPD(rd, limit, limit)
	VSUBPD(g.constant(leastSquares), q, rest)
	VMINPD(rest, limit, limit)
	VSUBPD(q, q, rest) // NaN where q is not finite
	VADDPD(rest, limit, limit)
	VSUBPD(rd, q, m2)
	return r, m2, limit
}

// ahead returns the address of a row's counterpart in the next group, which is prefetched
// into L2 while the sums of this group are taken; while its results are written is too
// late for most. A group that is late prefetches then all the same, if its results go past
// the caches (see fetchLate): here early is 0, and prefetching the row itself does nothing.
func (g *group) ahead(row Register) Register { return after(row, g.early) }

// after returns the address so many bytes after another.
func after(p Register, bytes Mem) Register {
	r := GP64()
	MOVQ(bytes, r)
	ADDQ(p, r)
	return r
}

// fetch prefetches vector j after p + i, once for each cache line.
func (v variant) fetch(p, i Register, j int) {
	if j*v.step()%64 == 0 {
		PREFETCHT1(v.at(p, i, j))
	}
}

// guess emits the sums of the heads of the rows. A head is the first headVectors vectors,
// or in a shorter row the first vector, or what there is of one.
func (g *group) guess() {
	v := g.v
	head, first, most := pointer("head"), GP64(), GP64()
	MOVQ(U32(uint32(v.lanes())), most)
	MOVQ(head, first)
	CMPQ(first, most)
	CMOVQGT(most, first)
	part := v.tail(first)
	g.each("guess", []string{"x"}, func(at map[string]Register, _, slot Register) {
		acc := v.load(v.at(at["x"], nil, 0), part)
		CMPQ(head, most)
		JLE(LabelRef("guessed"))
		all := []VecVirtual{acc}
		for k := 1; k < headVectors; k++ {
			all = append(all, v.load(v.at(at["x"], nil, k), mask{}))
		}
		v.tree(all) // acc is the first, and the sum
		Label("guessed")
		if v.single() {
			low, high := v.widen(acc)
			VADDPD(high, low, low)
			acc = low
		}
		g.put(acc, slot, 0, VADDPD)
	})
}

// headVectors is from how many vectors the mean is guessed, in rows that have them.
const headVectors = 4

// sweep is what goes along with the statistics: more sums, over more arrays.
type sweep struct {
	arrays       []string
	sums, unroll int
	begin        func(at map[string]Register) (step func(i Register, k int, part mask, e VecVirtual, acc []VecVirtual), end func(slot Register))
}

// nothing goes along.
var nothing = sweep{unroll: 4, begin: func(map[string]Register) (func(Register, int, mask, VecVirtual, []VecVirtual), func(Register)) {
	return func(Register, int, mask, VecVirtual, []VecVirtual) {}, func(Register) {}
}}

// spread emits scale and shift of a half and returns s and rstd.
func (g *group) spread(r, m2 VecVirtual, h half) (s, rstd VecVirtual) {
	s, rstd = YMM(), YMM()
	VMULPD(g.constant(perDof), m2, s)
	VADDPD(g.constant(underRoot), s, s)
	VSQRTPD(s, s)
	VADDPD(g.constant(besideRoot), s, rstd)
	one := YMM()
	VBROADCASTSD(float("one", 1), one)
	VDIVPD(rstd, one, rstd)
	shift, scale := YMM(), YMM()
	VMULPD(rstd, r, shift)
	g.keep(shift, g.shift, h)
	clear0(scale)
	VSUBPD(rstd, scale, scale)
	g.keep(scale, g.scale, h)
	return s, rstd
}
