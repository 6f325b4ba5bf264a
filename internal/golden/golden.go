// Package golden loads the golden cases in testdata (see testdata/README.md)
// and compares results with them.
package golden

import (
	"embed"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"
)

// Tensor is a dense row-major tensor. Whatever its stored dtype, its values
// are given as float64, which holds every float32 and int32 exactly.
type Tensor struct {
	Shape []int
	DType string // float32, float64 or int32
	F64   []float64
}

// Case is one golden case.
type Case struct {
	Name, Op string
	Dir      string
	Source   string // which library or formula the outputs come from
	DType    string // the dtype to compute in
	Attrs    map[string]any
	Tags     []string
	Note     string
	Error    string // not empty: the call must fail; there are no outputs

	Inputs  map[string]Tensor
	Outputs map[string]Tensor // as the library computed them, in DType
	Truth   map[string]Tensor // in extended precision, rounded to float64
	LibOK   map[string]bool   // whether Outputs are within tolerance of Truth

	// InputNames and OutputNames are in the order of the file.
	InputNames, OutputNames []string

	check map[string]check
}

// check is the tolerance of one output: absolute, one for each group of elements.
type check struct {
	tol, goal []float64
	group     []int // group of each element; nil: one group
}

type jsonTensor struct {
	Name   string      `json:"name"`
	DType  string      `json:"dtype"`
	Shape  []int       `json:"shape"`
	Offset int         `json:"offset"`
	LibOK  bool        `json:"lib_ok"`
	Truth  *jsonTensor `json:"truth"`
	Tol    *jsonTensor `json:"tol"`
	Goal   *jsonTensor `json:"goal"`
	Group  *struct {
		Shape []int `json:"shape"`
		Dims  []int `json:"dims"`
	} `json:"group"`
}

type jsonCase struct {
	Name    string         `json:"name"`
	Source  string         `json:"source"`
	Op      string         `json:"op"`
	DType   string         `json:"dtype"`
	Attrs   map[string]any `json:"attrs"`
	Tags    []string       `json:"tags"`
	Note    string         `json:"note"`
	Error   string         `json:"error"`
	Inputs  []jsonTensor   `json:"inputs"`
	Outputs []jsonTensor   `json:"outputs"`
}

