package statefile

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// headed returns a header preceded by its length.
func headed(header string) *strings.Reader {
	return strings.NewReader(string(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))) + header)
}

// The tensors come in the order of their data, and those without data in the order of
// their names.
func TestHeaderSorts(t *testing.T) {
	entries, err := Header(headed(`{
		"Last":{"dtype":"U8","shape":[3],"data_offsets":[2,5]},
		"b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]},
		"a":{"dtype":"U8","shape":[0],"data_offsets":[2,2]},
		"first":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`))
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
	}
	require.Equal(t, []string{"first", "a", "b", "Last"}, names)
}

// An axis of 0 makes a tensor empty, however long the others are.
func TestHeaderOfEmptyTensor(t *testing.T) {
	for _, shape := range []string{"[0,4294967296,4294967296]", "[4294967296,4294967296,0]"} {
		_, err := Header(headed(`{"a":{"dtype":"F32","shape":` + shape + `,"data_offsets":[0,0]}}`))
		require.NoError(t, err, shape)
	}
	_, err := Header(headed(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`))
	require.EqualError(t, err, "norm: load: a has 0 bytes for a F32 [4294967296 4294967296]", "2⁶⁶ bytes are 0 in 64 bits")
}

// More than a number of Go's readers has is damage, and not a negative number.
func TestSkipTooMuch(t *testing.T) {
	require.EqualError(t, Skip(strings.NewReader("abc"), math.MaxInt64+1, "a"), "norm: load: a has 9223372036854775808 bytes")
	require.EqualError(t, Skip(strings.NewReader("abc"), math.MaxInt64, "a"), "norm: load: the file ends inside a")
	r := strings.NewReader("abc")
	require.NoError(t, Skip(r, 2, "a"))
	require.Equal(t, 1, r.Len())
}

// Tensors follow each other without gaps, and do not overlap.
func TestHeaderOfGap(t *testing.T) {
	_, err := Header(headed(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}}`))
	require.EqualError(t, err, "norm: load: the data of b are at [3 5], want them to follow those before, from 2")
	_, err = Header(headed(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`))
	require.EqualError(t, err, "norm: load: the data of b are at [1 3], want them to follow those before, from 2")
}

// A reader that fails has not come to its end.
func TestEnd(t *testing.T) {
	require.NoError(t, End(strings.NewReader("")))
	require.EqualError(t, End(strings.NewReader("a")), "norm: load: there is something after the data of the last tensor")
	broken := errors.New("broken")
	require.ErrorIs(t, End(iotest.ErrReader(broken)), broken)
}

// What is cut is not cut inside a character. What does not print as it is comes in quotes.
func TestShown(t *testing.T) {
	require.Equal(t, strings.Repeat("a", 200), Shown(strings.Repeat("a", 200)))
	require.Equal(t, strings.Repeat("a", 200)+"...", Shown(strings.Repeat("a", 201)))
	require.Equal(t, `"a\n"`, Shown("a\n"))
	require.Equal(t, "a"+strings.Repeat("é", 99)+"...", Shown("a"+strings.Repeat("é", 150)))
}
