package main

import (
	"slices"

	. "github.com/mmcloughlin/avo/reg"
)

// A loop is the arithmetic of one pass over a tensor whose channels have
// constants and sums of their own. It says what is done with one vector of each
// operand; runs.go and columns.go make kernels of it, for channels that lie in
// runs and for channels that lie down columns.
//
// A map is in the type of the data: a few operations, each rounded. Sums are in
// float64 whatever the data, since their terms may cancel; but sums of squares along
// runs are short chains in the type of the data (see variant.sums).
type loop struct {
	name   string
	doc    string
	sums   []string // added up for each channel
	out    string   // written; empty if there are sums
	data   []string // read
	consts []string // one for each channel, of the type of the data
	short  bool     // sums along runs are short chains
	body   func(v variant, o operands)
}

// operands are the registers of one vector. The body may overwrite data, and
// leaves what is written in out.
type operands struct {
	sum, data, konst map[string]VecVirtual
	out              *VecVirtual
	part             mask // lanes that count in a sum
}

var loops = []loop{
	{
		name: "sums", doc: "s += Σ x",
		sums: []string{"s"}, data: []string{"x"},
		body: func(v variant, o operands) {
			v.add(o.sum["s"], o.sum["s"], o.data["x"])
		},
	},
	{
		name: "centredSums", doc: "d += Σ(x − m), q += Σ(x − m)²",
		sums: []string{"d", "q"}, data: []string{"x"}, consts: []string{"m"},
		body: func(v variant, o operands) {
			x := o.data["x"]
			v.sub(x, x, o.konst["m"])
			v.keep(x, o.part)
			v.add(o.sum["d"], o.sum["d"], x)
			v.fma(o.sum["q"], x, x)
		},
	},
	{
		name: "gradSums", doc: "s += Σ dy, p += Σ dy·(x − m), e += Σ dy²",
		sums: []string{"s", "p", "e"}, data: []string{"x", "dy"}, consts: []string{"m"},
		body: func(v variant, o operands) {
			x, dy := o.data["x"], o.data["dy"]
			v.sub(x, x, o.konst["m"])
			v.add(o.sum["s"], o.sum["s"], dy)
			v.fma(o.sum["p"], x, dy)
			v.fma(o.sum["e"], dy, dy)
		},
	},
	{
		name: "squares", doc: "q += Σ v²",
		sums: []string{"q"}, data: []string{"v"}, short: true,
		body: func(v variant, o operands) {
			v.fma(o.sum["q"], o.data["v"], o.data["v"])
		},
	},
	{
		name: "dots", doc: "q += Σ v², p += Σ v·dw",
		sums: []string{"q", "p"}, data: []string{"v", "dw"},
		body: func(v variant, o operands) {
			v.fma(o.sum["q"], o.data["v"], o.data["v"])
			v.fma(o.sum["p"], o.data["v"], o.data["dw"])
		},
	},
	{
		name: "normalize", doc: "y = (x − m)·scale + shift",
		out: "y", data: []string{"x"}, consts: []string{"m", "scale", "shift"},
		body: func(v variant, o operands) {
			x := o.data["x"]
			v.sub(x, x, o.konst["m"])
			v.affine(x, o.konst["scale"], o.konst["shift"])
			*o.out = x
		},
	},
	{
		name: "normGrad", doc: "dx = ((dy·gamma − a) − (x − m)·b)·scale",
		out: "dx", data: []string{"x", "dy"}, consts: []string{"m", "scale", "gamma", "a", "b"},
		body: func(v variant, o operands) {
			x, dy := o.data["x"], o.data["dy"]
			v.sub(x, x, o.konst["m"])
			v.reduce(dy, o.konst["gamma"], o.konst["a"])
			v.fnma(dy, x, o.konst["b"])
			v.mul(dy, dy, o.konst["scale"])
			*o.out = dy
		},
	},
	{
		name: "scaled", doc: "w = v·scale + shift",
		out: "w", data: []string{"v"}, consts: []string{"scale", "shift"},
		body: func(v variant, o operands) {
			v.affine(o.data["v"], o.konst["scale"], o.konst["shift"])
			*o.out = o.data["v"]
		},
	},
	{
		// The difference may be a small part of dw, so b has twice the digits of the data:
		// low is what b loses when it is rounded.
		name: "scaleGrad", doc: "dv = (dw − v·(b + low))·scale",
		out: "dv", data: []string{"v", "dw"}, consts: []string{"scale", "b", "low"},
		body: func(v variant, o operands) {
			dw := o.data["dw"]
			v.fnma(dw, o.data["v"], o.konst["b"])
			v.fnma(dw, o.data["v"], o.konst["low"])
			v.mul(dw, dw, o.konst["scale"])
			*o.out = dw
		},
	},
}

// arrays are the parameters that are arrays, in the order of the Go function.
func (l loop) arrays() []string {
	return slices.Concat(l.sums, l.Data(), l.consts)
}

// is64 says whether an array is of float64 whatever the data.
func (l loop) is64(array string) bool {
	return slices.Contains(l.sums, array)
}
