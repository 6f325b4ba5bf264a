package main

import (
	"fmt"
	"math/bits"
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// columns emits a loop over rows of n elements, stride bytes apart, where each
// column is a channel. It takes several rows at a time, so that what belongs to
// a column, constants and sums, is fetched once for all of them, and otherwise
// goes along the rows, in the order of memory. Constants and sums may be read
// and written up to the end of a vector.
func (l loop) columns(v variant) {
	TEXT(l.name+"Columns"+v.suffix(), NOSPLIT, l.signature(v, "n, rows, stride int"))
	Doc(fmt.Sprintf("%sColumns%s: %s, for n columns of rows that are stride bytes apart.", l.name, v.suffix(), l.doc))
	Pragma("noescape")
	if l.out != "" {
		streamed(func(name string, past bool) {
			group := 2
			if past { // on AVX2 a line would be written in halves, see gradPacks; on AVX-512 not measured
				group = 1
			}
			l.rowGroups(v, name, group, 1, func(s strip) { l.mapStrip(v, s, past) })
		})
	} else {
		v := v.inDouble()
		wide := 2 // there are 16 registers
		if v.wide() {
			wide = 4
		}
		group := 8 / len(l.data) // rows: L1 holds these and the next group's
		l.rowGroups(v, "sum", group, wide, func(s strip) { l.sumStrip(v, s) })
	}
	VZEROUPPER()
	RET()
}

// A strip is a few neighbouring vectors of columns in a group of rows.
type strip struct {
	rows, vecs int
	part       mask // of the last vector of a row
	data       func(array string, row, vec int) Mem
	konst      func(array string, vec int) Mem
	sum        func(array string, vec int) Mem
}

// rowGroups emits the loop over groups of rows, large ones and then single rows,
// and in it the loop over strips, wide ones and then single vectors.
func (l loop) rowGroups(v variant, name string, group, wide int, body func(s strip)) {
	rows := name + "Rows"
	if group > 1 {
		SUBQ(Imm(uint64(group)), address("rows"))
		JL(LabelRef(rows + "End"))
		l.rowGroup(v, rows, group, wide, body)
		SUBQ(Imm(uint64(group)), address("rows"))
		JGE(LabelRef(rows))
		Label(rows + "End")
		ADDQ(Imm(uint64(group)), address("rows"))
		JE(LabelRef(name + "Done"))
	}
	l.rowGroup(v, name+"Row", 1, wide, body)
	DECQ(address("rows"))
	JNZ(LabelRef(name + "Row"))
	Label(name + "Done")
}

// rowGroup emits one turn of the loop over groups, for count rows.
func (l loop) rowGroup(v variant, label string, count, wide int, body func(s strip)) {
	Label(label)
	g := l.addressRows(v, count)
	left := pointer("n")
	g.i = GP64()
	XORQ(g.i, g.i)
	// The rows of the next group are fetched in the order of memory, which is
	// what the processor's own prefetching is made for.
	ahead := map[string]Register{}
	if count > 1 && wide > 1 {
		for _, a := range g.moving {
			ahead[a] = GP64()
			LEAQ(Mem{Base: g.near[a], Index: g.stride, Scale: uint8(count)}, ahead[a])
		}
	}
	turns := func(name string, vecs int) {
		SUBQ(U32(uint32(vecs*v.lanes())), left)
		JL(LabelRef(name + "End"))
		Label(name)
		for _, a := range g.moving {
			if vecs > 1 && count > 1 {
				bytes := count * vecs * v.step()
				for at := 0; at < bytes; at += 64 {
					PREFETCHT0(Mem{Base: ahead[a], Disp: at})
				}
				ADDQ(U32(uint32(bytes)), ahead[a])
			}
		}
		body(g.strip(vecs, mask{}))
		g.advance(vecs)
		SUBQ(U32(uint32(vecs*v.lanes())), left)
		JGE(LabelRef(name))
		Label(name + "End")
		ADDQ(U32(uint32(vecs*v.lanes())), left)
	}
	if wide > 1 {
		turns(label+"Wide", wide)
	}
	turns(label+"Strip", 1)
	TESTQ(left, left)
	JE(LabelRef(label + "Next"))
	body(g.strip(1, v.tail(left)))
	Label(label + "Next")
	step := pointer("stride")
	SHLQ(Imm(uint64(bits.TrailingZeros(uint(count)))), step)
	for _, a := range g.moving {
		ADDQ(step, address(a))
	}
}

// rowPointers address a strip of a group of rows.
type rowPointers struct {
	v               variant
	count           int
	moving          []string            // arrays that have rows
	near, far       map[string]Register // where rows 0 and 5 of these are
	fixed           map[string]Register // the other arrays
	stride, stride3 Register
	i               Register // the column
}

// addressRows loads the pointers for count rows, at most 8.
func (l loop) addressRows(v variant, count int) *rowPointers {
	g := &rowPointers{v: v, count: count, near: map[string]Register{}, far: map[string]Register{}, fixed: map[string]Register{}}
	g.moving = slices.Clone(l.data)
	if l.out != "" {
		g.moving = append(g.moving, l.out)
	}
	g.stride = pointer("stride")
	g.stride3 = GP64()
	stride5 := GP64()
	if count > 2 {
		LEAQ(Mem{Base: g.stride, Index: g.stride, Scale: 2}, g.stride3)
	}
	if count > 4 {
		LEAQ(Mem{Base: g.stride, Index: g.stride, Scale: 4}, stride5)
	}
	for _, a := range g.moving {
		g.near[a] = pointer(a)
		if count > 4 {
			g.far[a] = GP64()
			LEAQ(Mem{Base: g.near[a], Index: stride5, Scale: 1}, g.far[a])
		}
	}
	for _, a := range l.arrays() {
		if !slices.Contains(g.moving, a) {
			g.fixed[a] = pointer(a)
		}
	}
	return g
}

// row addresses a row of an array.
func (g *rowPointers) row(a string, row int) Mem {
	switch row {
	case 0:
		return Mem{Base: g.near[a]}
	case 1, 2, 4:
		return Mem{Base: g.near[a], Index: g.stride, Scale: uint8(row)}
	case 3, 6:
		return Mem{Base: g.near[a], Index: g.stride3, Scale: uint8(row / 3)}
	case 5:
		return Mem{Base: g.far[a]}
	default:
		return Mem{Base: g.far[a], Index: g.stride, Scale: 2}
	}
}

// strip returns the strip that begins at the pointers.
func (g *rowPointers) strip(vecs int, part mask) strip {
	return strip{
		rows: g.count, vecs: vecs, part: part,
		data:  func(a string, r, k int) Mem { return g.row(a, r).Offset(k * g.v.step()) },
		konst: func(a string, k int) Mem { return g.v.at(g.fixed[a], g.i, k) },
		sum:   func(a string, k int) Mem { return Mem{Base: g.fixed[a], Index: g.i, Scale: 8, Disp: k * g.v.width()} },
	}
}

// advance moves the pointers on by some vectors.
func (g *rowPointers) advance(vecs int) {
	for _, a := range g.moving {
		ADDQ(U32(uint32(vecs*g.v.step())), g.near[a])
		if g.count > 4 {
			ADDQ(U32(uint32(vecs*g.v.step())), g.far[a])
		}
	}
	ADDQ(U32(uint32(vecs*g.v.lanes())), g.i)
}

// sumStrip adds up columns over the rows of a strip.
func (l loop) sumStrip(v variant, s strip) {
	consts, acc := make([]map[string]VecVirtual, s.vecs), make([]map[string]VecVirtual, s.vecs)
	for k := range s.vecs {
		consts[k], acc[k] = l.vectors(v, s, k), map[string]VecVirtual{}
		for _, sum := range l.sums {
			acc[k][sum] = v.zeros(1)[0]
		}
	}
	for r := range s.rows {
		for k := range s.vecs {
			o := operands{sum: acc[k], data: map[string]VecVirtual{}, konst: consts[k]}
			for _, d := range l.data {
				o.data[d] = v.load(s.data(d, r, k), s.part)
			}
			l.body(v, o)
		}
	}
	for k := range s.vecs {
		for _, sum := range l.sums {
			y := acc[k][sum]
			VADDPD(s.sum(sum, k), y, y)
			VMOVUPD(y, s.sum(sum, k))
		}
	}
}

// mapStrip writes the rows of a strip.
func (l loop) mapStrip(v variant, s strip, past bool) {
	consts := l.vectors(v, s, 0)
	for r := range s.rows {
		o := operands{data: map[string]VecVirtual{}, konst: consts, out: new(VecVirtual)}
		for _, d := range l.data {
			o.data[d] = v.load(s.data(d, r, 0), s.part)
		}
		l.body(v, o)
		v.write(past, *o.out, s.data(l.out, r, 0), s.part)
	}
}

// vectors loads the constants of vector k of a strip.
func (l loop) vectors(v variant, s strip, k int) map[string]VecVirtual {
	m := map[string]VecVirtual{}
	for _, c := range l.consts {
		m[c] = v.load(s.konst(c, k), mask{})
	}
	return m
}
