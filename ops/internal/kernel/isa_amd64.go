//go:build amd64 && !purego && !noasm

package kernel

import (
	"os"
	"unsafe"

	"github.com/gorgonorm/norm/internal/instructions"
)

// isa is the instruction set in use. The environment variable NORM_ISA lowers
// it to one of isaNames, which shows whether a fault is in the assembly.
var isa = lower(instructions.Best(), os.Getenv("NORM_ISA"))

func lower(isa int, name string) int {
	for i, n := range isaNames {
		if n == name {
			return min(i, isa)
		}
	}
	return isa
}

// f32 and f64 return a pointer to the elements of x, where T is that type.
func f32[T Float](x []T) *float32 { return (*float32)(unsafe.Pointer(unsafe.SliceData(x))) }
func f64[T Float](x []T) *float64 { return (*float64)(unsafe.Pointer(unsafe.SliceData(x))) }
