// Package instructions knows the instruction sets of the kernels and of this processor.
package instructions

// The sets that there is assembly for. Each has what the ones before it have.
const (
	Generic = iota // the Go definitions
	AVX2           // AVX2, FMA and BMI2: registers of 32 bytes
	AVX512         // AVX-512 F, DQ and VL: 64 bytes
)

// Names are theirs, as in the environment variable NORM_ISA.
var Names = [...]string{"generic", "avx2", "avx512"}
