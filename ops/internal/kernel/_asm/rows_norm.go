package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// layerNormRows emits y = x̂·gamma + beta.
func layerNormRows(v variant) {
	name := "layerNormRows" + v.suffix()
	TEXT(name, 0, fmt.Sprintf("func(y, x, gamma, beta *%s, constants *float64, rows, n, pitch, head, group, stream int) (left, bad int)", v.elem()))
	Doc(name+" normalizes rows of n elements, pitch bytes apart, group by group. It stops after a group of",
		"which rows are left out: bad has a bit for each of them, and left is how many rows follow.")
	Pragma("noescape")
	arrays := []string{"y", "x"}
	g := v.begin(2, arrays...)

	Label("group")
	g.pick()
	g.statistics(nothing, func(r, m2 VecVirtual, h half) { g.spread(r, m2, h) })
	stream := pointer("stream")
	TESTQ(stream, stream)
	JNE(LabelRef("past"))
	g.unlessPacked("singly")
	g.normalizePack()
	JMP(LabelRef("written"))
	Label("singly")
	g.normalizeEach("single", false)
	JMP(LabelRef("written"))
	Label("past")
	g.normalizeEach("stream", true)
	Label("written")
	g.next(arrays, "group", g.bad)
	g.end(g.left, g.bad)
}

// normalizeEach writes the rows that are not bad one after the other, past the caches
// or not.
func (g *group) normalizeEach(name string, past bool) {
	v := g.v
	gamma, beta := pointer("gamma"), pointer("beta")
	g.each(name, []string{"y", "x"}, func(at map[string]Register, k, _ Register) {
		g.skipIfBad(name+"Skip", k)
		m0, scale, shift := g.of(g.m0, k, 0), g.of(g.scale, k, 0), g.of(g.shift, k, 0)
		i := GP64()
		v.loop(name+"Loop", pointer("n"), i, 4, g.part, func(j int, part mask) {
			e := v.deviation(v.at(at["x"], i, j), m0, part)
			v.affine(e, scale, shift)
			v.affine(e, v.load(v.at(gamma, i, j), part), v.operand(v.at(beta, i, j), part))
			v.write(past, e, v.at(at["y"], i, j), part)
		})
		Label(name + "Skip")
	})
}

// pack is how many rows share one loop: as many as have registers for their
// constants.
func (v variant) pack() int {
	if v.wide() {
		return 4
	}
	return 2
}

// packs emits a loop over the columns for each pack of rows. begin gets the first
// row's number, and returns the body for one vector of each row: row addresses it in
// an array, and i is the column. end is what to do after the loop.
func (g *group) packs(name string, arrays []string, begin func(k Register) func(row func(a string, r int) Mem, i Register, part mask), end func(k Register)) {
	v := g.v
	k, three := GP64(), GP64()
	XORQ(k, k)
	LEAQ(Mem{Base: g.pitch, Index: g.pitch, Scale: 2}, three)
	of := func(p Register, r int) Mem {
		return [4]Mem{{Base: p}, {Base: p, Index: g.pitch, Scale: 1}, {Base: p, Index: g.pitch, Scale: 2}, {Base: p, Index: three, Scale: 1}}[r]
	}
	Label(name)
	at := g.addresses(arrays...)
	skip := GP64()
	MOVQ(k, skip)
	IMULQ(g.pitch, skip)
	for _, a := range arrays {
		ADDQ(skip, at[a])
	}
	body := begin(k)
	i := GP64()
	v.loop(name+"Loop", pointer("n"), i, 1, g.part, func(_ int, part mask) {
		body(func(a string, r int) Mem { return of(at[a], r) }, i, part)
		if part.all() {
			for _, a := range arrays {
				ADDQ(Imm(uint64(v.step())), at[a])
			}
		}
	})
	end(k)
	ADDQ(Imm(uint64(v.pack())), k)
	CMPQ(k, g.count)
	JL(LabelRef(name))
}

// ofPack returns the constants of the rows of a pack from row k on.
func (g *group) ofPack(m Mem, k Register) []VecVirtual {
	c := make([]VecVirtual, g.v.pack())
	for r := range c {
		c[r] = g.of(m, k, r)
	}
	return c
}

// normalizePack writes the rows of a group in packs.
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
