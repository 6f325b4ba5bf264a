package main

import (
	"slices"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"
)

// A step is a loop of local response norm over n elements that lie side by side, with
// scratch memory and arithmetic in float64.
type step struct {
	name, doc string
	arrays    []string // in the order of the parameters
	data      []string // those of the type of the data; the others are scratch
	scalars   []string
	body      func(o stepOperands)
}

// stepOperands are what a body has of one vector.
type stepOperands struct {
	variant // that of the arithmetic
	load    func(array string) VecVirtual
	store   func(array string, r VecVirtual)
	scalar  map[string]VecVirtual
}

var steps = []step{
	{
		name: "squareTerms", doc: "q = share·x²",
		arrays: []string{"q", "x"}, data: []string{"x"}, scalars: []string{"share"},
		body: func(o stepOperands) {
			x, q := o.load("x"), o.vec()
			o.mul(q, x, x)
			o.mul(q, q, o.scalar["share"])
			o.store("q", q)
		},
	},
	{
		name: "addTerms", doc: "s = a + b", arrays: []string{"s", "a", "b"},
		body: func(o stepOperands) {
			s := o.load("a")
			o.add(s, s, o.load("b"))
			o.store("s", s)
		},
	},
	{
		name: "halfPowers", doc: "base += k, power = base^−½",
		arrays: []string{"power", "base"}, scalars: []string{"k"},
		body: func(o stepOperands) {
			o.storeInverse(o.rootOfBase())
		},
	},
	{
		name: "threeQuarterPowers", doc: "base += k, power = base^−¾",
		arrays: []string{"power", "base"}, scalars: []string{"k"},
		body: func(o stepOperands) {
			root, fourth := o.rootOfBase(), o.vec()
			VSQRTPD(root, fourth)
			o.mul(root, root, fourth)
			o.storeInverse(root)
		},
	},
	{
		name: "localScale", doc: "y = x·power",
		arrays: []string{"y", "x", "power"}, data: []string{"y", "x"},
		body: func(o stepOperands) {
			x := o.load("x")
			o.mul(x, x, o.load("power"))
			o.store("y", x)
		},
	},
	{
		name: "localTerms", doc: "q = dy·x·power/base",
		arrays: []string{"q", "x", "dy", "power", "base"}, data: []string{"x", "dy"},
		body: func(o stepOperands) {
			q := o.load("dy")
			o.mul(q, q, o.load("x"))
			o.mul(q, q, o.load("power"))
			VDIVPD(o.load("base"), q, q)
			o.store("q", q)
		},
	},
	{
		name: "localGrad", doc: "dx = dy·power − factor·x·sum",
		arrays: []string{"dx", "x", "dy", "power", "sum"}, data: []string{"dx", "x", "dy"}, scalars: []string{"factor"},
		body: func(o stepOperands) {
			dx, x := o.load("dy"), o.load("x")
			o.mul(dx, dx, o.load("power"))
			o.mul(x, x, o.scalar["factor"])
			o.fnma(dx, x, o.load("sum"))
			o.store("dx", dx)
		},
	},
}

// rootOfBase adds k to base and returns its root.
func (o stepOperands) rootOfBase() VecVirtual {
	base, root := o.load("base"), o.vec()
	o.add(base, base, o.scalar["k"])
	o.store("base", base)
	VSQRTPD(base, root)
	return root
}

// storeInverse sets power to 1/x.
func (o stepOperands) storeInverse(x VecVirtual) {
	one := o.fill(float("one", 1))
	VDIVPD(x, one, x)
	o.store("power", x)
}

func localResponse(v variant) {
	for _, s := range steps {
		if slices.Contains(s.Variants(), v) {
			s.emit(v.inDouble())
		}
	}
}

func (s step) emit(v variant) {
	TEXT(s.name+v.suffix(), NOSPLIT, s.signature(v))
	Doc(s.name + v.suffix() + ": " + s.doc + ".")
	Pragma("noescape")
	p := map[string]Register{}
	for _, a := range s.arrays {
		p[a] = pointer(a)
	}
	n, i := pointer("n"), GP64()
	o := stepOperands{variant: v.real(), scalar: map[string]VecVirtual{}}
	for _, name := range s.scalars {
		o.scalar[name] = v.real().constant(name)
	}
	of := func(array string) variant {
		if s.isData(array) {
			return v
		}
		return v.real()
	}
	v.loop("elements", n, i, 2, v.tail, func(k int, part mask) {
		o.load = func(a string) VecVirtual { return of(a).load(of(a).at(p[a], i, k), part) }
		o.store = func(a string, r VecVirtual) { of(a).storeRounded(r, of(a).at(p[a], i, k), part) }
		s.body(o)
	})
	VZEROUPPER()
	RET()
}

func (s step) signature(v variant) string {
	return "func(" + strings.Join(append(s.params("*"+v.elem(), "*float64"), "n int"), ", ") + ")"
}

// params are the parameters, given the types of arrays of data and of scratch.
func (s step) params(data, scratch string) (all []string) {
	for _, a := range s.arrays {
		if s.isData(a) {
			all = append(all, a+" "+data)
		} else {
			all = append(all, a+" "+scratch)
		}
	}
	for _, name := range s.scalars {
		all = append(all, name+" float64")
	}
	return all
}

func (s step) isData(array string) bool { return slices.Contains(s.data, array) }
