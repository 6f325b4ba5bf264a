package kernel

// The instruction sets that there is assembly for. Every one has what the ones
// before it have.
const (
	generic = iota // the Go definitions
	avx2           // AVX2 and FMA: 4 float64 in a register
	avx512         // AVX-512 F, DQ and VL: 8
)

var isaNames = [...]string{"generic", "avx2", "avx512"}
