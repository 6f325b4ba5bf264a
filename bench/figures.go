package main

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"gorgonia.org/tensor"
)

// cell names what is compared: one row of a table.
type cell struct {
	name, shape, dtype string
	threads            int
	pass               string
}

// array returns the bytes of one array of the shape.
func (c cell) array() int64 {
	n := int64(4)
	if c.dtype == tensor.Float64.String() {
		n = 8
	}
	for _, d := range strings.Split(c.shape, "x") {
		k, _ := strconv.ParseInt(d, 10, 64)
		n *= k
	}
	return n
}

// figures are the lines of each system in each cell.
type figures struct {
	lines     map[cell]map[string][]result
	systems   []string        // in order of appearance
	reference map[cell]quotes // nil for another machine
}

// readFigures reads the lines of files, those that end in .gz compressed.
func readFigures(files []string) (*figures, error) {
	f := &figures{lines: map[cell]map[string][]result{}}
	var err error
	if f.reference, err = readReference(referenceCSV); err != nil {
		return nil, err
	}
	for _, name := range files {
		if err := f.readFile(name); err != nil {
			return nil, err
		}
	}
	if len(f.lines) == 0 {
		return nil, fmt.Errorf("no figures in %s", strings.Join(files, ", "))
	}
	return f, nil
}

// hasReference says whether there are quoted figures and targets.
func (f *figures) hasReference() bool { return f.reference != nil }

// otherISA returns an instruction set of our lines that is not the reference machine's, or
// "" if there is none. Systems that are named after their instruction set do not count, as
// they are measured on that machine too. Older lines do not say what they used.
func (f *figures) otherISA() string {
	var others []string
	for _, systems := range f.lines {
		for system, lines := range systems {
			if slices.ContainsFunc(isaSuffixes, func(s string) bool { return strings.Contains(system, s) }) {
				continue
			}
			for _, l := range lines {
				if l.ISA != "" && l.ISA != "avx512" {
					others = append(others, l.ISA)
				}
			}
		}
	}
	if len(others) == 0 {
		return ""
	}
	return slices.Min(others)
}

func (f *figures) readFile(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := io.Reader(file)
	if strings.HasSuffix(name, ".gz") {
		lines, err = gzip.NewReader(file)
	}
	if err == nil {
		err = f.read(lines)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// read adds lines.
func (f *figures) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		var l result
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if l.Median <= 0 || l.System == "" || l.Name == "" { // from a peer that gave up, or not a figure
			continue
		}
		f.add(l)
	}
	return lines.Err()
}

func (f *figures) add(l result) {
	c := cell{common(l.Name), shapeKey(l.Shape), l.Dtype, l.Threads, commonPass(l.Pass)}
	if f.lines[c] == nil {
		f.lines[c] = map[string][]result{}
	}
	f.lines[c][l.System] = append(f.lines[c][l.System], l)
	if !slices.Contains(f.systems, l.System) {
		f.systems = append(f.systems, l.System)
	}
}

