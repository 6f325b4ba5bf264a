package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Whole kernels over rows. They take groups of up to four rows, so that what is
// done once in a row, a root and divisions, is done for four at once, in the four
// float64 of a YMM register. Loops over the elements leave a row's sums in memory,
// from where those of the group are added up together.
//
// With e = m0 − x, for a guess m0 of the mean, the statistics of a row are
//
//	d = Σe, q = Σe², r = d/n            the mean is m0 − r
//	s = √((q − r·d)/dof + e1), rstd = 1/(s + e2)
//	x̂ = (x − mean)·rstd = e·(−rstd) + r·rstd
//
// so the mean has more digits than the data, whatever its size, as long as m0 is
// near enough that r·d is a small part of q.

// rowsOfGroup is how many rows there are in a group.
const rowsOfGroup = 4

// The sums of a row take one slot in memory, four float64 to be added up, on a
// sheet for each kind of sums.
const (
	slot  = 4 * 8
	sheet = rowsOfGroup * slot
)

// The constants of a call, which package kernel passes as an array of float64.
const (
	perHead = 8 * iota // 1/head
	perRow             // 1/n
	perDof             // 1/dof
	underRoot
	besideRoot
	leastSquares // q must not be below it
	leastGrad    // nor max|u|, unless it is 0
	mostGrad     // nor max|u| above it
)

// rows emits all kernels of a variant.
func rows(v variant) {
	layerNormRows(v)
	layerNormGradRows(v)
	carryRows(v)
	sumParts(v)
}

// group is the code for a group of rows: registers that the whole kernel keeps,
// and memory.
type group struct {
	v     variant
	size  Register       // of a row, in bytes
	left  Mem            // rows that are not done yet
	count Mem            // rows of this group
	now   map[string]Mem // where the group begins in each array
	sums  Mem            // sheets of slots
	m0    Mem            // the guesses, as data
	scale Mem            // −rstd
	shift Mem            // r·rstd
	bad   Mem            // a bit for each row that cannot be done here
	part  tail
}

// begin emits the start of a kernel with these arrays of rows, and so many kinds of
// sums.
func (v variant) begin(sheets int, arrays ...string) *group {
	g := &group{v: v, left: AllocLocal(8), count: AllocLocal(8), bad: AllocLocal(8), now: map[string]Mem{}}
	for _, a := range arrays {
		g.now[a] = AllocLocal(8)
		MOVQ(pointer(a), g.now[a])
	}
	MOVQ(pointer("rows"), g.left)
	g.size = GP64()
	MOVQ(address("n"), g.size)
	SHLQ(Imm(map[int]uint64{4: 2, 8: 3}[v.bytes]), g.size)
	g.sums = AllocLocal(sheets * sheet)
	g.m0, g.scale, g.shift = AllocLocal(slot), AllocLocal(slot), AllocLocal(slot)
	g.part = v.tail
	if v.wide() { // the mask is the same in all loops
		rest := pointer("n")
		ANDQ(Imm(uint64(v.lanes()-1)), rest)
		m := v.tail(rest)
		g.part = func(Register) mask { return m }
	}
	return g
}

// pick sets the number of rows of the group.
func (g *group) pick() {
	count := pointer("group")
	CMPQ(count, g.left)
	CMOVQGT(g.left, count)
	MOVQ(count, g.count)
}

// next goes on to the next group, or ends the loop over them where none is left or a
// bit is set in stops.
func (g *group) next(arrays []string, again string, stops ...Mem) {
	count, step := GP64(), GP64()
	MOVQ(g.count, count)
	MOVQ(g.size, step)
	IMULQ(count, step)
	for _, a := range arrays {
		ADDQ(step, g.now[a])
	}
	SUBQ(count, g.left)
	JE(LabelRef("done"))
	stop := GP64()
	MOVQ(stops[0], stop)
	for _, m := range stops[1:] {
		ORQ(m, stop)
	}
	TESTQ(stop, stop)
	JE(LabelRef(again))
	Label("done")
}

// addresses loads where the group begins in arrays.
func (g *group) addresses(arrays ...string) map[string]Register {
	at := map[string]Register{}
	for _, a := range arrays {
		at[a] = GP64()
		MOVQ(g.now[a], at[a])
	}
	return at
}

// each emits body for each row of the group. It gets the addresses of the row,
// its number, and its slot.
func (g *group) each(name string, arrays []string, body func(at map[string]Register, k, slot Register)) {
	at := g.addresses(arrays...)
	k, sums := GP64(), GP64()
	XORQ(k, k)
	LEAQ(g.sums, sums)
	Label(name)
	body(at, k, sums)
	for _, a := range arrays {
		ADDQ(g.size, at[a])
	}
	ADDQ(Imm(slot), sums)
	INCQ(k)
	CMPQ(k, g.count)
	JL(LabelRef(name))
}

