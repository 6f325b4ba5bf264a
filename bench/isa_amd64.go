//go:build amd64 && !purego && !noasm

package main

import "golang.org/x/sys/cpu"

// bestISA returns the instruction set that the kernels choose on this processor. The
// conditions are those of the package kernel.
func bestISA() string {
	switch {
	case cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL && cpu.X86.HasFMA && cpu.X86.HasBMI2:
		return "avx512"
	case cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasBMI2:
		return "avx2"
	}
	return "generic"
}
