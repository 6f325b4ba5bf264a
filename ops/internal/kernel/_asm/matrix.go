package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A matrix of data times a vector of float64, and the sum of two matrices and an outer
// product, in float64 arithmetic. In a product, rows of n elements are stride bytes apart.
// Several go together, so that what belongs to a column is fetched once for all of them.

const rowsTogether = 4

func matrix(v variant) {
	rowProducts(v.inDouble())
	columnProducts(v.inDouble())
	addOuter(v.inDouble())
}

// rowGroups emits a loop over rows of w, several at a time and then one by one. body gets
// registers with the beginning of each.
func (v variant) rowGroups(body func(label string, rows []Register)) {
	w, stride, left := pointer("w"), pointer("stride"), pointer("rows")
	for _, count := range []int{rowsTogether, 1} {
		label := fmt.Sprint("rows", count)
		SUBQ(Imm(uint64(count)), left)
		JL(LabelRef(label + "End"))
		Label(label)
		rows := make([]Register, count)
		for r := range rows {
			rows[r] = w
			if r > 0 {
				rows[r] = GP64()
				LEAQ(Mem{Base: rows[r-1], Index: stride, Scale: 1}, rows[r])
			}
		}
		body(label, rows)
		LEAQ(Mem{Base: rows[count-1], Index: stride, Scale: 1}, w)
		SUBQ(Imm(uint64(count)), left)
		JGE(LabelRef(label))
		Label(label + "End")
		ADDQ(Imm(uint64(count)), left)
	}
}

// product emits a function that goes over the rows of w and adds to out. body is called
// as by rowGroups.
func (v variant) product(name, doc string, body func(out, x, n Register, label string, rows []Register)) {
	name += v.suffix()
	TEXT(name, NOSPLIT, fmt.Sprintf("func(out *float64, w *%s, x *float64, rows, n, stride int)", v.elem()))
	Doc(name + " " + doc)
	Pragma("noescape")
	out, x, n := pointer("out"), pointer("x"), pointer("n")
	v.rowGroups(func(label string, rows []Register) { body(out, x, n, label, rows) })
	VZEROUPPER()
	RET()
}

// rowProducts emits out += W·x.
func rowProducts(v variant) {
	v.product("rowProducts", "adds the product of each row and x to an element of out.", func(out, x, n Register, label string, rows []Register) {
		sums := v.longSums(label+"Sum", n, len(rows), 8/len(rows), v.tail, func(i Register, k int, part mask, acc []VecVirtual) {
			factor := v.real().load(v.real().at(x, i, k), part)
			for r, row := range rows {
				v.fma(acc[r], factor, v.load(v.at(row, i, k), part))
			}
		})
		for r, s := range sums {
			m := Mem{Base: out, Disp: 8 * r}
			total := v.across(s)
			VADDSD(m, total, total)
			VMOVSD(total, m)
		}
		ADDQ(Imm(uint64(8*len(rows))), out)
	})
}

// columnProducts emits out += Wᵀ·x.
func columnProducts(v variant) {
	v.product("columnProducts", "adds each row, times its element of x, to out.", func(out, x, n Register, label string, rows []Register) {
		factors := make([]VecVirtual, len(rows))
		for r := range rows {
			factors[r] = v.real().fill(Mem{Base: x, Disp: 8 * r})
		}
		i := GP64()
		v.loop(label+"Add", n, i, 2, v.tail, func(k int, part mask) {
			m := v.real().at(out, i, k)
			sum := v.real().load(m, part)
			for r, row := range rows {
				v.fma(sum, factors[r], v.load(v.at(row, i, k), part))
			}
			v.real().store(sum, m, part)
		})
		ADDQ(Imm(uint64(8*len(rows))), x)
	})
}

// addOuter emits the sum of two matrices and an outer product, for rows that lie side by
// side in memory.
func addOuter(v variant) {
	name := "addOuter" + v.suffix()
	TEXT(name, NOSPLIT, fmt.Sprintf("func(out, x, y *%s, u, v *float64, scale, byY, along float64, rows, n int)", v.elem()))
	Doc(name + ": out = scale·x + byY·y + along·u·vᵀ.")
	Pragma("noescape")
	arrays := []Register{pointer("out"), pointer("x"), pointer("y")}
	left, right, rows, n, i := pointer("u"), pointer("v"), pointer("rows"), pointer("n"), GP64()
	scale, byY, along := v.real().constant("scale"), v.real().constant("byY"), v.real().constant("along")
	Label("row")
	factor := v.real().fill(Mem{Base: left})
	v.real().mul(factor, factor, along)
	v.loop("elements", n, i, 2, v.tail, func(k int, part mask) {
		sum := v.load(v.at(arrays[1], i, k), part)
		v.mul(sum, sum, scale)
		v.fma(sum, byY, v.load(v.at(arrays[2], i, k), part))
		v.fma(sum, factor, v.real().load(v.real().at(right, i, k), part))
		v.storeRounded(sum, v.at(arrays[0], i, k), part)
	})
	for _, a := range arrays {
		LEAQ(Mem{Base: a, Index: n, Scale: uint8(v.bytes)}, a)
	}
	ADDQ(Imm(8), left)
	DECQ(rows)
	JNE(LabelRef("row"))
	VZEROUPPER()
	RET()
}
