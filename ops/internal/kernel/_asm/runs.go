package main

import (
	"fmt"
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// runs emits a loop over count channels of n contiguous elements each, the next
// one pitch bytes further on.
func (l loop) runs(v variant) {
	TEXT(l.name+"Runs"+v.suffix(), NOSPLIT, l.signature(v, "n, count, pitch int"))
	Doc(fmt.Sprintf("%sRuns%s: %s, for count channels of n elements, pitch bytes apart.", l.name, v.suffix(), l.doc))
	Pragma("noescape")
	p := l.pointers()
	n := pointer("n")
	if l.out != "" {
		streamed(func(name string, past bool) { l.mapRuns(v, p, n, name, past) })
	} else {
		l.sumRuns(v, p, n)
	}
	VZEROUPPER()
	RET()
}

// channels emits a loop over channels around body, which leaves the pointers of
// the arrays as they are.
func (l loop) channels(v variant, p map[string]Register, name string, body func()) {
	Label(name + "Channel")
	body()
	pitch := pointer("pitch")
	for _, a := range l.arrays() {
		switch {
		case l.is64(a):
			ADDQ(Imm(8), p[a])
		case slices.Contains(l.consts, a):
			ADDQ(Imm(uint64(v.bytes)), p[a])
		default:
			ADDQ(pitch, p[a])
		}
	}
	DECQ(address("count"))
	JNZ(LabelRef(name + "Channel"))
}

func (l loop) sumRuns(v variant, p map[string]Register, n Register) {
	if !l.short {
		v = v.inDouble()
	}
	unroll := 4
	if !v.wide() && len(l.sums) > 2 {
		unroll = 2 // as fast, and what is left at the end of a run is less
	}
	l.channels(v, p, "sum", func() {
		konst := l.constants(v, p)
		step := func(i Register, k int, part mask, acc []VecVirtual) {
			o := operands{sum: map[string]VecVirtual{}, data: map[string]VecVirtual{}, konst: konst, part: part}
			for s, name := range l.sums {
				o.sum[name] = acc[s]
			}
			for _, d := range l.data {
				o.data[d] = v.load(v.at(p[d], i, k), part)
			}
			l.body(v, o)
		}
		var total []VecVirtual
		if l.short {
			total = v.sums("sum", n, len(l.sums), unroll, v.tail, nil, step)
		} else {
			total = v.longSums("sum", n, len(l.sums), unroll, v.tail, step)
		}
		for s, name := range l.sums {
			x := v.across(total[s])
			VADDSD(Mem{Base: p[name]}, x, x)
			VMOVSD(x, Mem{Base: p[name]})
		}
	})
}

func (l loop) mapRuns(v variant, p map[string]Register, n Register, name string, past bool) {
	i := GP64()
	l.channels(v, p, name, func() {
		konst := l.constants(v, p)
		v.loop(name, n, i, 4, v.tail, func(k int, part mask) {
			o := operands{data: map[string]VecVirtual{}, konst: konst, out: new(VecVirtual)}
			for _, d := range l.data {
				o.data[d] = v.load(v.at(p[d], i, k), part)
			}
			l.body(v, o)
			v.write(past, *o.out, v.at(p[l.out], i, k), part)
		})
	})
}

// constants loads those of a channel.
func (l loop) constants(v variant, p map[string]Register) map[string]VecVirtual {
	konst := map[string]VecVirtual{}
	for _, c := range l.consts {
		konst[c] = v.fill(Mem{Base: p[c]})
	}
	return konst
}

// streamed emits the body twice, with ordinary stores and with stores past the
// caches, which the parameter stream asks for.
func streamed(body func(name string, past bool)) {
	CMPB(address("stream"), Imm(0))
	JNE(LabelRef("streaming"))
	body("plain", false)
	VZEROUPPER()
	RET()
	Label("streaming")
	body("stream", true)
	SFENCE()
}

func (l loop) pointers() map[string]Register {
	p := map[string]Register{}
	for _, a := range l.arrays() {
		p[a] = pointer(a)
	}
	return p
}

func (l loop) signature(v variant, rest string) string {
	s := "func("
	for _, a := range l.arrays() {
		if l.is64(a) {
			s += a + " *float64, "
		} else {
			s += a + " *" + v.elem() + ", "
		}
	}
	s += rest
	if l.out != "" {
		s += ", stream bool"
	}
	return s + ")"
}
