package main

import (
	"fmt"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A function of package kernel that has a loop here. params and results are in
// the order of the Go definition; see the letters below.
type function struct {
	name    string
	file    string
	doc     string
	params  []param
	results []string
	body    func(v variant, f function)
}

// A param is a slice of data (T) or of float64 (D), a float64 (f), or the block
// of a reduction over columns (b).
type param struct {
	name string
	kind byte
}

// ps parses "T:y T:x f:m".
func ps(s string) (list []param) {
	for _, f := range strings.Fields(s) {
		list = append(list, param{f[2:], f[0]})
	}
	return list
}

var files = []string{"runs", "columns", "rows"}

var functions = []function{
	{"sum", "runs", "s = Σ x", ps("T:x"), []string{"s"}, sum},
	{"centred", "runs", "d = Σ(x − m), q = Σ(x − m)²", ps("T:x f:m"), []string{"d", "q"}, centred},
	{"dot", "runs", "s = Σ a·b", ps("T:a T:b"), []string{"s"}, dot},
	{"normalize", "runs", "y = ((x − hi) − lo)·scale + shift", ps("T:y T:x f:hi f:lo f:scale f:shift"), nil, normalize},
	{"normalizeAffine", "runs", "y = ((x − hi) − lo)·rstd·gamma + beta", ps("T:y T:x T:gamma T:beta f:hi f:lo f:rstd"), nil, normalizeAffine},
	{"normGradSums", "runs", "s = Σ dy, p = Σ dy·((x − hi) − lo)", ps("T:x T:dy f:hi f:lo"), []string{"s", "p"}, normGradSums},
	{"normGrad", "runs", "dx = scale·((dy − a) − ((x − hi) − lo)·b)", ps("T:dx T:x T:dy f:hi f:lo f:scale f:a f:b"), nil, normGrad},
	{"affineGradSums", "runs", "x̂ = ((x − hi) − lo)·rstd, u = dy·gamma; dgamma += dy·x̂, dbeta += dy, s = Σ u, p = Σ u·x̂",
		ps("D:dgamma D:dbeta T:x T:gamma T:dy f:hi f:lo f:rstd"), []string{"s", "p"}, affineGradSums},
	{"affineGrad", "runs", "x̂ = ((x − hi) − lo)·rstd; dx = rstd·((dy·gamma − a) − x̂·b)",
		ps("T:dx T:x T:gamma T:dy f:hi f:lo f:rstd f:a f:b"), nil, affineGrad},
	{"scaleRun", "runs", "w = v·a", ps("T:w T:v f:a"), nil, scaleRun},
	{"scaleGrad", "runs", "dv = a·(dw − v·b)", ps("T:dv T:v T:dw f:a f:b"), nil, scaleGrad},

	{"columnSums", "columns", "s[j] += Σ x[i,j]", ps("D:s T:x b:b"), nil, columnSums},
	{"columnCentred", "columns", "d[j] += Σ(x[i,j] − m[j]), q[j] += Σ(x[i,j] − m[j])²", ps("D:d D:q T:x b:b D:m"), nil, columnCentred},
	{"columnDots", "columns", "s[j] += Σ a[i,j]·c[i,j]", ps("D:s T:a T:c b:b"), nil, columnDots},
	{"columnNormGradSums", "columns", "s[j] += Σ dy[i,j], p[j] += Σ dy[i,j]·((x[i,j] − hi[j]) − lo[j])",
		ps("D:s D:p T:x T:dy b:b D:hi D:lo"), nil, columnNormGradSums},
	{"normalizeRow", "columns", "y = ((x − hi) − lo)·scale + shift", ps("T:y T:x D:hi D:lo D:scale D:shift"), nil, normalizeRow},
	{"normGradRow", "columns", "dx = scale·((dy − a) − ((x − hi) − lo)·b)", ps("T:dx T:x T:dy D:hi D:lo D:scale D:a D:b"), nil, normGradRow},
	{"scaleRow", "columns", "w = v·a + c", ps("T:w T:v D:a D:c"), nil, scaleRow},
	{"scaleGradRow", "columns", "dv = a·(dw − v·b)", ps("T:dv T:v T:dw D:a D:b"), nil, scaleGradRow},
}

// block says whether the function reduces over the columns of a block.
func (f function) block() bool {
	for _, p := range f.params {
		if p.kind == 'b' {
			return true
		}
	}
	return false
}

// generate emits the assembly of one file for all variants.
func generate(file string) {
	ConstraintExpr("amd64,!purego,!noasm")
	if file == "rows" {
		for _, v := range variants {
			layerNormRows(v)
			if v.bytes == 4 {
				layerNormRowsSingle(single{v})
			}
		}
	}
	for _, f := range functions {
		if f.file != file {
			continue
		}
		for _, v := range variants {
			TEXT(f.name+v.suffix(), NOSPLIT, f.signature(v))
			Doc(f.describe(v))
			Pragma("noescape")
			f.body(v, f)
			VZEROUPPER()
			RET()
		}
	}
	Generate()
}

func (f function) describe(v variant) string {
	if f.block() {
		return fmt.Sprintf("%s%s: %s for n columns, a multiple of %d, of count rows that are stride bytes apart.",
			f.name, v.suffix(), f.doc, v.lanes())
	}
	return fmt.Sprintf("%s%s: %s for n elements, a multiple of %d.", f.name, v.suffix(), f.doc, v.lanes())
}

// signature is the Go signature of a variant: pointers and then the length.
func (f function) signature(v variant) string {
	var in, out []string
	for _, p := range f.params {
		switch p.kind {
		case 'T':
			in = append(in, p.name+" *"+v.elem())
		case 'D':
			in = append(in, p.name+" *float64")
		case 'f':
			in = append(in, p.name+" float64")
		}
	}
	in = append(in, "n int")
	if f.block() {
		in = append(in, "count int", "stride int")
	}
	for _, r := range f.results {
		out = append(out, r+" float64")
	}
	return fmt.Sprintf("func(%s) (%s)", strings.Join(in, ", "), strings.Join(out, ", "))
}

// pointers loads the parameters that are slices.
func (f function) pointers() map[string]Register {
	m := map[string]Register{}
	for _, p := range f.params {
		if p.kind == 'T' || p.kind == 'D' {
			m[p.name] = Load(Param(p.name), GP64())
		}
	}
	return m
}

// run emits a loop over n elements, unrolled for several vectors, and a second
// one for single vectors. body gets the number of the accumulator to use and
// the address of a vector behind a pointer.
func (f function) run(v variant, unroll int, body func(k int, data, double func(name string) Mem)) {
	p := f.pointers()
	n := Load(Param("n"), GP64())
	i := GP64()
	XORQ(i, i)
	step := func(count int) {
		for k := range count {
			body(k,
				func(name string) Mem { return v.at(p[name], i, v.bytes, k) },
				func(name string) Mem { return v.at(p[name], i, 8, k) })
		}
		ADDQ(Imm(uint64(count*v.lanes())), i)
	}
	left := GP64()
	if unroll > 1 {
		Label("unrolled")
		MOVQ(n, left)
		SUBQ(i, left)
		CMPQ(left, Imm(uint64(unroll*v.lanes())))
		JL(LabelRef("single"))
		step(unroll)
		JMP(LabelRef("unrolled"))
	}
	Label("single")
	CMPQ(i, n)
	JGE(LabelRef("done"))
	step(1)
	JMP(LabelRef("single"))
	Label("done")
}

// centre returns (x − hi) − lo.
func centre(x, hi, lo VecVirtual) VecVirtual {
	VSUBPD(hi, x, x)
	VSUBPD(lo, x, x)
	return x
}

func sum(v variant, f function) {
	acc := v.zeros(4)
	f.run(v, 4, func(k int, data, _ func(string) Mem) {
		VADDPD(v.load(data("x")), acc[k], acc[k])
	})
	v.total(acc, 0)
}

func centred(v variant, f function) {
	m := v.constant("m")
	d, q := v.zeros(4), v.zeros(4)
	f.run(v, 4, func(k int, data, _ func(string) Mem) {
		x := v.load(data("x"))
		VSUBPD(m, x, x)
		VADDPD(x, d[k], d[k])
		VFMADD231PD(x, x, q[k])
	})
	v.total(d, 0)
	v.total(q, 1)
}

func dot(v variant, f function) {
	acc := v.zeros(4)
	f.run(v, 4, func(k int, data, _ func(string) Mem) {
		VFMADD231PD(v.load(data("a")), v.load(data("b")), acc[k])
	})
	v.total(acc, 0)
}

func normalize(v variant, f function) {
	hi, lo, scale, shift := v.constant("hi"), v.constant("lo"), v.constant("scale"), v.constant("shift")
	f.run(v, 4, func(_ int, data, _ func(string) Mem) {
		x := centre(v.load(data("x")), hi, lo)
		VFMADD213PD(shift, scale, x)
		v.store(x, data("y"))
	})
}

func normalizeAffine(v variant, f function) {
	hi, lo, rstd := v.constant("hi"), v.constant("lo"), v.constant("rstd")
	f.run(v, 2, func(_ int, data, _ func(string) Mem) {
		x := centre(v.load(data("x")), hi, lo)
		VMULPD(rstd, x, x)
		VFMADD213PD(v.load(data("beta")), v.load(data("gamma")), x)
		v.store(x, data("y"))
	})
}

func normGradSums(v variant, f function) {
	hi, lo := v.constant("hi"), v.constant("lo")
	s, p := v.zeros(4), v.zeros(4)
	f.run(v, 4, func(k int, data, _ func(string) Mem) {
		x := centre(v.load(data("x")), hi, lo)
		dy := v.load(data("dy"))
		VADDPD(dy, s[k], s[k])
		VFMADD231PD(x, dy, p[k])
	})
	v.total(s, 0)
	v.total(p, 1)
}

func normGrad(v variant, f function) {
	hi, lo, scale, a, b := v.constant("hi"), v.constant("lo"), v.constant("scale"), v.constant("a"), v.constant("b")
	f.run(v, 2, func(_ int, data, _ func(string) Mem) {
		x := centre(v.load(data("x")), hi, lo)
		dy := v.load(data("dy"))
		VSUBPD(a, dy, dy)
		VFNMADD231PD(b, x, dy)
		VMULPD(scale, dy, dy)
		v.store(dy, data("dx"))
	})
}

func affineGradSums(v variant, f function) {
	hi, lo, rstd := v.constant("hi"), v.constant("lo"), v.constant("rstd")
	s, p := v.zeros(2), v.zeros(2)
	f.run(v, 2, func(k int, data, double func(string) Mem) {
		x := centre(v.load(data("x")), hi, lo)
		VMULPD(rstd, x, x)
		dy := v.load(data("dy"))
		db := v.loadDouble(double("dbeta"))
		VADDPD(dy, db, db)
		VMOVUPD(db, double("dbeta"))
		dg := v.loadDouble(double("dgamma"))
		VFMADD231PD(x, dy, dg)
		VMOVUPD(dg, double("dgamma"))
		VMULPD(v.load(data("gamma")), dy, dy)
		VADDPD(dy, s[k], s[k])
		VFMADD231PD(x, dy, p[k])
	})
	v.total(s, 0)
	v.total(p, 1)
}

func affineGrad(v variant, f function) {
	hi, lo, rstd, a, b := v.constant("hi"), v.constant("lo"), v.constant("rstd"), v.constant("a"), v.constant("b")
	f.run(v, 2, func(_ int, data, _ func(string) Mem) {
		x := centre(v.load(data("x")), hi, lo)
		VMULPD(rstd, x, x)
		u := v.load(data("dy"))
		VMULPD(v.load(data("gamma")), u, u)
		VSUBPD(a, u, u)
		VFNMADD231PD(b, x, u)
		VMULPD(rstd, u, u)
		v.store(u, data("dx"))
	})
}

func scaleRun(v variant, f function) {
	a := v.constant("a")
	f.run(v, 4, func(_ int, data, _ func(string) Mem) {
		x := v.load(data("v"))
		VMULPD(a, x, x)
		v.store(x, data("w"))
	})
}

func scaleGrad(v variant, f function) {
	a, b := v.constant("a"), v.constant("b")
	f.run(v, 4, func(_ int, data, _ func(string) Mem) {
		dw := v.load(data("dw"))
		VFNMADD231PD(b, v.load(data("v")), dw)
		VMULPD(a, dw, dw)
		v.store(dw, data("dv"))
	})
}

func normalizeRow(v variant, f function) {
	f.run(v, 2, func(_ int, data, double func(string) Mem) {
		x := v.load(data("x"))
		VSUBPD(double("hi"), x, x)
		VSUBPD(double("lo"), x, x)
		scale := v.loadDouble(double("scale"))
		VFMADD213PD(double("shift"), scale, x)
		v.store(x, data("y"))
	})
}

func normGradRow(v variant, f function) {
	f.run(v, 2, func(_ int, data, double func(string) Mem) {
		x := v.load(data("x"))
		VSUBPD(double("hi"), x, x)
		VSUBPD(double("lo"), x, x)
		dy := v.load(data("dy"))
		VSUBPD(double("a"), dy, dy)
		VFNMADD231PD(double("b"), x, dy)
		VMULPD(double("scale"), dy, dy)
		v.store(dy, data("dx"))
	})
}

func scaleRow(v variant, f function) {
	f.run(v, 2, func(_ int, data, double func(string) Mem) {
		x := v.load(data("v"))
		VFMADD213PD(double("c"), v.loadDouble(double("a")), x)
		v.store(x, data("w"))
	})
}

func scaleGradRow(v variant, f function) {
	f.run(v, 2, func(_ int, data, double func(string) Mem) {
		dw := v.load(data("dw"))
		x := v.load(data("v"))
		VFNMADD231PD(double("b"), x, dw)
		VMULPD(double("a"), dw, dw)
		v.store(dw, data("dv"))
	})
}
