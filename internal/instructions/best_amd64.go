//go:build amd64 && !purego && !noasm

package instructions

import "golang.org/x/sys/cpu"

// Best returns the best set that this processor has.
func Best() int {
	switch {
	case cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL && cpu.X86.HasFMA && cpu.X86.HasBMI2:
		return AVX512
	case cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasBMI2:
		return AVX2
	}
	return Generic
}
