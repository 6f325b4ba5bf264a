//go:build amd64 && !purego && !noasm

package kernel

import (
	"os"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// isa is the instruction set in use. The environment variable NORM_ISA lowers
// it, to one of the names above, to tell whether a fault is in the assembly.
var isa = lower(detect(), os.Getenv("NORM_ISA"))

func detect() int {
	switch {
	case cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL && cpu.X86.HasFMA:
		return avx512
	case cpu.X86.HasAVX2 && cpu.X86.HasFMA:
		return avx2
	}
	return generic
}

func lower(isa int, name string) int {
	for i, n := range isaNames {
		if n == name {
			return min(i, isa)
		}
	}
	return isa
}

// wholeVectors returns how many of n elements fill vectors.
func wholeVectors(n int) int {
	switch isa {
	case avx512:
		return n &^ 7
	case avx2:
		return n &^ 3
	}
	return 0
}

func is32[T Float]() bool {
	var x T
	return unsafe.Sizeof(x) == 4
}
