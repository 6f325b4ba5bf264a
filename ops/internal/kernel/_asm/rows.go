package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Whole kernels over rows. They take groups of up to eight rows, so that what is
// done once for each row, a root and divisions, is done for four at once, in the four
// float64 of a YMM register, and for the other four while the first wait for the
// result. Loops over the elements leave the sums of each row in memory, where those of
// the whole group are then added up together.
//
// With e = m0 − x, for a guess m0 of the mean, the statistics of a row are
//
//	d = Σe, q = Σe², r = d/n            the mean is m0 − r
//	s = √((q − r·d)/dof + e1), rstd = 1/(s + e2)
//	x̂ = (x − mean)·rstd = e·(−rstd) + r·rstd
//
// so the mean has more digits than the data, whatever its size, as long as m0 is
// near enough that r·d is a small part of q.

// rowsOfGroup is how many rows there are in a group, and rowsOfHalf in each half of it,
// the second of which may be empty.
const (
	rowsOfHalf  = 4
	rowsOfGroup = 2 * rowsOfHalf
)

// half is the first half of a group, 0, or the second.
type half int

// Sums lie in memory on sheets, one for each kind of sum. A sheet has a slot for each row
// of the group: four float64 that are still to be added up.
const (
	slot  = 4 * 8
	sheet = rowsOfGroup * slot
)

// The constants of a call, which package kernel passes as an array of float64.
const (
	perHead      = 8 * iota // 1/head
	perRow                  // 1/n
	perDof                  // 1/dof
	underRoot               // e1
	besideRoot              // e2
	leastSquares            // q must not be below it
	leastGrad               // nor max|u|, unless it is 0
	mostGrad                // nor max|u| above it
)

// rows emits all kernels of a variant.
func rows(v variant) {
	layerNormRows(v)
	layerNormGradRows(v)
	if v.single() {
		layerNormGradRows(v.inDouble())
	}
	carryRows(v)
	sumParts(v)
}

// group is the code for a group of rows: registers that the whole kernel keeps,
// and memory.
type group struct {
	v     variant
	pitch Register       // from row to row, in bytes
	left  Mem            // rows that are not done yet
	count Mem            // rows of this group
	span  Mem            // from this group to the next, in bytes
	early Mem            // how far to fetch ahead with the sums, see ahead
	now   map[string]Mem // where the group begins in each array
	sums  Mem            // sheets of slots
	m0    Mem            // the guesses, as data
	scale Mem            // −rstd
	shift Mem            // r·rstd
	bad   Mem            // a bit for each row that cannot be done here
	late  bool           // see ahead
	part  tail           // makes the mask for the end of a row
}

// begin emits the start of a kernel with these arrays of rows, and so many kinds of
// sums.
func (v variant) begin(sheets int, arrays ...string) *group {
	g := &group{v: v, left: AllocLocal(8), count: AllocLocal(8), span: AllocLocal(8), early: AllocLocal(8), bad: AllocLocal(8), now: map[string]Mem{}}
	for _, a := range arrays {
		g.now[a] = AllocLocal(8)
		MOVQ(pointer(a), g.now[a])
	}
	MOVQ(pointer("rows"), g.left)
	g.pitch = pointer("pitch")
	g.sums = AllocLocal(sheets * sheet)
	g.m0, g.scale, g.shift = g.memory(), g.memory(), g.memory()
	g.part = v.tail
	if v.wide() { // the mask is the same in all loops
		rest := pointer("n")
		ANDQ(Imm(uint64(v.lanes()-1)), rest)
		m := v.tail(rest)
		g.part = func(Register) mask { return m }
	}
	return g
}

// memory allocates room for a constant of each row.
func (g *group) memory() Mem { return AllocLocal(8 * rowsOfGroup) }

// in is where constants of the type of the arithmetic begin for a half, and inDouble
// where constants of float64 do.
func (g *group) in(m Mem, h half) Mem       { return ofHalf(m, h, g.v.real().bytes) }
func (g *group) inDouble(m Mem, h half) Mem { return ofHalf(m, h, 8) }

func ofHalf(m Mem, h half, bytes int) Mem { return m.Offset(int(h) * rowsOfHalf * bytes) }

// halves emits body for each half that has rows.
func (g *group) halves(name string, body func(half)) {
	body(0)
	CMPQ(g.count, Imm(rowsOfHalf))
	JLE(LabelRef(name + "Half"))
	body(1)
	Label(name + "Half")
}

// pick sets the number of rows of the group, how far it is to the next, and how far to
// fetch ahead.
func (g *group) pick() {
	count := pointer("group")
	CMPQ(count, g.left)
	CMOVQGT(g.left, count)
	MOVQ(count, g.count)
	span := count
	IMULQ(g.pitch, span)
	MOVQ(span, g.span)
	if g.late {
		stream := pointer("stream") // 0 or 1
		DECQ(stream)
		ANDQ(stream, span)
	}
	MOVQ(span, g.early)
}

