// Package statefile reads safetensors files that may be damaged or hostile. A file has
// the length of the header in 8 bytes, little-endian, the header in JSON with the dtype,
// the shape and the position of each tensor, and the data.
//
// https://github.com/huggingface/safetensors
package statefile

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/gorgonorm/norm/internal/fault"
	"github.com/nlpodyssey/safetensors"
)

// MaxHeader is the largest header that is read, in bytes. It is enough for some 100,000
// tensors. The reference implementation allows 100 MB.
const MaxHeader = 16 << 20

// Entry is a tensor in a file.
type Entry struct {
	Name string
	safetensors.TensorInfo

	// Unknown is the dtype if the library does not know it, such as those of 8 bits or
	// future ones. Then DType is meaningless, and the shape is not checked.
	Unknown string
}

// Bytes returns the length of the tensor's data.
func (e Entry) Bytes() uint64 { return e.DataOffsets[1] - e.DataOffsets[0] }

// Header reads the length and the header, and returns the tensors in the order of their
// data, which follow each other without gaps in the rest of r. No name occurs twice, and
// the length of each tensor fits its shape and its dtype, if the dtype is known.
//
// Memory is allocated as bytes arrive, and not for a length that the file only claims.
//
// Errors: ErrFormat, or that of r.
func Header(r io.Reader) ([]Entry, error) {
	var prefix [8]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return nil, readError(err, "the length of the header")
	}
	n := binary.LittleEndian.Uint64(prefix[:])
	if n > MaxHeader {
		return nil, damaged("the header has %d bytes, want at most %d, or this is not a safetensors file", n, MaxHeader)
	}
	header, err := Read(r, n, "the header")
	if err != nil {
		return nil, err
	}
	entries, err := parse(header)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(
			cmp.Compare(a.DataOffsets[0], b.DataOffsets[0]),
			cmp.Compare(a.DataOffsets[1], b.DataOffsets[1]),
			cmp.Compare(a.Name, b.Name))
	})
	return entries, checkPlaces(entries)
}

// Read reads n bytes into memory that grows with the bytes that have arrived. what is for
// the error.
func Read(r io.Reader, n uint64, what string) ([]byte, error) {
	const first = 1 << 18
	var data []byte
	for have := 0; uint64(have) < n; have = len(data) {
		more := min(n-uint64(have), uint64(max(have, first)))
		data = slices.Grow(data, int(more))[:have+int(more)]
		if _, err := io.ReadFull(r, data[have:]); err != nil {
			return nil, readError(err, what)
		}
	}
	return data, nil
}

// Skip reads n bytes and discards them.
func Skip(r io.Reader, n uint64, what string) error {
	switch {
	case n == 0: // io.CopyN would take a buffer of 8 KiB from its pool, or a new one
		return nil
	case n > math.MaxInt64:
		return damaged("%s has %d bytes", Shown(what), n)
	}
	if _, err := io.CopyN(io.Discard, r, int64(n)); err != nil {
		return readError(err, what)
	}
	return nil
}

// End checks that r has nothing more.
func End(r io.Reader) error {
	switch n, err := io.ReadFull(r, make([]byte, 1)); {
	case n > 0:
		return damaged("there is something after the data of the last tensor")
	case err != io.EOF:
		return readError(err, "the end")
	}
	return nil
}

// readError distinguishes a file that is too short from a reader that fails.
func readError(err error, what string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("the file ends inside %s", Shown(what))
	}
	return fmt.Errorf("norm: load: %s: %w", Shown(what), err)
}

func damaged(format string, args ...any) error {
	return fault.New(fault.ErrFormat, "load", "%s", cut(fmt.Sprintf(format, args...), 400))
}

// Shown returns a text from a file as errors show it: shortened, and in quotes if it is
// empty or not all printable.
func Shown(text string) string {
	text = cut(text, 200)
	if q := strconv.Quote(text); text == "" || len(q) != len(text)+2 {
		return q
	}
	return text
}

// cut shortens a text that is longer than those of any sound file.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

// checkPlaces checks that the tensors follow each other and have the lengths that their
// shapes need.
func checkPlaces(entries []Entry) error {
	end := uint64(0)
	for _, e := range entries {
		begin := e.DataOffsets[0]
		if begin != end || e.DataOffsets[1] < begin {
			return damaged("the data of %s are at %d, want them to follow those before, from %d", Shown(e.Name), e.DataOffsets, end)
		}
		end = e.DataOffsets[1]
		if e.Unknown != "" {
			continue
		}
		if n, ok := size(e.Shape, e.DType.Size()); !ok || n != e.Bytes() {
			return damaged("%s has %d bytes for a %v %v", Shown(e.Name), e.Bytes(), e.DType, e.Shape)
		}
	}
	return nil
}

// size returns the number of bytes of a tensor, and false if it overflows.
func size(shape []uint64, element uint64) (uint64, bool) {
	n, zero := element, slices.Contains(shape, 0)
	for _, s := range shape {
		high, low := bits.Mul64(n, s)
		if high > 0 && !zero {
			return 0, false
		}
		n = low
	}
	return n, true
}
