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

// part is some entries. If they are read into copies, commit puts the copies in place;
// read tells it which entries the file had.
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

// byName returns the entries by name, each under all names that it may be read from.
//
// Errors: ErrName, with advice, for two entries of one name.
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

// ownNames is the advice about equal names of layers and nodes.
const ownNames = "give layers of two graphs names by WithName, and pass a layer in two graphs once"

// entry is one tensor of a state: how a file has it, and where its values are here.
type entry struct {
	names []string // the first is written, all are read
	keras string   // the name in Keras, or ""
	dtype safetensors.DType
	shape []uint64 // never nil, which would be null in JSON
	holds quantity
	cells cells

	optional bool // may be missing
	own      bool // a Param without options, for which Transposed or Reshaped may help
}

// quantity is what the values of an entry are, on which it depends which of them are
// valid.
type quantity int

const (
	parameter quantity = iota
	statistic          // a mean or a singular vector: kept in float64
	variance
	batches // a number of batches
)

// cells gives access to the values of an entry where they are stored, in the row-major
// order of the file.
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

// fits says whether the entry has that shape.
func (e *entry) fits(shape []uint64) bool { return slices.Equal(shape, e.shape) }

// reads says whether the entry may be read from values of a dtype. convert is
// LoadOptions.Convert.
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

// shapeText formats a shape as Gorgonia's errors do.
func shapeText(shape []uint64) string {
	return strings.NewReplacer("[", "(", "]", ")", " ", ", ").Replace(fmt.Sprint(shape))
}

// shapeHint names the option with which a node would accept the tensor of another shape.
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

// dtypeHint names the option with which another dtype would be accepted.
func (e *entry) dtypeHint(dt safetensors.DType) string {
	if isFloat(dt) && isFloat(e.dtype) { // not the number of batches
		return " (or LoadOptions.Convert)"
	}
	return ""
}

// values returns the present values.
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

// at is value i. An int64 beyond the integers of float64 is rounded, to a number that
// check rejects.
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

// float16 returns the number whose bits in IEEE 754's binary16 are given.
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

// converted returns the values of a block, rounded as the entry will hold them.
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

// maxBatches is 2⁵³, up to which float64 has all integers.
const maxBatches = 1 << 53

// check describes the first invalid value and counts the others, or returns "".
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
				if !isFinite(x) { // perhaps only after a conversion
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

// set writes the values of a block into the entry's own storage.
func (e *entry) set(b block) {
	i := 0
	e.cells.write(func() float64 {
		x := b.at(i)
		i++
		return x
	})
}

// The methods below are those of safetensors.View.

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
