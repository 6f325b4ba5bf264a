package kernel

import (
	"unsafe"

	"github.com/gorgonorm/norm/internal/instructions"
)

// The instruction sets that there is assembly for.
const (
	generic = instructions.Generic // the Go definitions
	avx2    = instructions.AVX2
	avx512  = instructions.AVX512
)

var isaNames = instructions.Names

// is32 says whether T is float32.
func is32[T Float]() bool { return unsafe.Sizeof(T(0)) == 4 }