// next goes on to the next group, or ends the loop over them where none is left or a
// bit is set in stops.
func (g *group) next(arrays []string, again string, stops ...Mem) {
	count, span := GP64(), GP64()
	MOVQ(g.count, count)
	MOVQ(g.span, span)
	for _, a := range arrays {
		ADDQ(span, g.now[a])
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
		ADDQ(g.pitch, at[a])
	}
	ADDQ(Imm(slot), sums)
	INCQ(k)
	CMPQ(k, g.count)
	JL(LabelRef(name))
}

// real is the variant whose data has the type of the arithmetic.
func (v variant) real() variant {
	if v.converts() {
		v.bytes, v.double = 8, false
	}
	return v
}

// of returns the constant of row k + r.
func (g *group) of(m Mem, k Register, r int) VecVirtual {
	v := g.v.real()
	return v.fill(m.Idx(k, uint8(v.bytes)).Offset(r * v.bytes))
}

// put writes sums of a row, lanes of float64, to its slot on a sheet.
func (g *group) put(s VecVirtual, slot Register, page int, add func(...Op)) {
	y := s
	if g.v.wide() {
		y = YMM()
		VEXTRACTF64X4(Imm(1), s, y)
		add(y, s.AsY(), y)
	}
	VMOVUPD(y, onSheet(slot, page))
}

// onSheet addresses the slot on a sheet of the row that has this slot on the first sheet.
func onSheet(slot Register, page int) Mem { return Mem{Base: slot, Disp: page * sheet} }

// gather adds up the slots of a half sheet: lane k of the result is for row k.
func (g *group) gather(page int, h half, add func(...Op)) VecVirtual {
	first := g.sums.Offset(page*sheet + int(h)*rowsOfHalf*slot)
	pair := func(a, b int) VecVirtual { // a0+a1, b0+b1, a2+a3, b2+b3
		x, y, even, odd := YMM(), YMM(), YMM(), YMM()
		VMOVUPD(first.Offset(a*slot), x)
		VMOVUPD(first.Offset(b*slot), y)
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

// constant returns a constant of the call in each of the four lanes.
func (g *group) constant(offset int) VecVirtual {
	r := YMM()
	VBROADCASTSD(Mem{Base: pointer("constants"), Disp: offset}, r)
	return r
}

// keep writes four float64, rounded to the type of the arithmetic, for a half.
func (g *group) keep(x VecVirtual, m Mem, h half) {
	if g.v.single() {
		r := XMM()
		VCVTPD2PSY(x, r)
		VMOVUPS(r, g.in(m, h))
		return
	}
	VMOVUPD(x, g.in(m, h))
}

// kept reads them again.
func (g *group) kept(m Mem, h half) VecVirtual {
	r := YMM()
	if g.v.single() {
		VCVTPS2PD(g.in(m, h), r)
	} else {
		VMOVUPD(g.in(m, h), r)
	}
	return r
}

// below returns the lanes in which x ≥ 0 does not hold, NaN among them.
func (g *group) below(x VecVirtual) mask {
	zero := YMM()
	clear0(zero)
	return g.v.inDouble().where(x, notGreaterOrEqual, zero, mask{})
}

// rows returns lanes of a half as bits for its rows.
func (g *group) rows(lanes mask, h half) Register {
	bits := g.v.inDouble().bits(lanes)
	if h != 0 {
		SHLQ(Imm(rowsOfHalf), bits)
	}
	count := GP64()
	MOVQ(g.count, count)
	BZHIQ(count, bits, bits) // lanes of rows that are not there
	return bits
}

// deviation returns m0 − x.
func (v variant) deviation(x Mem, m0 VecVirtual, part mask) VecVirtual {
	e := v.vec()
	v.sub(e, m0, v.operand(x, part))
	return e
}

// operand is data in memory as an operand: the memory itself where it can be.
func (v variant) operand(m Mem, part mask) Op {
	if part.all() && !v.converts() {
		return m
	}
	return v.load(m, part)
}

// skipIfBad jumps to the label if row k is bad.
func (g *group) skipIfBad(label string, k Register) {
	bad := GP64()
	MOVQ(g.bad, bad)
	BTQ(k, bad)
	JCS(LabelRef(label))
}

// unlessPacked jumps to the label unless the rows make whole packs and none is bad.
func (g *group) unlessPacked(label string) {
	TESTQ(U32(uint32(g.v.pack()-1)), g.count)
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

var floats = map[string]Mem{}

// float returns a constant in memory. As F64 it would be written $(1) for 1, an
// integer to the assembler.
func float(name string, x float64) Mem {
	if _, ok := floats[name]; !ok {
		floats[name] = ConstData(name, U64(math.Float64bits(x)))
	}
	return floats[name]
}
