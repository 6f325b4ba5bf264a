//go:build amd64 && !purego && !noasm

package kernel

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// useISA sets the instruction set, and returns a function that restores the one before.
func useISA(i int) (restore func()) {
	before := isa
	isa = i
	return func() { isa = before }
}

// NORM_ISA lowers the instruction set, and does not raise it above what the processor has.
func TestLower(t *testing.T) {
	for _, row := range []struct {
		best int
		name string
		want int
	}{
		{avx512, "generic", generic}, {avx512, "avx2", avx2}, {avx512, "avx512", avx512},
		{avx2, "avx512", avx2}, {generic, "avx2", generic}, {avx512, "", avx512}, {avx2, "sse", avx2},
	} {
		require.Equal(t, row.want, lower(row.best, row.name), row)
	}
}
