package kernel

import (
	"unsafe"

	"github.com/gorgonorm/norm/internal/instructions"
)

// The instruction sets, from the lowest to the highest.
const (
	generic = instructions.Generic // the Go definitions
	avx2    = instructions.AVX2
	avx512  = instructions.AVX512
)

var isaNames = instructions.Names

// sizeOf is the size of an element in bytes, and is32 says whether T is float32.
func sizeOf[T Float]() int { return int(unsafe.Sizeof(T(0))) }
func is32[T Float]() bool  { return sizeOf[T]() == 4 }
