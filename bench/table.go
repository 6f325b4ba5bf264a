package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// section is a part of the report on a run: what -table prints under its title,
// and -page puts between the marks with its name.
type section struct {
	name, title string
	print       func(f *figures, w io.Writer)
	shrinks     bool // has fewer rows the better the kernels are
}

// write prints the section, with a line below if figures are doubtful.
func (s section) write(f *figures, w io.Writer) {
	var text bytes.Buffer
	s.print(f, &text)
	w.Write(text.Bytes())
	if !bytes.Contains(text.Bytes(), []byte("†")) {
		return
	}
	fmt.Fprintf(w, "\n† Doubtful, as in a slow spell of the memory: the median of the rounds is more than %d times the fastest", maxSlow)
	if f.hasReference() {
		fmt.Fprintf(w, ",\nor a peer takes more than %d times as long as in reference.csv", maxSlow)
	}
	fmt.Fprintln(w, ".")
}

var sections = []section{
	{"runs", "Runs", (*figures).runs, false},
	{"summary", "Summary", (*figures).summary, false},
	{"behind", "Kernel level: rows where a peer is faster", (*figures).behind, true},
	{"behind-graph", "In a graph: rows where PyTorch is faster", (*figures).behindInGraph, true},
	{"kernel", "Kernel level", (*figures).kernelLevel, false},
	{"graph", "In a graph", (*figures).inGraph, false},
	{"paths", "Lower instruction sets", (*figures).paths, false},
	{"linear", "Weight-norm linear beside a plain one", (*figures).linear, false},
	{"steps", "Training steps, with and without norms", (*figures).steps, false},
	{"families", "The other norms", (*figures).families, false},
}

// printTables prints all sections.
func (f *figures) printTables(w io.Writer) {
	fmt.Fprint(w, "Times in µs")
	if f.hasReference() {
		fmt.Fprint(w, "; figures in italics are those of reference.csv, the others were measured together")
	}
	fmt.Fprintln(w, ".")
	for _, s := range sections {
		fmt.Fprintf(w, "\n## %s\n\n", s.title)
		s.write(f, w)
	}
}

// printTable prints a Markdown table, or that there is nothing to print.
func printTable(w io.Writer, head []string, rows [][]string) {
	if len(rows) == 0 {
		fmt.Fprintln(w, "None.")
		return
	}
	fmt.Fprintf(w, "| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, r := range rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(r, " | "))
	}
}

var titles = map[string]string{
	"layernorm":         "Layer norm",
	"batchnorm1d_train": "Batch norm of a matrix, training", "batchnorm1d_eval": "Batch norm of a matrix, evaluation",
	"batchnorm2d_train": "Batch norm of images, training", "batchnorm2d_eval": "Batch norm of images, evaluation",
	"weight_norm": "Weight norm",
}

// printByCase prints a table for each norm and dtype, with shape, threads and
// pass before the columns.
func printByCase(w io.Writer, cells []cell, columns []string, row func(c cell) []string) {
	cells = slices.DeleteFunc(slices.Clone(cells), func(c cell) bool { return titles[c.name] == "" })
	if len(cells) == 0 {
		fmt.Fprintln(w, "None.")
		return
	}
	for start := 0; start < len(cells); {
		first, end := cells[start], start
		var rows [][]string
		for ; end < len(cells) && cells[end].name == first.name && cells[end].dtype == first.dtype; end++ {
			c := cells[end]
			rows = append(rows, append([]string{times(c.shape), strconv.Itoa(c.threads), c.pass}, row(c)...))
		}
		if start > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "#### %s, %s\n\n", titles[first.name], first.dtype)
		printTable(w, append([]string{"shape", "t", "pass"}, columns...), rows)
		start = end
	}
}

// The system of the tables at the kernel level, and the systems in a graph. Systems with a
// suffix use other instruction sets or another BLAS.
const (
	kernelSystem = "norm-raw"
	graphSystem  = "norm"
	reuseSystem  = "norm-reuse"
	copySystem   = "copy"

	gorgoniaSystem = "gorgonia"
)

