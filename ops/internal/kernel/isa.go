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

// sizeOf is how many bytes an element has, and is32 says whether T is float32.
func sizeOf[T Float]() int { return int(unsafe.Sizeof(T(0))) }
func is32[T Float]() bool  { return sizeOf[T]() == 4 }
