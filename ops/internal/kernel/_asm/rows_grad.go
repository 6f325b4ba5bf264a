package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The gradient over rows. With u = gamma·dy and the statistics of rows.go,
//
//	k = rstd²·c = rstd/(dof·s)
//	b = k·(r·Σu − Σu·e), a = Σu/n + r·b
//	dx = rstd·(u − a + e·b) = t·(−rstd), t = a − u − e·b
//
// In float32, errors of t are relative to u. Where dx is much smaller, because u is nearly
// a combination of 1 and x̂, max|t| < max|u|/2 says so, and dx is left to arithmetic in
// float64.

// gradGroup is a group with what the gradient needs besides.
type gradGroup struct {
	*group
	r, k  Mem // float64
	a, b  Mem // of the type of the arithmetic
	most  Mem // max|u|, float64
	again Mem // a bit for each row whose dx is too coarse
}

// layerNormGradRows emits the gradient, and adds to dgamma and dbeta unless dgamma is
// nil.
func layerNormGradRows(v variant) {
	name := "layerNormGradRows" + v.suffix()
	if v.converts() {
		name = "layerNormGradRowsInDouble" + v.isa
	}
	TEXT(name, 0, fmt.Sprintf("func(dx *%[1]s, dgamma, dbeta *%[2]s, x, gamma, dy *%[1]s, constants *float64, rows, n, pitch, head, group, stream int) (left, bad, again int)", v.elem(), v.real().elem()))
	Doc(name+" gives the gradient for rows of n elements, pitch bytes apart, group by group. It stops after a",
		"group of which rows are left out: bad has a bit for each of them, again for each that lacks only dx,",
		"and left is how many rows follow.")
	Pragma("noescape")
	arrays := []string{"dx", "x", "dy"}
	g := &gradGroup{group: v.begin(pages, arrays...)}
	g.r, g.k, g.most = g.memory(), g.memory(), g.memory()
	g.a, g.b, g.again = g.memory(), g.memory(), AllocLocal(8)
	// Late prefetching takes 0.75 to 0.95 of the time on Zen 3 (AVX2), as memory then reads
	// while it writes.
	g.late = !v.wide()

	MOVQ(U32(0), g.again)

	Label("group")
	g.pick()
	g.statistics(g.gradSums(), g.slope)
	g.halves("terms", g.terms)
	if !v.converts() { // the variant that does is for few rows
		g.gradPacks()
	}
	dgamma := pointer("dgamma")
	TESTQ(dgamma, dgamma)
	JE(LabelRef("plainly"))
	g.gradEach("single", true, false)
	JMP(LabelRef("written"))
	Label("plainly")
	g.gradEach("plainSingle", false, false)
	Label("written")
	if v.single() {
		g.halves("check", g.check)
	}
	g.next(arrays, "group", g.bad, g.again)
	g.end(g.left, g.bad, g.again)
}

// gradPacks writes whole packs and jumps over the code for rows one by one.
func (g *gradGroup) gradPacks() {
	g.unlessPacked("singly")
	dgamma, stream := pointer("dgamma"), pointer("stream")
	streamed := func(name string, affine bool) {
		if g.v.wide() {
			g.gradPack(name, affine, true)
			return
		}
		// AVX2 writes half of a cache line at a time. Rows that lie 4096 bytes apart, written
		// in turns, would go to memory in such halves: four times slower on Zen 3.
		g.gradEach(name, affine, true)
	}
	TESTQ(dgamma, dgamma)
	JE(LabelRef("plainPacks"))
	TESTQ(stream, stream)
	JNE(LabelRef("past"))
	g.gradPack("pack", true, false)
	JMP(LabelRef("written"))
	Label("past")
	streamed("stream", true)
	JMP(LabelRef("written"))
	Label("plainPacks")
	TESTQ(stream, stream)
	JNE(LabelRef("pastPlain"))
	g.gradPack("plain", false, false)
	JMP(LabelRef("written"))
	Label("pastPlain")
	streamed("plainStream", false)
	JMP(LabelRef("written"))
	Label("singly")
}

// slope writes what does not depend on dy.
func (g *gradGroup) slope(r, m2 VecVirtual, h half) {
	s, rstd := g.spread(r, m2, h)
	k := YMM()
	VMOVUPD(r, g.inDouble(g.r, h))
	VDIVPD(s, rstd, k)
	VMULPD(g.constant(perDof), k, k)
	VMOVUPD(k, g.inDouble(g.k, h))
}

