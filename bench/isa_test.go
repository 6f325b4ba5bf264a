package main

import (
	"io"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestISASuffix(t *testing.T) {
	for isa, want := range map[string]string{"": "", "avx512": "", "avx2": "-avx2", "generic": "-generic", "x": ""} {
		require.Equal(t, want, isaSuffix(isa))
	}
}

// What the kernels would ignore is refused.
func TestISAInUse(t *testing.T) {
	for _, c := range []struct{ best, given, want string }{
		{"avx512", "", "avx512"}, {"avx512", "avx512", "avx512"}, {"avx512", "avx2", "avx2"}, {"avx512", "generic", "generic"},
		{"avx2", "", "avx2"}, {"avx2", "avx2", "avx2"}, {"avx2", "avx512", ""}, {"generic", "generic", "generic"},
		{"generic", "avx2", ""}, {"avx512", "AVX2", ""}, {"avx512", "bogus", ""},
	} {
		got, err := isaInUse(c.best, c.given)
		require.Equal(t, c.want, got, "%v", c)
		require.Equal(t, c.want == "", err != nil, "%v", c)
	}
	defer func(err error) { isaErr = err }(isaErr)
	_, isaErr = isaInUse("avx2", "bogus")
	for _, args := range [][]string{{}, {"-list"}, {"-rounds", "1", "-out", filepath.Join(t.TempDir(), "x")}} {
		require.EqualError(t, run(args, io.Discard, io.Discard), "NORM_ISA=bogus has no effect here: the kernels use avx2")
	}
	require.NoError(t, run([]string{"-table", linesFile}, io.Discard, io.Discard), "lines may be read with any")
}
