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
	case cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL && cpu.X86.HasFMA && cpu.X86.HasBMI2:
		return avx512
	case cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasBMI2:
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

// f32 and f64 point to the elements of data of that type.
func f32[T Float](x []T) *float32 { return (*float32)(unsafe.Pointer(unsafe.SliceData(x))) }
func f64[T Float](x []T) *float64 { return (*float64)(unsafe.Pointer(unsafe.SliceData(x))) }
