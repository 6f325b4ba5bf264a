package norm

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/internal/statefile"
)

// Load reads what Save or PyTorch wrote, in the safetensors format, into layers and
// nodes, bit for bit. It writes into their memory, so that the same layer in other
// graphs (see In) and nodes made with WithValue(w.Value()) see it. No machine may run
// during the call.
//
// The file must have all entries of the layers and nodes and no others, each with its
// shape and dtype, and without a NaN, an infinity or a negative variance. As in PyTorch
// two things may be missing: the number of batches, which then stays as it is, and the
// singular vectors of a SpectralNorm of rank 1, which are then re-estimated. If anything
// else does not fit, one error names all of it, and nothing has changed. LoadOptions are
// less strict.
//
// Errors: ErrState for an entry that is missing or surplus, and for an empty state;
// ErrShape, ErrDtype, ErrValue; ErrFormat for a damaged file; ErrGraph as for Save; ErrName
// for two entries of one name; or r's error. One error may be of several kinds.
func Load(r io.Reader, items ...Stateful) error { return LoadOptions{}.Load(r, items...) }

// LoadFile is Load from a file.
//
// Errors: as Load, and those of the file system.
func LoadFile(path string, items ...Stateful) error { return LoadOptions{}.LoadFile(path, items...) }

// LoadOptions allow files that do not fit exactly. The zero value is strict.
//
//	err := norm.LoadOptions{AllowSurplus: true}.LoadFile("pretrained.safetensors", bn1, bn2)
type LoadOptions struct {
	// AllowMissing leaves entries unchanged that the file does not have; it must have at
	// least one. If the file has the weight of a spectral norm or one of its singular
	// vectors, but not both vectors, both are re-estimated.
	AllowMissing bool

	// AllowSurplus ignores file entries that the layers and nodes do not have.
	AllowSurplus bool

	// Convert reads float16, bfloat16 and float32 into float32 and float64, which is exact, and
	// float64 into float32, which rounds to nearest. A number that is too large for a
	// float32 is ErrValue.
	Convert bool

	// Keras expects Keras' names for the layers that normalize activations: gamma, or
	// scale for RMSNorm, beta, moving_mean and moving_variance. Keras has no number of
	// batches; the layer's is left unchanged.
	Keras bool

	// Rename maps the name of an entry here to its name in the file. It is called with
	// each name under which the entry would be read, Keras' names if Keras is set.
	Rename func(name string) string
}

// LoadFile is Load from a file.
func (o LoadOptions) LoadFile(path string, items ...Stateful) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("norm: load: %w", err)
	}
	defer f.Close()
	return o.load("load "+path, bufio.NewReader(f), items)
}

// Load is the function Load with these options.
func (o LoadOptions) Load(r io.Reader, items ...Stateful) error {
	if r == nil {
		return fault.New(ErrValue, "load", "the reader is nil, want one to read from")
	}
	return o.load("load", r, items)
}

// load is Load. Errors about the file begin with who.
func (o LoadOptions) load(who string, r io.Reader, items []Stateful) error {
	parts, err := partsOf(items)
	if err != nil {
		return err
	}
	l := loading{LoadOptions: o, who: who, model: entries(parts), blocks: map[*entry]block{}}
	if err := l.name(); err != nil {
		return err
	}
	if l.file, err = statefile.Header(r); err != nil {
		return fault.Of(who, err)
	}
	if err := errors.Join(l.match()...); err != nil {
		return err
	}
	if err := l.read(r); err != nil {
		return fault.Of(who, err)
	}
	if err := errors.Join(l.check(parts)...); err != nil {
		return err
	}
	l.commit(parts) // cannot fail
	return nil
}

// loading is the state of a call of Load.
type loading struct {
	LoadOptions
	who    string // what errors begin with
	model  []*entry
	wanted map[string]*entry // by name in the file
	file   []statefile.Entry
	blocks map[*entry]block // what has been read
}

// name sets the names that the entries have in the file.
func (l *loading) name() (err error) {
	l.model = slices.DeleteFunc(l.model, func(e *entry) bool { return l.Keras && e.holds == batches })
	for _, e := range l.model {
		if l.Keras && e.keras != "" {
			e.names = []string{e.keras}
		}
		for i, name := range e.names {
			if l.Rename != nil {
				e.names[i] = l.Rename(name)
			}
		}
		e.names = slices.Compact(e.names) // Rename may make them equal
	}
	advice := ownNames
	if l.Rename != nil {
		advice = "LoadOptions.Rename gives that name to both"
	}
	l.wanted, err = byName(l.model, advice)
	return err
}

