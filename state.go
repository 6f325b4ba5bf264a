package norm

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/internal/replacefile"
	"github.com/gorgonorm/norm/internal/statefile"
	"github.com/nlpodyssey/safetensors"
)

// Stateful is what Save and Load take: a layer of this package, a Param, which is a
// node of your own, or a State, which is several of them. For a type of your own give it
// a method that returns a State.
//
// An entry of a layer is called by the layer's name, a dot and PyTorch's name, and has
// PyTorch's shape:
//
//	BatchNorm, InstanceNorm    weight, bias, running_mean, running_var, num_batches_tracked
//	LayerNorm, GroupNorm       weight, bias
//	RMSNorm                    weight
//	WeightNorm                 weight_g, weight_v
//	WeightNormLinear           weight_g, weight_v, bias
//	SpectralNorm               parametrizations.weight.original,
//	                           parametrizations.weight.0._u, parametrizations.weight.0._v
//
// as in bn1.running_mean, as far as the layer has them. Save writes these names. Load
// also reads PyTorch's other names for the last three layers:
// parametrizations.weight.original0 for g and original1 for v, and weight_orig, weight_u
// and weight_v.
//
// Parameters have the layer's dtype. Running statistics and singular vectors, which the
// layers keep in float64, are written in float64, and read from float32 too; PyTorch
// rounds them when it loads them. The number of batches is an int64.
type Stateful interface{ part() ([]part, error) }

// State is a list of layers and nodes, such as those of a model, that is one item for
// Save and Load.
type State []Stateful

func (s State) part() ([]part, error) { return s.parts("") }

// embeds says whether the type of an item is not of this package. Then it has the method
// part from what it embeds, which knows nothing of its other fields.
func embeds(item Stateful) bool {
	t := reflect.TypeOf(item)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.PkgPath() != reflect.TypeFor[State]().PkgPath()
}

// maxNesting is how deeply states may be nested.
const maxNesting = 100

// parts is part. Errors number the items: those of a state that is item 2 of another are
// 2.0, 2.1 and so on, for the prefix "2.".
func (s State) parts(prefix string) (parts []part, err error) {
	if strings.Count(prefix, ".") > maxNesting {
		return nil, fault.New(ErrGraph, stateName, "more than %d states lie in each other, want one that does not contain itself", maxNesting)
	}
	for i, item := range s {
		number := prefix + strconv.Itoa(i)
		switch {
		case isNil(item):
			return nil, fault.New(ErrGraph, stateName, "item %s is nil, want a layer or a Param", number)
		case embeds(item):
			return nil, fault.New(ErrGraph, stateName, "item %s is a %T, which embeds one of this package, want that one itself, and a Param for each other node", number, item)
		}
		if l, ok := item.(interface{ made() error }); ok {
			if err := l.made(); err != nil {
				return nil, err
			}
		}
		var p []part
		if inner, ok := item.(State); ok {
			p, err = inner.parts(number + ".")
		} else {
			p, err = item.part()
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, p...)
	}
	return parts, nil
}

// partsOf returns the parts of what is to be saved or loaded. An empty state is an error:
// saving it would replace a good file.
func partsOf(items State) ([]part, error) {
	parts, err := items.part()
	if err == nil && len(entries(parts)) == 0 {
		err = fault.New(ErrState, stateName, "there is nothing in it, want nodes, or layers with parameters or statistics")
	}
	return parts, err
}

// stateName is what errors that concern no layer begin with.
const stateName = "state"

// Save writes the parameters and the statistics of layers, and nodes, in the
// safetensors format, which PyTorch, JAX and others read without running code.
// Equal states give equal bytes. The state of a solver is not in it.
//
// Save rejects what Load would: a NaN, an infinity, a negative variance, more than
// about 100,000 entries. No machine may run during the call.
//
// Errors:
//   - ErrGraph for nil, and for a type of your own that embeds a layer, as its other
//     nodes would be left out;
//   - ErrName for two entries of one name, counting the names that Load reads too, and
//     for a name that is not UTF-8;
//   - ErrValue for a value that Load would reject;
//   - ErrState for too many entries, and for an empty state;
//   - or w's error. After any of the others nothing has been written.
func Save(w io.Writer, items ...Stateful) error {
	if w == nil {
		return fault.New(ErrValue, "save", "the writer is nil, want one to write to")
	}
	s, err := newSaving("save", items)
	if err != nil {
		return err
	}
	if err := s.write(w); err != nil {
		return fmt.Errorf("norm: save: %w", err)
	}
	return nil
}

// SaveFile is Save to a file. The new file is written beside the old one and replaces it
// once it is complete and on the disk, so that at any time, even after an error or a loss
// of power, the file is either the old one or the new one. A process that is killed
// before that leaves an incomplete file beside it, called .model.safetensors.<number>.tmp for
// model.safetensors, which may be deleted.
//
// Errors: as Save, and those of the file system; after an error the old file is still
// there. A symbolic link stays one, and the file that it leads to is replaced. A path
// that is a folder, a device or a pipe is an error; use Save to write to those.
func SaveFile(path string, items ...Stateful) error {
	s, err := newSaving("save "+path, items)
	if err != nil {
		return err
	}
	if path == "" {
		return fmt.Errorf("norm: save: %q: %w", path, os.ErrNotExist)
	}
	if err := replacefile.Write(path, s.write); err != nil {
		return fmt.Errorf("norm: save: %w", err)
	}
	return nil
}

// saving is a checked state that is ready to be written, by the names of its entries.
type saving map[string]*entry

// newSaving checks a state. Errors begin with who.
func newSaving(who string, items []Stateful) (saving, error) {
	parts, err := partsOf(items)
	if err != nil {
		return nil, err
	}
	all := entries(parts)
	if _, err := byName(all, ownNames); err != nil {
		return nil, err
	}
	s := saving{}
	for _, e := range all {
		name := e.names[0]
		if !utf8.ValidString(name) { // JSON would have replacement characters
			return nil, fault.New(ErrName, who, "the name is %q, want UTF-8", name)
		}
		if problem := e.check(e.values()); problem != "" {
			return nil, fault.New(ErrValue, who, "%s: %s", name, problem)
		}
		s[name] = e
	}
	var size headerSize
	s.write(&size)
	if size > statefile.MaxHeader {
		return nil, fault.New(ErrState, who, "the names and shapes of the entries take %d bytes, want at most %d", size, statefile.MaxHeader)
	}
	return s, nil
}

// headerSize reads the length of the header, which is written first, and refuses the
// rest.
type headerSize uint64

func (n *headerSize) Write(b []byte) (int, error) {
	*n = headerSize(binary.LittleEndian.Uint64(b))
	return 0, io.ErrShortWrite
}

func (s saving) write(w io.Writer) error {
	return safetensors.SerializeToWriter(s, map[string]string{"format": "pt"}, fullWriter{w})
}

// fullWriter makes a short write an error even if the writer returns none: the library
// would go on, and the file would be damaged.
type fullWriter struct{ io.Writer }

func (w fullWriter) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return n, err
}
