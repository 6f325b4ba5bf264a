package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/gorgonorm/norm/internal/instructions"
)

// isaInUse returns what the kernels use where best is what the processor has, if
// NORM_ISA is as given. The kernels ignore what they do not know or have; here that
// is an error, as figures would be called what they are not.
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

// isa is the instruction set in use, or why there is none to speak of.
var isa, isaErr = isaInUse(instructions.Names[instructions.Best()], os.Getenv("NORM_ISA"))

// systemSuffix tells apart what is measured with other kernels and another BLAS.
var systemSuffix = isaSuffix(os.Getenv("NORM_ISA"))

// isaSuffixes are those of the instruction sets that NORM_ISA lowers to.
var isaSuffixes = []string{"-avx2", "-generic"}

func isaSuffix(isa string) string {
	if s := "-" + isa; slices.Contains(isaSuffixes, s) {
		return s
	}
	return ""
}