// match returns what does not fit in the header of the file.
func (l *loading) match() (problems []error) {
	found := map[*entry]string{} // the name under which an entry was found first
	var surplus []surplusEntry
	for _, f := range l.file {
		e := l.wanted[f.Name]
		switch {
		case e == nil:
			surplus = append(surplus, surplusEntry{f.Name, ""})
			continue
		case found[e] != "":
			surplus = append(surplus, surplusEntry{f.Name, found[e]})
			delete(l.wanted, f.Name)
			continue
		case f.Unknown != "":
			problems = append(problems, fault.New(ErrDtype, l.who, "%s is %s, want %v", f.Name, statefile.Shown(f.Unknown), e.dtype))
		case !e.fits(f.Shape):
			problems = append(problems, fault.New(ErrShape, l.who, "%s is %v, want %v%s", f.Name, statefile.Shown(shapeText(f.Shape)), shapeText(e.shape), e.shapeHint(f)))
		case !e.reads(f.DType, l.Convert):
			problems = append(problems, fault.New(ErrDtype, l.who, "%s is %v, want %v%s", f.Name, f.DType, e.dtype, e.dtypeHint(f.DType)))
		}
		found[e] = f.Name
	}
	if !l.AllowSurplus {
		problems = append(l.surplusErrors(surplus), problems...)
	}
	var missing []error
	for _, e := range l.model {
		if found[e] == "" && !e.optional {
			missing = append(missing, fault.New(ErrState, l.who, "%s is missing", strings.Join(e.names, " or ")))
		}
	}
	switch {
	case !l.AllowMissing:
		problems = append(missing, problems...)
	case len(found) == 0 && len(missing) > 0: // probably a wrong name or a wrong file
		problems = append(problems, l.nothing())
	}
	if strict := !l.AllowMissing && !l.AllowSurplus; strict && len(missing) > 0 && len(surplus) > 0 && l.Rename == nil {
		problems = append(problems, fault.New(ErrState, l.who, "where only the names differ, see LoadOptions.Rename and LoadOptions.Keras"))
	}
	return problems
}

// nothing is the error if AllowMissing is set and the file has no entry of the model.
func (l *loading) nothing() error {
	has := "has none"
	if len(l.file) > 0 {
		has = fmt.Sprintf("has %s", statefile.Shown(l.file[0].Name))
	}
	return fault.New(ErrState, l.who, "no entry of the model is in the file, want one at least: the first of the model is %s, and the file %s", strings.Join(l.model[0].names, " or "), has)
}

// surplusEntry is an entry of the file that the model does not take, or a second one for
// what was read from the entry beside.
type surplusEntry struct{ name, beside string }

// surplusErrors names the first surplus entries only, since a wrong file may have any
// number of them.
func (l *loading) surplusErrors(entries []surplusEntry) (problems []error) {
	const most = 20
	for _, s := range entries[:min(len(entries), most)] {
		beside := ""
		if s.beside != "" {
			beside = fmt.Sprintf(", beside %s,", statefile.Shown(s.beside))
		}
		problems = append(problems, fault.New(ErrState, l.who, "%s%s is surplus", statefile.Shown(s.name), beside))
	}
	if more := len(entries) - most; more > 0 {
		problems = append(problems, fault.New(ErrState, l.who, "and %d more are surplus", more))
	}
	return problems
}

// read reads the data. Since the shapes and dtypes fit, it takes no more memory than the
// model.
func (l *loading) read(r io.Reader) error {
	for _, f := range l.file {
		e := l.wanted[f.Name]
		if e == nil {
			if err := statefile.Skip(r, f.Bytes(), f.Name); err != nil {
				return err
			}
			continue
		}
		data, err := statefile.Read(r, f.Bytes(), f.Name)
		if err != nil {
			return err
		}
		l.blocks[e] = block{f.DType, data}
	}
	return statefile.End(r)
}

// check returns what is wrong with the values. If only some entries of a part are in the
// file, the others have to be valid too, since the part is set as a whole.
func (l *loading) check(parts []part) (problems []error) {
	for _, p := range parts {
		for _, e := range p.entries {
			var problem string
			b, ok := l.blocks[e]
			switch {
			case ok:
				problem = e.check(e.converted(b))
			case p.commit != nil && l.touches(p):
				if problem = e.check(e.values()); problem != "" {
					problem += ", and it is not in the file"
				}
			}
			if problem != "" {
				problems = append(problems, fault.New(ErrValue, l.who, "%s: %s", e.names[0], problem))
			}
		}
	}
	return problems
}

// touches says whether an entry of the part has been read.
func (l *loading) touches(p part) bool { return slices.ContainsFunc(p.entries, l.has) }

// has says whether an entry has been read.
func (l *loading) has(e *entry) bool {
	_, ok := l.blocks[e]
	return ok
}

func (l *loading) commit(parts []part) {
	for _, p := range parts {
		for _, e := range p.entries {
			if b, ok := l.blocks[e]; ok {
				e.set(b)
			}
		}
		if p.commit != nil && l.touches(p) {
			p.commit(l.has)
		}
	}
}