func size(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

func (j *jsonTensor) read(data []byte) (Tensor, error) {
	n := size(j.Shape)
	t := Tensor{Shape: j.Shape, DType: j.DType, F64: make([]float64, n)}
	w := map[string]int{"float64": 8, "float32": 4, "int32": 4}[j.DType]
	if w == 0 {
		return t, fmt.Errorf("%s: dtype %q", j.Name, j.DType)
	}
	if j.Offset < 0 || j.Offset+n*w > len(data) {
		return t, fmt.Errorf("%s: %d values at %d of %d bytes", j.Name, n, j.Offset, len(data))
	}
	for i := range t.F64 {
		b := data[j.Offset+i*w:]
		switch j.DType {
		case "float64":
			t.F64[i] = math.Float64frombits(binary.LittleEndian.Uint64(b))
		case "float32":
			t.F64[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
		case "int32":
			t.F64[i] = float64(int32(binary.LittleEndian.Uint32(b)))
		}
	}
	return t, nil
}

// Load reads the case in dir.
func Load(fsys fs.FS, dir string) (*Case, error) {
	fail := func(err error) (*Case, error) { return nil, fmt.Errorf("%s: %w", dir, err) }
	raw, err := fs.ReadFile(fsys, path.Join(dir, "case.json"))
	if err != nil {
		return fail(err)
	}
	var j jsonCase
	if err := json.Unmarshal(raw, &j); err != nil {
		return fail(err)
	}
	data, err := fs.ReadFile(fsys, path.Join(dir, "data.bin"))
	if err != nil {
		return fail(err)
	}
	c := &Case{Name: j.Name, Op: j.Op, Dir: dir, Source: j.Source, DType: j.DType, Attrs: j.Attrs, Tags: j.Tags,
		Note: j.Note, Error: j.Error, Inputs: map[string]Tensor{}, Outputs: map[string]Tensor{},
		Truth: map[string]Tensor{}, LibOK: map[string]bool{}, check: map[string]check{}}
	for i := range j.Inputs {
		t := &j.Inputs[i]
		if c.Inputs[t.Name], err = t.read(data); err != nil {
			return fail(err)
		}
		c.InputNames = append(c.InputNames, t.Name)
	}
	for i := range j.Outputs {
		if err := c.addOutput(&j.Outputs[i], data); err != nil {
			return fail(err)
		}
	}
	return c, nil
}

// addOutput adds an output with its truth and its tolerances.
func (c *Case) addOutput(t *jsonTensor, data []byte) (err error) {
	if t.Truth == nil || t.Tol == nil {
		return fmt.Errorf("%s: no truth or no tolerance", t.Name)
	}
	if c.Outputs[t.Name], err = t.read(data); err != nil {
		return err
	}
	if c.Truth[t.Name], err = t.Truth.read(data); err != nil {
		return err
	}
	tol, err := t.Tol.read(data)
	if err != nil {
		return err
	}
	k := check{tol: tol.F64, goal: tol.F64}
	if t.Goal != nil {
		g, err := t.Goal.read(data)
		if err != nil {
			return err
		}
		k.goal = g.F64
	}
	if t.Group != nil {
		if size(t.Group.Shape) != size(t.Shape) {
			return fmt.Errorf("%s: group shape %v for shape %v", t.Name, t.Group.Shape, t.Shape)
		}
		k.group = groups(t.Group.Shape, t.Group.Dims)
	}
	c.check[t.Name] = k
	c.LibOK[t.Name] = t.LibOK
	c.OutputNames = append(c.OutputNames, t.Name)
	return nil
}

// groups numbers the elements of a tensor of the given shape: those that agree
// in the dims share a number.
func groups(shape, dims []int) []int {
	g := make([]int, size(shape))
	idx := make([]int, len(shape))
	for i := range g {
		for r, d := i, len(shape)-1; d >= 0; d-- {
			idx[d], r = r%shape[d], r/shape[d]
		}
		for _, d := range dims {
			g[i] = g[i]*shape[d] + idx[d]
		}
	}
	return g
}

//go:embed testdata
var testdata embed.FS

// Cases returns the cases of testdata with one of the ops, in the order of
// their folders.
func Cases(ops ...string) ([]*Case, error) {
	var cs []*Case
	err := fs.WalkDir(testdata, "testdata", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "case.json" {
			return err
		}
		c, err := Load(testdata, path.Dir(p))
		if err == nil && slices.Contains(ops, c.Op) {
			cs = append(cs, c)
		}
		return err
	})
	return cs, err
}

// Has says whether the case has the tag.
func (c *Case) Has(tag string) bool { return slices.Contains(c.Tags, tag) }

// Float returns a numeric attribute; ok is false where it is absent or null.
func (c *Case) Float(attr string) (v float64, ok bool) {
	v, ok = c.Attrs[attr].(float64)
	return v, ok
}

// Int returns an integer attribute; ok is false where it is absent or null.
func (c *Case) Int(attr string) (v int, ok bool) {
	f, ok := c.Attrs[attr].(float64)
	return int(f), ok
}

// Bool returns a boolean attribute, false where it is absent.
func (c *Case) Bool(attr string) bool {
	v, _ := c.Attrs[attr].(bool)
	return v
}

// Ints returns an attribute that is a list of integers.
func (c *Case) Ints(attr string) []int {
	l, _ := c.Attrs[attr].([]any)
	r := make([]int, 0, len(l))
	for _, v := range l {
		if f, ok := v.(float64); ok {
			r = append(r, int(f))
		}
	}
	return r
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// same reports equality of two values of which one is not finite.
func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

// Level is how strictly Check compares.
type Level int

const (
	// Lenient takes the truth within tolerance and, where the library's own
	// output is not (LibOK is false), also what the library gave.
	Lenient Level = iota
	// Strict takes only the truth within tolerance.
	Strict
	// Goal takes only what a computation in float64, rounded to the case's
	// dtype at the end, would give. For float64 it is the same as Strict.
	Goal
)

// float32 rounds to infinity from here on.
const maxF32 = 0x1.ffffffp127

// Want returns what output name should be: the truth, infinite where DType
// cannot hold it.
func (c *Case) Want(name string) []float64 {
	w := slices.Clone(c.Truth[name].F64)
	if c.DType == "float32" {
		for i, v := range w {
			if math.Abs(v) >= maxF32 {
				w[i] = math.Inf(int(math.Copysign(1, v)))
			}
		}
	}
	return w
}

// Tolerance returns the absolute tolerance of each element of output name.
func (c *Case) Tolerance(name string, l Level) []float64 {
	k := c.check[name]
	src := k.tol
	if l == Goal {
		src = k.goal
	}
	t := make([]float64, len(c.Truth[name].F64))
	for i := range t {
		if k.group != nil {
			t[i] = src[k.group[i]]
		} else {
			t[i] = src[0]
		}
	}
	return t
}

// Check compares got with output name and says which element is worst.
func (c *Case) Check(name string, got []float64, l Level) error {
	lib, ok := c.Outputs[name]
	if !ok {
		return fmt.Errorf("%s: no output %q", c.Name, name)
	}
	want, tol := c.Want(name), c.Tolerance(name, l)
	if len(got) != len(want) {
		return fmt.Errorf("%s: %s: %d values, want %d", c.Name, name, len(got), len(want))
	}
	bad, at, worst := 0, -1, 0.0
	for i, g := range got {
		if near(g, want[i], tol[i]) || l == Lenient && !c.LibOK[name] && near(g, lib.F64[i], tol[i]) {
			continue
		}
		bad++
		r := math.Inf(1)
		if finite(g) && finite(want[i]) {
			r = math.Abs(g-want[i]) / tol[i]
		}
		if at < 0 || r > worst {
			at, worst = i, r
		}
	}
	if bad == 0 {
		return nil
	}
	return fmt.Errorf("%s: %s: %d of %d out of tolerance; worst at %d: got %v, want %v (library %v), tolerance %.3g, %.3g times it",
		c.Name, name, bad, len(got), at, got[at], want[at], lib.F64[at], tol[at], worst)
}

func near(g, w, tol float64) bool {
	if !finite(g) || !finite(w) {
		return same(g, w)
	}
	return math.Abs(g-w) <= tol
}
