package kernel

import "unsafe"

// The instruction sets that there is assembly for. Every one has what the ones
// before it have.
const (
	generic = iota // the Go definitions
	avx2           // AVX2, FMA and BMI2: registers of 32 bytes
	avx512         // AVX-512 F, DQ and VL: 64 bytes
)

var isaNames = [...]string{"generic", "avx2", "avx512"}

// is32 says whether T is float32.
func is32[T Float]() bool { return unsafe.Sizeof(T(0)) == 4 }
