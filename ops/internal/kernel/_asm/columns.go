package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// reduce emits a reduction down columns: strips of neighbouring vectors, wide
// ones first, each with its sums in registers from the first row to the last.
// begin gets the address of a vector of constants or sums and returns what to
// do with each row, and what to do at the end.
func (f function) reduce(v variant, wide int, begin func(k int, double func(name string) Mem) (row func(data func(name string) Mem), end func())) {
	p := f.pointers()
	n := Load(Param("n"), GP64())
	count := Load(Param("count"), GP64())
	stride := Load(Param("stride"), GP64())
	j := GP64() // the first column of the strip
	XORQ(j, j)

	strip := func(width int, name string) {
		rows := make([]func(func(string) Mem), width)
		ends := make([]func(), width)
		for k := range width {
			rows[k], ends[k] = begin(k, func(name string) Mem { return v.at(p[name], j, 8, k) })
		}
		at := map[string]Register{} // where the row begins
		for _, q := range f.params {
			if q.kind == 'T' {
				r := GP64()
				LEAQ(v.at(p[q.name], j, v.bytes, 0), r)
				at[q.name] = r
			}
		}
		left := GP64()
		MOVQ(count, left)
		Label(name + "Row")
		for k := range width {
			rows[k](func(name string) Mem { return v.at(at[name], nil, v.bytes, k) })
		}
		for _, q := range f.params {
			if q.kind == 'T' {
				ADDQ(stride, at[q.name])
			}
		}
		DECQ(left)
		JNZ(LabelRef(name + "Row"))
		for _, end := range ends {
			end()
		}
		ADDQ(Imm(uint64(width*v.lanes())), j)
	}

	todo := GP64()
	Label("wide")
	MOVQ(n, todo)
	SUBQ(j, todo)
	CMPQ(todo, Imm(uint64(wide*v.lanes())))
	JL(LabelRef("narrow"))
	strip(wide, "wide")
	JMP(LabelRef("wide"))
	Label("narrow")
	CMPQ(j, n)
	JGE(LabelRef("done"))
	strip(1, "narrow")
	JMP(LabelRef("narrow"))
	Label("done")
}

// running loads sums, and returns them with a function that writes them back.
func (v variant) running(m Mem) (VecVirtual, func()) {
	r := v.loadDouble(m)
	return r, func() { VMOVUPD(r, m) }
}

func columnSums(v variant, f function) {
	f.reduce(v, 8, func(_ int, double func(string) Mem) (func(func(string) Mem), func()) {
		s, end := v.running(double("s"))
		return func(data func(string) Mem) { VADDPD(v.load(data("x")), s, s) }, end
	})
}

func columnCentred(v variant, f function) {
	f.reduce(v, 4, func(_ int, double func(string) Mem) (func(func(string) Mem), func()) {
		d, endD := v.running(double("d"))
		q, endQ := v.running(double("q"))
		m := v.loadDouble(double("m"))
		return func(data func(string) Mem) {
			x := v.load(data("x"))
			VSUBPD(m, x, x)
			VADDPD(x, d, d)
			VFMADD231PD(x, x, q)
		}, func() { endD(); endQ() }
	})
}

func columnDots(v variant, f function) {
	f.reduce(v, 4, func(_ int, double func(string) Mem) (func(func(string) Mem), func()) {
		s, end := v.running(double("s"))
		return func(data func(string) Mem) { VFMADD231PD(v.load(data("a")), v.load(data("c")), s) }, end
	})
}

func columnNormGradSums(v variant, f function) {
	wide := 2
	if v.isa == "AVX512" {
		wide = 4
	}
	f.reduce(v, wide, func(_ int, double func(string) Mem) (func(func(string) Mem), func()) {
		s, endS := v.running(double("s"))
		p, endP := v.running(double("p"))
		hi, lo := v.loadDouble(double("hi")), v.loadDouble(double("lo"))
		return func(data func(string) Mem) {
			x := centre(v.load(data("x")), hi, lo)
			dy := v.load(data("dy"))
			VADDPD(dy, s, s)
			VFMADD231PD(x, dy, p)
		}, func() { endS(); endP() }
	})
}
