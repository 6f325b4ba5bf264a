// Package statefile reads safetensors files that nobody vouches for: a length of
// 8 bytes, little-endian, a header in JSON with the type, the shape and the place of
// each tensor, and the data.
//
// https://github.com/huggingface/safetensors
package statefile

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"

	"github.com/gorgonorm/norm/internal/fault"
	"github.com/nlpodyssey/safetensors"
)

// MaxHeader is the largest header that is read, in bytes: some 100,000 tensors. The
// format allows 100 MB, of which a parser makes gigabytes.
const MaxHeader = 16 << 20

// Entry is a tensor in a file.
type Entry struct {
	Name string
	safetensors.TensorInfo
}

// Bytes returns the length of the tensor's data.
func (e Entry) Bytes() uint64 { return e.DataOffsets[1] - e.DataOffsets[0] }

// Header reads the length and the header, and returns the tensors in the order of
// their data, which follow each other in what is left of r without gaps. No name
// occurs twice, and each length is that of the type and the shape.
//
// Memory is taken as bytes come in, not for what a length promises.
//
// Errors: ErrFormat, or that of r.
func Header(r io.Reader) ([]Entry, error) {
	var prefix [8]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return nil, readError(err, "the length of the header")
	}
	n := binary.LittleEndian.Uint64(prefix[:])
	if n > MaxHeader {
		return nil, damaged("the header has %d bytes, want at most %d", n, MaxHeader)
	}
	header, err := Read(r, n, "the header")
	if err != nil {
		return nil, err
	}
	if err := checkNames(header); err != nil {
		return nil, err
	}
	var m safetensors.Metadata
	if err := json.Unmarshal(header, &m); err != nil {
		return nil, damaged("the header: %v", err)
	}
	var entries []Entry
	for name, info := range m.Tensors() {
		entries = append(entries, Entry{name, *info})
	}
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(
			cmp.Compare(a.DataOffsets[0], b.DataOffsets[0]),
			cmp.Compare(a.DataOffsets[1], b.DataOffsets[1]),
			cmp.Compare(a.Name, b.Name))
	})
	return entries, checkPlaces(entries)
}

// Read reads n bytes. what is for the error.
func Read(r io.Reader, n uint64, what string) ([]byte, error) {
	var b bytes.Buffer
	if err := copyN(&b, r, n, what); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Skip reads n bytes and forgets them.
func Skip(r io.Reader, n uint64, what string) error { return copyN(io.Discard, r, n, what) }

func copyN(w io.Writer, r io.Reader, n uint64, what string) error {
	if n > 1<<62 {
		return damaged("%s has %d bytes", what, n)
	}
	if _, err := io.CopyN(w, r, int64(n)); err != nil {
		return readError(err, what)
	}
	return nil
}

// End checks that r has nothing more.
func End(r io.Reader) error {
	switch n, err := io.ReadFull(r, make([]byte, 1)); {
	case n > 0:
		return damaged("there is something behind the data of the last tensor")
	case err != io.EOF:
		return readError(err, "the end")
	}
	return nil
}

// readError tells a file that is too short from a reader that fails.
func readError(err error, what string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("the file ends inside %s", what)
	}
	return fmt.Errorf("norm: load: %s: %w", what, err)
}

func damaged(format string, args ...any) error {
	return fault.New(fault.ErrFormat, "load", format, args...)
}

// checkNames checks that the header is an object in which, as in the objects inside
// it, no name occurs twice: of two the parser would keep one without a word.
func checkNames(header []byte) error {
	d := json.NewDecoder(bytes.NewReader(header))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return damaged("the header is no JSON object")
	}
	return checkObject(d, 1)
}

// maxDepth bounds how deep a header nests: the deepest of a sound one is a shape.
const maxDepth = 4

// checkObject checks an object whose brace has been read.
func checkObject(d *json.Decoder, depth int) error {
	names := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return damaged("the header is no JSON: %v", err)
		}
		if names[name] {
			return damaged("the header has %q twice", name)
		}
		names[name] = true
		if err := checkValue(d, depth); err != nil {
			return err
		}
	}
	return closing(d)
}

func checkValue(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return damaged("the header is no JSON: %v", err)
	}
	delim, ok := t.(json.Delim)
	switch {
	case !ok:
		return nil
	case depth >= maxDepth:
		return damaged("the header nests %d deep", depth+1)
	case delim == '{':
		return checkObject(d, depth+1)
	}
	for d.More() {
		if err := checkValue(d, depth+1); err != nil {
			return err
		}
	}
	return closing(d)
}

func closing(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return damaged("the header is no JSON: %v", err)
	}
	return nil
}

// checkPlaces checks that the tensors lie one behind the other and are as long as
// their shapes say.
func checkPlaces(entries []Entry) error {
	end := uint64(0)
	for _, e := range entries {
		begin := e.DataOffsets[0]
		if begin != end || e.DataOffsets[1] < begin {
			return damaged("the data of %q are at %d, want them to follow those before, from %d", e.Name, e.DataOffsets, end)
		}
		end = e.DataOffsets[1]
		if n, ok := size(e.Shape, e.DType.Size()); !ok || n != e.Bytes() {
			return damaged("%q has %d bytes for a %v %v", e.Name, e.Bytes(), e.DType, e.Shape)
		}
	}
	return nil
}

// size returns the bytes of a tensor, unless they are too many for a number.
func size(shape []uint64, element uint64) (uint64, bool) {
	n, zero := element, slices.Contains(shape, 0)
	for _, s := range shape {
		high, low := bits.Mul64(n, s)
		if high > 0 && !zero {
			return 0, false
		}
		n = low
	}
	if zero {
		return 0, true
	}
	return n, true
}