// of returns the constant of a row.
func (g *group) of(m Mem, k Register) VecVirtual { return g.v.fill(m.Idx(k, uint8(g.v.bytes))) }

// put writes sums of a row, lanes of float64, to its slot on a sheet.
func (g *group) put(s VecVirtual, slot Register, page int, add func(...Op)) {
	y := s
	if g.v.wide() {
		y = YMM()
		VEXTRACTF64X4(Imm(1), s, y)
		add(y, s.AsY(), y)
	}
	VMOVUPD(y, Mem{Base: slot, Disp: page * sheet})
}

// gather adds up the slots of a sheet: lane k of the result is for row k.
func (g *group) gather(page int, add func(...Op)) VecVirtual {
	pair := func(a, b int) VecVirtual { // a0+a1, b0+b1, a2+a3, b2+b3
		x, y, even, odd := YMM(), YMM(), YMM(), YMM()
		VMOVUPD(g.sums.Offset(page*sheet+a*slot), x)
		VMOVUPD(g.sums.Offset(page*sheet+b*slot), y)
		VUNPCKLPD(y, x, even)
		VUNPCKHPD(y, x, odd)
		add(odd, even, even)
		return even
	}
	a, b := pair(0, 1), pair(2, 3)
	low, high := YMM(), YMM()
	if g.v.wide() {
		VSHUFF64X2(Imm(0), b, a, low)
		VSHUFF64X2(Imm(3), b, a, high)
	} else {
		VPERM2F128(Imm(0x20), b, a, low)
		VPERM2F128(Imm(0x31), b, a, high)
	}
	add(high, low, low)
	return low
}

// constant returns a constant of the call, once for each row.
func (g *group) constant(offset int) VecVirtual {
	r := YMM()
	VBROADCASTSD(Mem{Base: pointer("constants"), Disp: offset}, r)
	return r
}

// keep writes four float64, rounded to the type of the data.
func (g *group) keep(x VecVirtual, m Mem) {
	if g.v.single() {
		r := XMM()
		VCVTPD2PSY(x, r)
		VMOVUPS(r, m)
		return
	}
	VMOVUPD(x, m)
}

// kept reads them again.
func (g *group) kept(m Mem) VecVirtual {
	r := YMM()
	if g.v.single() {
		VCVTPS2PD(m, r)
	} else {
		VMOVUPD(m, r)
	}
	return r
}

// below returns bits for the lanes in which x ≥ 0 does not hold, NaN among them,
// and the function that sets all other lanes of a register to zero.
func (g *group) below(x VecVirtual) (bits Register, only func(VecVirtual)) {
	zero, r := YMM(), GP32()
	clear0(zero)
	const notGreaterOrEqual = 9
	if g.v.wide() {
		k := K()
		VCMPPD(Imm(notGreaterOrEqual), zero, x, k)
		KMOVW(k, r)
		only = func(y VecVirtual) { VMOVAPD_Z(y, k, y) }
	} else {
		y := YMM()
		VCMPPD(Imm(notGreaterOrEqual), zero, x, y)
		VMOVMSKPD(y, r)
		only = func(z VecVirtual) { VANDPD(y, z, z) }
	}
	count := GP64()
	MOVQ(g.count, count)
	BZHIL(count.As32(), r, r) // lanes of rows that are not there
	return r.As64(), only
}

// deviation returns m0 − x.
func (v variant) deviation(x Mem, m0 VecVirtual, part mask) VecVirtual {
	if part.all() {
		e := v.vec()
		v.sub(e, m0, x)
		return e
	}
	e := v.load(x, part)
	v.sub(e, m0, e)
	return e
}

