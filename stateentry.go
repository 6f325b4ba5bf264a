package norm

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/internal/statefile"
	"github.com/nlpodyssey/safetensors"
)

// part is some entries and, where they are read into copies, what puts the copies
// in place. It is told which entries have been read.
type part struct {
	entries []*entry
	commit  func(read func(*entry) bool)
}

func entries(parts []part) (all []*entry) {
	for _, p := range parts {
		all = append(all, p.entries...)
	}
	return all
}

// byName returns entries by their names, by all that they are read under.
//
// Errors: ErrName for two of one name, with advice.
func byName(all []*entry, advice string) (map[string]*entry, error) {
	named := map[string]*entry{}
	for _, e := range all {
		for _, name := range e.names {
			if other := named[name]; other != nil && other != e {
				return nil, fault.New(ErrName, stateName, "two entries are called %q, want one: %s", name, advice)
			}
			named[name] = e
		}
	}
	return named, nil
}

// ownNames is the advice about names of layers and nodes.
const ownNames = "give layers of two graphs names by WithName, and pass a layer in two graphs once"

// entry is one tensor of a state: how it is in a file, and where it is here.
type entry struct {
	names []string // the first is written, all are read
	keras string   // the name in Keras, or ""
	dtype safetensors.DType
	shape []uint64 // not nil, which JSON has as null
	holds quantity
	cells cells

	optional bool // may be missing
	own      bool // a node of the user's, with which Transposed and Reshaped may help
}

// quantity is what values mean, and so which are sound.
type quantity int

const (
	parameter quantity = iota
	statistic          // a mean or a singular vector: kept in float64
	variance
	batches // a number of batches
)

// cells are the values of an entry where they are, in the row-major order of the
// file.
type cells interface {
	read(f func(float64))
	write(next func() float64)
}

// floats are cells in a slice.
type floats []float64

func (s floats) read(f func(float64)) {
	for _, x := range s {
		f(x)
	}
}

func (s floats) write(next func() float64) {
	for i := range s {
		s[i] = next()
	}
}

// fits says whether a shape is the entry's.
func (e *entry) fits(shape []uint64) bool { return slices.Equal(shape, e.shape) }

// reads says whether values of a dtype may be read.
func (e *entry) reads(dt safetensors.DType, convert bool) bool {
	switch {
	case dt == e.dtype:
		return true
	case e.holds == batches || !isFloat(dt):
		return false
	case e.holds == parameter || isHalf(dt):
		return convert
	default:
		return true
	}
}

func isFloat(dt safetensors.DType) bool {
	return dt == safetensors.F32 || dt == safetensors.F64 || isHalf(dt)
}

func isHalf(dt safetensors.DType) bool { return dt == safetensors.F16 || dt == safetensors.BF16 }

// shapeText writes a shape as Gorgonia's errors do.
func shapeText(shape []uint64) string {
	return strings.NewReplacer("[", "(", "]", ")", " ", ", ").Replace(fmt.Sprint(shape))
}

// shapeHint says which option lets a node take a tensor of another shape.
func (e *entry) shapeHint(f statefile.Entry) string {
	switch {
	case !e.own:
		return ""
	case len(e.shape) == 2 && slices.Equal(f.Shape, []uint64{e.shape[1], e.shape[0]}):
		return " (or Transposed)"
	case f.Bytes()/f.DType.Size() == e.DataLen()/e.dtype.Size():
		return " (or Reshaped)"
	}
	return ""
}

// dtypeHint says how another dtype may be read.
func (e *entry) dtypeHint(dt safetensors.DType) string {
	if isFloat(dt) && isFloat(e.dtype) { // not the number of batches
		return " (or LoadOptions.Convert)"
	}
	return ""
}

// values are those that are here.
func (e *entry) values() iter.Seq[float64] {
	return func(yield func(float64) bool) {
		more := true
		e.cells.read(func(x float64) { more = more && yield(x) })
	}
}

