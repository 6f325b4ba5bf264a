// Package instructions names the instruction sets of the kernels, and finds the best one
// of this processor.
package instructions

// The instruction sets that there is assembly for. Each includes the ones before it.
const (
	Generic = iota // the Go definitions
	AVX2           // AVX2, FMA and BMI2: registers of 32 bytes
	AVX512         // AVX-512 F, DQ and VL: 64 bytes
)

// Names are the names of the sets in the environment variable NORM_ISA.
var Names = [...]string{"generic", "avx2", "avx512"}