// putMost writes the largest of the registers, lane by lane, to a slot.
func (g *gradGroup) putMost(tops []VecVirtual, slot Register, page int) {
	for _, t := range tops[1:] {
		g.v.by(VMAXPS, VMAXPD)(t, tops[0], tops[0])
	}
	top := tops[0]
	if g.v.single() {
		low, high := g.v.widen(top)
		VMAXPD(high, low, low)
		top = low
	}
	g.put(top, slot, page, VMAXPD)
}

// The sheets of sums; those of the statistics come first.
const (
	pageU = 2 + iota
	pageUE
	pageMost
	pages
)

// gradSums returns the sums over dy, which are taken along with the statistics.
func (g *gradGroup) gradSums() sweep {
	v := g.v
	unroll := map[bool]int{true: 4, false: 2}[v.wide()]
	return sweep{[]string{"dy"}, 2, unroll, func(at map[string]Register) (func(Register, int, mask, VecVirtual, []VecVirtual), func(Register)) {
		tops, magnitude, gamma := v.zeros(unroll), v.magnitude(), pointer("gamma")
		ahead := g.ahead(at["dy"])
		step := func(i Register, j int, part mask, e VecVirtual, acc []VecVirtual) {
			v.fetch(ahead, i, j)
			u := v.load(v.at(at["dy"], i, j), part)
			v.mul(u, u, v.operand(v.at(gamma, i, j), part))
			v.add(acc[0], acc[0], u)
			v.fma(acc[1], u, e)
			v.maxAbs(tops[j], u, magnitude)
		}
		return step, func(slot Register) { g.putMost(tops, slot, pageMost) }
	}}
}

// terms emits a and b. Rows with a gradient that is not finite, or nearly leaves the
// range, become bad.
func (g *gradGroup) terms(h half) {
	su, se, most := g.gather(pageU, h, VADDPD), g.gather(pageUE, h, VADDPD), g.gather(pageMost, h, VMAXPD)
	VMOVUPD(most, g.inDouble(g.most, h))
	r, a, b := YMM(), YMM(), YMM()
	VMOVUPD(g.inDouble(g.r, h), r)
	VMOVAPD(se, b)
	VFMSUB231PD(r, su, b)
	VMULPD(g.inDouble(g.k, h), b, b)
	VMULPD(g.constant(perRow), su, a)
	VFMADD231PD(r, b, a)
	g.keep(a, g.a, h)
	g.keep(b, g.b, h)

	// limit becomes negative, or NaN, for a row that is bad.
	limit, rest := YMM(), YMM()
	VSUBPD(g.constant(leastGrad), most, limit)
	VBROADCASTSD(float("big", 0x1p600), rest)
	VMULPD(most, rest, rest)
	VMULPD(rest, limit, limit) // 0 for 0
	VSUBPD(most, g.constant(mostGrad), rest)
	VMINPD(rest, limit, limit)
	for _, m := range []Mem{g.a, g.b} {
		x := g.kept(m, h)
		VSUBPD(x, x, x)
		VADDPD(x, limit, limit)
	}
	ORQ(g.rows(g.below(limit), h), g.bad)
}

// gradConstants are the constants of a row. They are in registers, except that a and shift
// may be vectors in memory.
type gradConstants struct {
	m0, scale, b, top VecVirtual
	a, shift          Op
	magnitude         Op // see maxAbs
}

// constants loads the constants of row r of a pack that begins with row k.
func (g *gradGroup) constants(k Register, r int, magnitude Op) gradConstants {
	of := func(m Mem) VecVirtual { return g.of(m, k, r) }
	c := gradConstants{m0: of(g.m0), scale: of(g.scale), b: of(g.b), top: g.v.zeros(1)[0], magnitude: magnitude}
	// AVX2 has too few registers, and the memory of the sums is free by now.
	far := func(m Mem, place int) Op {
		x := of(m)
		if g.v.wide() {
			return x
		}
		at := g.sums.Offset((2*r + place) * slot)
		VMOVUPS(x, at)
		return at
	}
	c.a, c.shift = far(g.a, 0), far(g.shift, 1)
	return c
}