// block is the data of an entry in a file.
type block struct {
	dtype safetensors.DType
	data  []byte
}

// len is the number of values.
func (b block) len() int { return len(b.data) / int(b.dtype.Size()) }

// at is value i. An int64 that float64 does not hold is rounded, to one that check
// refuses.
func (b block) at(i int) float64 {
	data := b.data[i*int(b.dtype.Size()):]
	switch b.dtype {
	case safetensors.F16:
		return float16(binary.LittleEndian.Uint16(data))
	case safetensors.BF16: // the first half of a float32
		return float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(data)) << 16))
	case safetensors.F32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(data)))
	case safetensors.F64:
		return math.Float64frombits(binary.LittleEndian.Uint64(data))
	default: // I64
		return float64(int64(binary.LittleEndian.Uint64(data)))
	}
}

// float16 is the number that has the bits in IEEE 754's binary16.
func float16(bits uint16) float64 {
	sign, exponent, fraction := bits>>15, int(bits>>10&31), float64(bits&1023)
	var x float64
	switch {
	case exponent == 0:
		x = fraction * 0x1p-24
	case exponent < 31:
		x = math.Ldexp(1024+fraction, exponent-25)
	case fraction == 0:
		x = math.Inf(1)
	default:
		return math.NaN()
	}
	if sign == 1 {
		return -x
	}
	return x
}

// converted are the values of a block as they will be here.
func (e *entry) converted(b block) iter.Seq[float64] {
	return func(yield func(float64) bool) {
		for i := range b.len() {
			x := b.at(i)
			if e.dtype == safetensors.F32 {
				x = float64(float32(x))
			}
			if !yield(x) {
				return
			}
		}
	}
}

// maxBatches is the largest number up to which float64 has all integers.
const maxBatches = 1 << 53

// check says which values are unsound, or "".
func (e *entry) check(values iter.Seq[float64]) string {
	sound, want := isFinite, "a finite number"
	switch e.holds {
	case variance:
		sound, want = func(x float64) bool { return isFinite(x) && x >= 0 }, "a finite number of at least 0"
	case batches:
		sound, want = func(x float64) bool { return x >= 0 && x < maxBatches }, "at least 0 and less than 2⁵³"
	}
	i, bad, first := 0, 0, ""
	for x := range values {
		if !sound(x) {
			if bad == 0 {
				first = fmt.Sprintf("element %d is %v", i, x)
				if !isFinite(x) { // maybe after a conversion
					first += fmt.Sprintf(" in %v", e.dtype)
				}
			}
			bad++
		}
		i++
	}
	switch {
	case bad == 0:
		return ""
	case bad > 1:
		return fmt.Sprintf("%s, and %d more like it, want %s", first, bad-1, want)
	default:
		return fmt.Sprintf("%s, want %s", first, want)
	}
}

func isFinite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// set puts what was read in place.
func (e *entry) set(b block) {
	i := 0
	e.cells.write(func() float64 {
		x := b.at(i)
		i++
		return x
	})
}

// The methods of safetensors.View.

// DType returns the dtype in the file.
func (e *entry) DType() safetensors.DType { return e.dtype }

// Shape returns the shape in the file.
func (e *entry) Shape() []uint64 { return e.shape }

// DataLen returns the number of bytes.
func (e *entry) DataLen() uint64 {
	n := e.dtype.Size()
	for _, s := range e.shape {
		n *= s
	}
	return n
}

// Data returns the values as they are written.
func (e *entry) Data() []byte {
	data := make([]byte, 0, e.DataLen())
	e.cells.read(func(x float64) {
		switch e.dtype {
		case safetensors.F32:
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(x)))
		case safetensors.F64:
			data = binary.LittleEndian.AppendUint64(data, math.Float64bits(x))
		default: // I64
			data = binary.LittleEndian.AppendUint64(data, uint64(int64(x)))
		}
	})
	return data
}