// statistics emits what gives m0 and the other terms above, in four float64.
//
// The guess is the mean of the first elements. Where it is bad, r·d more than a
// quarter of q, m0 − r is the next guess, up to three times. Rows for which none
// is good, whose q is not finite, or too small because squares were lost below the
// range, are left to others, with a bit in bad.
//
// The sweep over the elements can take along more sums.
func (g *group) statistics(along sweep) (r, m2 VecVirtual) {
	v := g.v
	head := pointer("head")
	g.each("guess", []string{"x"}, func(at map[string]Register, k, slot Register) {
		s := v.sums("guessSums", head, 1, 4, v.tail, func(i Register, j int, part mask, acc []VecVirtual) {
			if part.all() {
				v.add(acc[0], acc[0], v.at(at["x"], i, j))
			} else {
				v.add(acc[0], acc[0], v.load(v.at(at["x"], i, j), part))
			}
		})
		g.put(s[0], slot, 0, VADDPD)
	})
	m0 := g.gather(0, VADDPD)
	VMULPD(g.constant(perHead), m0, m0)
	g.keep(m0, g.m0)
	tries := GP64()
	MOVQ(U32(3), tries)

	Label("centre")
	g.each("centred", append([]string{"x"}, along.arrays...), func(at map[string]Register, k, slot Register) {
		m0 := g.of(g.m0, k)
		ahead := g.ahead(at["x"])
		step, end := along.begin(at)
		all := v.sums("centredSums", pointer("n"), 2+along.sums, along.unroll, g.part, func(i Register, j int, part mask, acc []VecVirtual) {
			PREFETCHT1(v.at(ahead, i, j))
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
	d, q := g.gather(0, VADDPD), g.gather(1, VADDPD)
	r, m2 = YMM(), YMM()
	VMULPD(g.constant(perRow), d, r)
	rd, limit, rest := YMM(), YMM(), YMM()
	VMULPD(r, d, rd)
	quarter := YMM()
	VBROADCASTSD(float("quarter", 0.25), quarter)
	VMULPD(quarter, q, limit)
	VSUBPD(rd, limit, limit)
	VSUBPD(g.constant(leastSquares), q, rest)
	VMINPD(rest, limit, limit)
	VSUBPD(q, q, rest) // NaN where q is not finite
	VADDPD(rest, limit, limit)
	bad, only := g.below(limit)
	MOVQ(bad, g.bad)
	TESTQ(bad, bad)
	JE(LabelRef("known"))
	DECQ(tries)
	JE(LabelRef("known"))
	better, step := g.kept(g.m0), YMM()
	VMOVAPD(r, step)
	only(step)
	VSUBPD(step, better, better)
	g.keep(better, g.m0)
	JMP(LabelRef("centre"))
	Label("known")
	VSUBPD(rd, q, m2)
	return r, m2
}

// ahead returns the address of a row's counterpart in the next group, which comes to
// the second-level cache while the sums of this group are taken. While its results are
// written is too late.
func (g *group) ahead(row Register) Register {
	r := GP64()
	MOVQ(g.count, r)
	IMULQ(g.size, r)
	ADDQ(row, r)
	return r
}

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

// spread emits scale and shift and returns s and rstd.
func (g *group) spread(r, m2 VecVirtual) (s, rstd VecVirtual) {
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
	g.keep(shift, g.shift)
	clear0(scale)
	VSUBPD(rstd, scale, scale)
	g.keep(scale, g.scale)
	return s, rstd
}

var floats = map[string]Mem{}

// float returns a constant in memory. As F64 it would be written $(1) for 1, an
// integer to the assembler.
func float(name string, x float64) Mem {
	if _, ok := floats[name]; !ok {
		floats[name] = ConstData(name, U64(math.Float64bits(x)))
	}
	return floats[name]
}

// layerNormRows emits y = x̂·gamma + beta.
func layerNormRows(v variant) {
	name := "layerNormRows" + v.suffix()
	TEXT(name, 0, fmt.Sprintf("func(y, x, gamma, beta *%s, constants *float64, rows, n, head, group, stream int) (left, bad int)", v.elem()))
	Doc(name + " normalizes rows of n elements, in groups, until a row is left out: bad has bits for such rows of the last group.")
	Pragma("noescape")
	arrays := []string{"y", "x"}
	g := v.begin(2, arrays...)

	Label("group")
	g.pick()
	g.spread(g.statistics(nothing))
	stream := pointer("stream")
	TESTQ(stream, stream)
	JNE(LabelRef("past"))
	g.unlessFull("singly")
	g.normalizePack()
	JMP(LabelRef("written"))
	Label("singly")
	g.normalizeEach("single", v.store)
	JMP(LabelRef("written"))
	Label("past")
	g.normalizeEach("stream", func(r VecVirtual, m Mem, _ mask) { v.stream(r, m) })
	Label("written")
	g.next(arrays, "group", g.bad)
	g.end(g.left, g.bad)
}

// unlessFull jumps unless the group has all rows, and none is bad.
func (g *group) unlessFull(label string) {
	CMPQ(g.count, Imm(rowsOfGroup))
	JNE(LabelRef(label))
	CMPQ(g.bad, Imm(0))
	JNE(LabelRef(label))
}

// end emits the end of a kernel.
func (g *group) end(results ...Mem) {
	SFENCE()
	for i, m := range results {
		r := GP64()
		MOVQ(m, r)
		Store(r, ReturnIndex(i))
	}
	VZEROUPPER()
	RET()
}

// normalizeEach writes the rows that are not bad one after the other.
func (g *group) normalizeEach(name string, store func(VecVirtual, Mem, mask)) {
	v := g.v
	gamma, beta := pointer("gamma"), pointer("beta")
	g.each(name, []string{"y", "x"}, func(at map[string]Register, k, _ Register) {
		g.skipIfBad(name+"Skip", k)
		m0, scale, shift := g.of(g.m0, k), g.of(g.scale, k), g.of(g.shift, k)
		i := GP64()
		v.loop(name+"Loop", pointer("n"), i, 4, g.part, func(j int, part mask) {
			e := v.deviation(v.at(at["x"], i, j), m0, part)
			v.affine(e, scale, shift)
			v.affineBy(e, v.load(v.at(gamma, i, j), part), v.at(beta, i, j), part)
			store(e, v.at(at["y"], i, j), part)
		})
		Label(name + "Skip")
	})
}

// skipIfBad jumps for a row that is bad.
func (g *group) skipIfBad(label string, k Register) {
	bad := GP64()
	MOVQ(g.bad, bad)
	BTQ(k, bad)
	JCS(LabelRef(label))
}

// affineBy is affine with b in memory, of which a part may be there.
func (v variant) affineBy(d, a VecVirtual, b Mem, part mask) {
	if part.all() {
		v.affine(d, a, b)
	} else {
		v.affine(d, a, v.load(b, part))
	}
}

// pack is how many rows share one loop: as many as have registers for their
// constants.
func (v variant) pack() int {
	if v.wide() {
		return 4
	}
	return 2
}

// packs emits a loop over the columns for each pack of rows of a full group. begin
// gets the first row's number, and returns the body for one vector of each row:
// row addresses it in an array, and i is the column. end is what to do behind the
// loop.
func (g *group) packs(name string, arrays []string, begin func(k Register) func(row func(a string, r int) Mem, i Register, part mask), end func(k Register)) {
	v := g.v
	k, three := GP64(), GP64()
	XORQ(k, k)
	LEAQ(Mem{Base: g.size, Index: g.size, Scale: 2}, three)
	of := func(p Register, r int) Mem {
		return [4]Mem{{Base: p}, {Base: p, Index: g.size, Scale: 1}, {Base: p, Index: g.size, Scale: 2}, {Base: p, Index: three, Scale: 1}}[r]
	}
	Label(name)
	at := g.addresses(arrays...)
	if v.pack() < rowsOfGroup {
		skip := GP64()
		MOVQ(k, skip)
		IMULQ(g.size, skip)
		for _, a := range arrays {
			ADDQ(skip, at[a])
		}
	}
	body := begin(k)
	i := GP64()
	v.loop(name+"Loop", pointer("n"), i, 1, g.part, func(_ int, part mask) {
		body(func(a string, r int) Mem { return of(at[a], r) }, i, part)
		if part.all() {
			for _, a := range arrays {
				ADDQ(Imm(uint64(v.width())), at[a])
			}
		}
	})
	end(k)
	if v.pack() < rowsOfGroup {
		ADDQ(Imm(uint64(v.pack())), k)
		CMPQ(k, Imm(rowsOfGroup))
		JL(LabelRef(name))
	}
}

// ofPack returns the constants of the rows of a pack from row k on.
func (g *group) ofPack(m Mem, k Register) []VecVirtual {
	c := make([]VecVirtual, g.v.pack())
	for r := range c {
		c[r] = g.of(m.Offset(r*g.v.bytes), k)
	}
	return c
}

// normalizePack writes the rows of a full group together.
func (g *group) normalizePack() {
	v := g.v
	gamma, beta := pointer("gamma"), pointer("beta")
	g.packs("pack", []string{"y", "x"}, func(k Register) func(row func(a string, r int) Mem, i Register, part mask) {
		m0, scale, shift := g.ofPack(g.m0, k), g.ofPack(g.scale, k), g.ofPack(g.shift, k)
		return func(row func(a string, r int) Mem, i Register, part mask) {
			c, b := v.load(v.at(gamma, i, 0), part), v.load(v.at(beta, i, 0), part)
			for r := range v.pack() {
				e := v.deviation(row("x", r), m0[r], part)
				v.affine(e, scale[r], shift[r])
				v.affine(e, c, b)
				v.store(e, row("y", r), part)
			}
		}
	}, func(Register) {})
}