func (f *figures) kernelLevel(w io.Writer) {
	columns := []string{kernelSystem, "torch default", "torch best", "which", "oneDNN", "copy", "best peer / ours"}
	if f.hasReference() {
		columns = slices.Insert(columns, 6, "floor", "must", "reach")
		columns = append(columns, "ours / floor", "met")
	}
	printByCase(w, f.cells(kernelSystem), columns, func(c cell) []string {
		t, best := f.time(c, kernelSystem), f.fastest(c, torchBest)
		ours := t.us
		row := []string{t.String(), f.fastest(c, torchDefault).String(), best.String(), best.which, f.fastest(c, oneDNN).String(),
			f.time(c, copySystem).String(), ratio(f.bestPeer(c).us, ours)}
		if f.hasReference() {
			q := f.reference[c].us
			row = slices.Insert(row, 6, micros(q["floor"]), micros(q["must"]), micros(q["reach"]))
			row = append(row, ratio(ours, q["floor"]), f.met(c))
		}
		return row
	})
}

// met says which target of the reference a row meets.
func (f *figures) met(c cell) string {
	ours, q := f.time(c, kernelSystem).us, f.reference[c].us
	switch {
	case ours <= q["reach"]:
		return "reach"
	case ours <= q["must"]:
		return "must"
	case q["must"] == 0:
		return ""
	}
	return "–"
}

func (f *figures) inGraph(w io.Writer) {
	columns := []string{graphSystem, reuseSystem, "torch default", "torch best", "which", "Gorgonia",
		"torch best / " + reuseSystem, "Gorgonia / " + graphSystem, "Gorgonia / " + reuseSystem}
	printByCase(w, f.cells(graphSystem, reuseSystem), columns, func(c cell) []string {
		fresh, reuse, best, today := f.time(c, graphSystem), f.time(c, reuseSystem), f.fastest(c, torchBest), f.fastest(c, gorgonia)
		return []string{fresh.String(), reuse.String(), f.fastest(c, torchDefault).String(), best.String(), best.which, today.String(),
			ratio(best.us, reuse.us), ratio(today.us, fresh.us), ratio(today.us, reuse.us)}
	})
}

// paths prints the kernels on lower instruction sets beside PyTorch as it is installed,
// which uses AVX2.
func (f *figures) paths(w io.Writer) {
	systems := slices.DeleteFunc(f.ours(kernelSystem+"-"), func(s string) bool { return !slices.Contains(isaSuffixes, strings.TrimPrefix(s, kernelSystem)) })
	columns := []string{kernelSystem, "torch default"}
	for _, s := range systems {
		columns = append(columns, s, "torch default / "+s)
	}
	printByCase(w, f.cells(systems...), columns, func(c cell) []string {
		torch := f.fastest(c, torchDefault)
		row := []string{f.time(c, kernelSystem).String(), torch.String()}
		for _, s := range systems {
			t := f.time(c, s)
			row = append(row, t.String(), ratio(torch.us, t.us))
		}
		return row
	})
}

func (f *figures) behind(w io.Writer) {
	f.printBehind(w, f.cells(kernelSystem), f.bestPeer, kernelSystem)
}

func (f *figures) behindInGraph(w io.Writer) {
	torch := func(c cell) figure { return f.fastest(c, torchBest) }
	f.printBehind(w, f.cells(graphSystem, reuseSystem), torch, graphSystem, reuseSystem)
}

// printBehind prints the rows in which the faster of our systems is slower than
// the peer.
func (f *figures) printBehind(w io.Writer, cells []cell, peer func(cell) figure, systems ...string) {
	var rows [][]string
	peers := false
	for _, c := range cells {
		ours, theirs := f.measured(c, peerGroup{systems: systems}), peer(c)
		if titles[c.name] == "" || theirs.us == 0 {
			continue
		}
		if peers = true; ours.us <= theirs.us {
			continue
		}
		rows = append(rows, []string{titles[c.name], times(c.shape), c.dtype, strconv.Itoa(c.threads), c.pass,
			ours.String(), theirs.String(), theirs.which, ratio(ours.us, theirs.us)})
	}
	if !peers {
		fmt.Fprintln(w, "– (nothing to compare)")
		return
	}
	printTable(w, []string{"op", "shape", "dtype", "t", "pass", "ours", "peer", "which", "ours / peer"}, rows)
}

// String returns the time, in italics if it is quoted and with a mark if it is doubtful.
func (t figure) String() string {
	switch text := micros(t.us); {
	case t.us > 0 && t.quoted:
		return "*" + text + "*"
	case t.doubtful:
		return text + "†"
	default:
		return text
	}
}

// times writes a shape as one reads it.
func times(shape string) string { return strings.ReplaceAll(shape, "x", "×") }

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
	digits := 2
	if a >= 10*b {
		digits = 0
	}
	return strconv.FormatFloat(a/b, 'f', digits, 64) + "×"
}