// common returns the name under which different ways to the same result
// compete.
func common(name string) string {
	for _, suffix := range []string{"_composed", "_foreach"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return name
}

// commonPass is common for passes: _raw is an operator without its module, and fwdtrain
// oneDNN's forward pass that keeps the statistics.
func commonPass(pass string) string {
	if pass == "fwdtrain" {
		return fwd
	}
	return strings.TrimSuffix(pass, "_raw")
}

// maxForeign is how much of a processor other programs may use before a line counts as
// disturbed.
const maxForeign = 0.15

func disturbed(l result) bool { return l.Foreign > maxForeign }

// rounds returns the lines of a system in a cell: the undisturbed ones, or else all.
func (f *figures) rounds(c cell, system string) []result {
	all := f.lines[c][system]
	if quiet := slices.DeleteFunc(slices.Clone(all), disturbed); len(quiet) > 0 {
		return quiet
	}
	return all
}

// line returns the undisturbed line with the lowest median of all rounds, since
// disturbance only adds time. If there is none, it returns the least disturbed line.
func (f *figures) line(c cell, system string) (best result, ok bool) {
	lines := f.rounds(c, system)
	if len(lines) == 0 {
		return best, false
	}
	return slices.MinFunc(lines, func(a, b result) int {
		if disturbed(a) {
			return cmp.Compare(a.Foreign, b.Foreign)
		}
		return cmp.Compare(a.Median, b.Median)
	}), true
}

// figure is a time in a cell; the zero value is none.
type figure struct {
	us       float64
	system   string // the one that was measured
	which    string // its set-up
	quoted   bool   // taken from reference.csv, not measured with the rest
	doubtful bool   // the memory was probably slow
}

// maxSlow is how many times its fastest round, or its reference, a figure may be without
// being doubtful. This finds slow memory, which does not show in the time that other
// programs use.
const maxSlow = 3

// time returns the time of a system. It is doubtful if the median of the rounds is far
// above the fastest one: then that, too, may have been slow.
func (f *figures) time(c cell, system string) figure {
	l, ok := f.line(c, system)
	if !ok {
		return figure{}
	}
	_, which, _ := strings.Cut(system, "-")
	if variant, ok := strings.CutPrefix(l.Name, c.name+"_"); ok {
		which += " " + variant
	}
	if l.Pass == c.pass+"_raw" {
		which += " raw"
	}
	var medians []float64
	for _, r := range f.rounds(c, system) {
		if r.Name == l.Name && r.Pass == l.Pass { // ways to the same result are not rounds
			medians = append(medians, r.Median)
		}
	}
	return figure{us: l.Median, system: system, which: which, doubtful: median(medians) > maxSlow*slices.Min(medians)}
}

// peerGroup is a group of systems of which the fastest counts.
type peerGroup struct {
	title   string
	systems []string
	column  string // of reference.csv
}

// oneDNN's own blocked layout is not in its group, as a caller's tensor does not have it.
var (
	torchDefault     = peerGroup{"PyTorch default", []string{"torch-default"}, "torch_default"}
	torchBest        = peerGroup{"PyTorch", []string{"torch-default", "torch-warm", "torch-tuned", "torch-tuned-omp"}, "torch_best"}
	oneDNN           = peerGroup{"oneDNN", []string{"onednn", "onednn-nhwc"}, "onednn"}
	gorgonia         = peerGroup{"Gorgonia", []string{gorgoniaSystem}, "gorgonia"}
	gorgoniaOpenBLAS = peerGroup{"Gorgonia with OpenBLAS", []string{"gorgonia-netlib"}, "gorgonia_openblas"}
)

// fastest returns the fastest of a group, as measured with the rest or, where no
// system of the group was, as quoted. What was measured is doubtful if it is far above
// what is quoted.
func (f *figures) fastest(c cell, g peerGroup) figure {
	q := f.reference[c]
	if best := f.measured(c, g); best.us > 0 {
		column := g.column
		if best.system == torchDefault.systems[0] { // the best set-up may not have been measured
			column = torchDefault.column
		}
		if usual := q.us[column]; usual > 0 && best.us > maxSlow*usual {
			best.doubtful = true
		}
		return best
	}
	best := figure{us: q.us[g.column], quoted: true}
	if g.column == torchBest.column {
		best.which = q.which
	}
	return best
}

// measured returns the fastest of those that were measured with the rest.
func (f *figures) measured(c cell, g peerGroup) (best figure) {
	for _, s := range g.systems {
		if t := f.time(c, s); t.us > 0 && (best.us == 0 || t.us < best.us) {
			best = t
		}
	}
	return best
}

// doubtful counts the doubtful figures of a system.
func (f *figures) doubtful(system string) (n int) {
	for c := range f.lines {
		all := []figure{f.time(c, system)}
		for _, g := range []peerGroup{torchDefault, torchBest, oneDNN, gorgonia} {
			if best := f.fastest(c, g); best.system == system {
				all = append(all, best)
			}
		}
		if slices.ContainsFunc(all, func(t figure) bool { return t.doubtful }) {
			n++
		}
	}
	return n
}

// bestPeer returns the fastest peer in any set-up, with one thread too where
// there may be more.
func (f *figures) bestPeer(c cell) (best figure) {
	for t := 1; t <= c.threads; t++ {
		few := c
		few.threads = t
		for _, g := range []peerGroup{torchBest, oneDNN} {
			p := f.fastest(few, g)
			if p.us == 0 || best.us > 0 && p.us >= best.us {
				continue
			}
			best = p
			best.which = strings.TrimSpace(g.title + " " + p.which)
			if t < c.threads {
				best.which += fmt.Sprintf(", %dt", t)
			}
		}
	}
	return best
}

// cells returns the cells that any of the systems has, in the order of the cases.
func (f *figures) cells(systems ...string) (cs []cell) {
	for c, lines := range f.lines {
		if slices.ContainsFunc(systems, func(s string) bool { return lines[s] != nil }) {
			cs = append(cs, c)
		}
	}
	order := map[string]int{}
	for _, row := range shapes {
		for _, n := range row.names {
			order[n] = len(order) + 1
		}
	}
	at := func(c cell) string {
		pass := slices.Index([]string{fwd, bwd, fwdbwd, step}, c.pass)
		return fmt.Sprintf("%04d %-30s %s %015d %s %04d %d", order[c.name], c.name, c.dtype, c.array(), c.shape, c.threads, pass)
	}
	slices.SortFunc(cs, func(a, b cell) int { return strings.Compare(at(a), at(b)) })
	return cs
}

// ours returns those of our measured systems whose names have the prefix, sorted.
func (f *figures) ours(prefix string) []string {
	s := slices.DeleteFunc(slices.Clone(f.systems), func(s string) bool { return !strings.HasPrefix(s, prefix) })
	slices.Sort(s)
	return s
}
