package opcall_test

import (
	"hash"
	"testing"

	"github.com/gorgonorm/norm/internal/opcall"
	"github.com/stretchr/testify/require"
)

// written is what an op writes.
type written string

func (w written) WriteHash(h hash.Hash) { h.Write([]byte(w)) }

// Hashcodes are those of FNV-1a in 32 bits, here test vectors of its authors.
func TestHashcode(t *testing.T) {
	for text, want := range map[written]uint32{"": 0x811c9dc5, "a": 0xe40c292c, "foobar": 0xbf9cf968} {
		require.Equal(t, want, opcall.Hashcode(text), text)
	}
}
