package main

import (
	"bufio"
	_ "embed" // the targets
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// cell names what is compared: one row of the table.
type cell struct {
	name, shape, dtype string
	threads            int
	pass               string
}

// figures are the times of each system in each cell.
type figures struct {
	lines   map[cell]map[string][]result
	systems []string // in order of appearance
}

// printTable prints the lines of the files as a Markdown table.
func printTable(w io.Writer, files []string) error {
	if len(files) == 0 {
		return fmt.Errorf("no files to make a table of")
	}
	f := &figures{lines: map[cell]map[string][]result{}}
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		err = f.read(file)
		file.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	targets, err := readTargets(targetsCSV)
	if err != nil {
		return err
	}
	return f.print(w, targets)
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
		if l.Median <= 0 { // a peer that gave up
			continue
		}
		f.add(l)
	}
	return lines.Err()
}

func (f *figures) add(l result) {
	dims := make([]string, len(l.Shape))
	for i, n := range l.Shape {
		dims[i] = strconv.Itoa(n)
	}
	c := cell{common(l.Name), strings.Join(dims, "x"), l.Dtype, l.Threads, commonPass(l.Pass)}
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

// commonPass does that for passes: an operator without its module, and oneDNN's
// forward pass that keeps the statistics.
func commonPass(pass string) string {
	if pass == "fwdtrain" {
		return fwd
	}
	return strings.TrimSuffix(pass, "_raw")
}

// maxForeign is the part of a processor that other programs may use before a
// line counts as disturbed.
const maxForeign = 0.15

// time returns the lowest median over the rounds, since disturbance only adds
// time: of the undisturbed ones, or else of the least disturbed. With it comes
// the line that gave it.
func (f *figures) time(c cell, system string) (float64, result) {
	all := f.lines[c][system]
	lines := slices.DeleteFunc(slices.Clone(all), func(l result) bool { return l.Foreign > maxForeign })
	if len(lines) == 0 && len(all) > 0 {
		lines = []result{slices.MinFunc(all, func(a, b result) int { return int(1e6 * (a.Foreign - b.Foreign)) })}
	}
	if len(lines) == 0 {
		return 0, result{}
	}
	best := slices.MinFunc(lines, func(a, b result) int { return int(1e6 * (a.Median - b.Median)) })
	return best.Median, best
}

// bestPeer returns the fastest peer in any set-up, with one thread too where
// there may be more, and what it is; 0 if there is none.
func (f *figures) bestPeer(c cell) (best float64, which string) {
	for _, s := range f.systems {
		if !isPeer(s) {
			continue
		}
		for t := 1; t <= c.threads; t++ {
			few := c
			few.threads = t
			us, l := f.time(few, s)
			if us == 0 || best > 0 && us >= best {
				continue
			}
			best, which = us, s
			if variant, ok := strings.CutPrefix(l.Name, c.name+"_"); ok {
				which += " " + variant
			}
			if l.Pass == c.pass+"_raw" {
				which += " raw"
			}
			if t < c.threads {
				which += fmt.Sprintf(", %dt", t)
			}
		}
	}
	return best, which
}

func isOurs(system string) bool { return strings.HasPrefix(system, "norm") }

// isPeer leaves out oneDNN's own blocked layout, which a caller's tensor does
// not have.
func isPeer(system string) bool {
	return strings.HasPrefix(system, "torch") || strings.HasPrefix(system, "onednn") && system != "onednn-blocked"
}

// print prints the cells that one of our systems, a peer or Gorgonia has.
func (f *figures) print(w io.Writer, targets map[cell]target) error {
	var ours, gorgonia []string
	for _, s := range f.systems {
		switch {
		case isOurs(s):
			ours = append(ours, s)
		case strings.HasPrefix(s, "gorgonia"):
			gorgonia = append(gorgonia, s)
		}
	}
	head := []string{"name", "shape", "dtype", "threads", "pass"}
	head = append(append(head, ours...), "best peer", "which")
	for _, s := range ours {
		head = append(head, "peer / "+s)
	}
	head = append(append(head, "must", "reach"), gorgonia...)
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "Times in µs.\n\n| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, c := range f.cells(append(slices.Clone(ours), gorgonia...)) {
		fmt.Fprintf(out, "| %s |\n", strings.Join(f.row(c, ours, gorgonia, targets), " | "))
	}
	return out.Flush()
}

func (f *figures) row(c cell, ours, gorgonia []string, targets map[cell]target) []string {
	peer, which := f.bestPeer(c)
	row := []string{c.name, c.shape, c.dtype, strconv.Itoa(c.threads), c.pass}
	var ratios []string
	for _, s := range ours {
		us, _ := f.time(c, s)
		row = append(row, micros(us))
		ratios = append(ratios, ratio(peer, us))
	}
	t := targets[c]
	row = append(append(append(row, micros(peer), which), ratios...), micros(t.must), micros(t.reach))
	for _, s := range gorgonia {
		us, _ := f.time(c, s)
		row = append(row, micros(us))
	}
	return row
}

// cells returns the cells with one of the systems or a peer, in the order of
// the cases.
func (f *figures) cells(systems []string) (cs []cell) {
	for c, lines := range f.lines {
		for s := range lines {
			if isPeer(s) || slices.Contains(systems, s) {
				cs = append(cs, c)
				break
			}
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
		return fmt.Sprintf("%04d %-30s %s %s %04d %d", order[c.name], c.name, c.dtype, sortable(c.shape), c.threads, pass)
	}
	slices.SortFunc(cs, func(a, b cell) int { return strings.Compare(at(a), at(b)) })
	return cs
}

// sortable orders shapes by size, then as they are.
func sortable(shape string) string {
	n := 1
	for _, d := range strings.Split(shape, "x") {
		k, _ := strconv.Atoi(d)
		n *= k
	}
	return fmt.Sprintf("%015d %s", n, shape)
}

func micros(us float64) string {
	switch {
	case us == 0:
		return ""
	case us >= 1000:
		return strconv.FormatFloat(us, 'f', 0, 64)
	case us >= 100:
		return strconv.FormatFloat(us, 'f', 1, 64)
	default:
		return strconv.FormatFloat(us, 'f', 2, 64)
	}
}

func ratio(a, b float64) string {
	if a == 0 || b == 0 {
		return ""
	}
	return strconv.FormatFloat(a/b, 'f', 2, 64) + "×"
}

// target is what a pass should take.
type target struct{ must, reach float64 }

//go:embed targets.csv
var targetsCSV string

func readTargets(text string) (map[cell]target, error) {
	r := csv.NewReader(strings.NewReader(text))
	r.Comment = '#'
	rows, err := r.ReadAll()
	if err != nil {
		return nil, err
	}
	all := map[cell]target{}
	for _, row := range rows[1:] {
		threads, err := strconv.Atoi(row[3])
		if err != nil {
			return nil, err
		}
		must, err := strconv.ParseFloat(row[7], 64)
		if err != nil {
			return nil, err
		}
		reach, err := strconv.ParseFloat(row[8], 64)
		if err != nil {
			return nil, err
		}
		all[cell{row[0], row[1], row[2], threads, row[4]}] = target{must, reach}
	}
	return all, nil
}
