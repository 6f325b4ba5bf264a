package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/gorgonorm/norm/internal/instructions"
)

// isaInUse returns the instruction set that the kernels use, from the best one that the
// processor has and the value of NORM_ISA. The kernels ignore a value that they do not
// know or the processor does not have. Here that is an error, as figures would go by the
// wrong name.
func isaInUse(best, given string) (string, error) {
	if given == "" {
		return best, nil
	}
	isas := instructions.Names[:]
	if at := slices.Index(isas, given); at < 0 || at > slices.Index(isas, best) {
		return "", fmt.Errorf("NORM_ISA=%s has no effect here: the kernels use %s", given, best)
	}
	return given, nil
}

// isa is the instruction set in use. isaErr is not nil if NORM_ISA has no effect.
var isa, isaErr = isaInUse(instructions.Names[instructions.Best()], os.Getenv("NORM_ISA"))

// systemSuffix tells apart systems that are measured with other kernels and another BLAS.
var systemSuffix = isaSuffix(os.Getenv("NORM_ISA"))

// isaSuffixes are the suffixes for the instruction sets that NORM_ISA lowers to.
var isaSuffixes = []string{"-avx2", "-generic"}

func isaSuffix(isa string) string {
	if s := "-" + isa; slices.Contains(isaSuffixes, s) {
		return s
	}
	return ""
}
