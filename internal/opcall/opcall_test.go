package opcall_test

import (
	"hash"
	"testing"

	"github.com/gorgonorm/norm/internal/opcall"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
)

// written is an op whose hash is that of a text.
type written string

func (w written) WriteHash(h hash.Hash) { h.Write([]byte(w)) }

// Hashcode is FNV-1a in 32 bits. These are test vectors of its authors.
func TestHashcode(t *testing.T) {
	for text, want := range map[written]uint32{"": 0x811c9dc5, "a": 0xe40c292c, "foobar": 0xbf9cf968} {
		require.Equal(t, want, opcall.Hashcode(text), text)
	}
}

// flags is an op whose DiffWRT always returns wrt.
type flags struct {
	G.SDOp
	wrt []bool
}

func (f flags) DiffWRT(int) []bool { return f.wrt }

// DiffWRT returns one flag for each input, even if the op returns more.
func TestDiffWRTOfMoreThanTheInputs(t *testing.T) {
	wrt, err := opcall.DiffWRT(flags{wrt: []bool{true, false, true}}, 2)
	require.NoError(t, err)
	require.Equal(t, []bool{true, false}, wrt)
}