// vector emits dx for a vector of one row. It returns the terms of dgamma and dbeta,
// added to sums unless these are nil, or nil where they are not wanted.
func (g *gradGroup) vector(c gradConstants, row func(a string) Mem, gamma VecVirtual, part mask, affine, past bool, sums []VecVirtual) []VecVirtual {
	v := g.v
	dy := v.load(row("dy"), part)
	e := v.deviation(row("x"), c.m0, part)
	t := v.vec()
	v.by(VMOVUPS, VMOVUPD)(c.a, t)
	v.fnma(t, dy, gamma)
	v.fnma(t, e, c.b)
	if v.single() {
		v.keep(t, part)
		v.maxAbs(c.top, t, c.magnitude)
	}
	v.mul(t, t, c.scale)
	v.write(past, t, row("dx"), part)
	if !affine {
		return nil
	}
	v.affine(e, c.scale, c.shift) // x̂
	if sums == nil {
		v.mul(e, e, dy)
		return []VecVirtual{e, dy}
	}
	v.fma(sums[0], e, dy)
	v.add(sums[1], sums[1], dy)
	return sums
}

// magnitude is what the search for the largest t needs, which float32 alone has.
func (g *gradGroup) magnitude() Op {
	if !g.v.single() {
		return nil
	}
	return g.v.magnitude()
}

// gradPointers are gamma, and dgamma and dbeta if they are wanted.
func gradPointers(affine bool) (gamma Register, grads []Register) {
	if affine {
		grads = []Register{pointer("dgamma"), pointer("dbeta")}
	}
	return pointer("gamma"), grads
}

// gradPack writes the rows of a group in packs, past the caches or not.
func (g *gradGroup) gradPack(name string, affine, past bool) {
	v := g.v
	gamma, grads := gradPointers(affine)
	var rows []gradConstants
	g.packs(name, []string{"dx", "x", "dy"}, func(k Register) func(row func(a string, r int) Mem, i Register, part mask) {
		magnitude := g.magnitude()
		for r := range v.pack() {
			rows = append(rows, g.constants(k, r, magnitude))
		}
		return func(row func(a string, r int) Mem, i Register, part mask) {
			c := v.load(v.at(gamma, i, 0), part)
			var sums []VecVirtual // in the type of the data, over the pack
			for r := range v.pack() {
				sums = g.vector(rows[r], func(a string) Mem { return row(a, r) }, c, part, affine, past, sums)
			}
			v.accumulate(grads, i, 0, sums)
		}
	}, func(k Register) {
		if !v.single() {
			return
		}
		for r := range v.pack() {
			place := GP64()
			IMUL3Q(Imm(slot), k, place)
			LEAQ(g.sums.Offset(r*slot).Idx(place, 1), place)
			g.putMost([]VecVirtual{rows[r].top}, place, pageMost)
		}
	})
}

// gradEach writes the rows that are not bad one after the other, past the caches or
// not.
func (g *gradGroup) gradEach(name string, affine, past bool) {
	v := g.v
	gamma, grads := gradPointers(affine)
	g.each(name, []string{"dx", "x", "dy"}, func(at map[string]Register, k, slot Register) {
		g.skipIfBad(name+"Skip", k)
		c := g.constants(k, 0, g.magnitude())
		i, fetch := GP64(), g.fetchLate(past, at["x"], at["dy"])
		v.loop(name+"Loop", pointer("n"), i, 1, g.part, func(j int, part mask) {
			fetch(i, j)
			row := func(a string) Mem { return v.at(at[a], i, j) }
			sums := g.vector(c, row, v.load(v.at(gamma, i, j), part), part, affine, past, nil)
			v.accumulate(grads, i, j, sums)
		})
		if v.single() {
			g.putMost([]VecVirtual{c.top}, slot, pageMost)
		}
		Label(name + "Skip")
	})
}

// fetchLate returns a function that prefetches vector j after i of each row's counterpart
// in the next group, or nothing unless that is done now.
func (g *gradGroup) fetchLate(past bool, rows ...Register) func(i Register, j int) {
	if !past || !g.late {
		return func(Register, int) {}
	}
	ahead := make([]Register, len(rows))
	for k, row := range rows {
		ahead[k] = after(row, g.span)
	}
	return func(i Register, j int) {
		for _, p := range ahead {
			g.v.fetch(p, i, j)
		}
	}
}

// check sets bits for the rows whose dx is too coarse.
func (g *gradGroup) check(h half) {
	t, limit := g.gather(pageMost, h, VMAXPD), YMM()
	VADDPD(t, t, limit)
	VSUBPD(g.inDouble(g.most, h), limit, limit)
	VSUBPD(t, t, t) // NaN where it is not finite
	VADDPD(t, limit, limit)
	again, bad := g.rows(g.below(limit), h), GP64()
	MOVQ(g.bad, bad)
	NOTQ(bad)
	ANDQ(bad, again) // those are not done at all
	ORQ(again, g.again)
}
