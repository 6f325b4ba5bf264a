package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// large is the size of an array from which two of them fill the last cache of
// the machine of the reference figures.
const large = 16 << 20

// levels are the kinds of rows that are counted together.
var levels = []struct {
	title string
	has   func(c cell) bool
}{
	{"1 thread", func(c cell) bool { return c.threads == 1 }},
	{"2 threads, arrays under 16 MiB", func(c cell) bool { return c.threads == 2 && c.array() < large }},
	{"2 threads, arrays of 16 MiB and more", func(c cell) bool { return c.threads == 2 && c.array() >= large }},
}

// summary counts the rows that meet their targets.
func (f *figures) summary(w io.Writer) {
	var kernels, graphs [][]string
	for _, dtype := range []string{"float32", "float64"} {
		for _, l := range levels {
			other := func(c cell) bool { return c.dtype != dtype || titles[c.name] == "" || !l.has(c) }
			title := dtype + ", " + l.title
			if cells := slices.DeleteFunc(f.cells(kernelSystem), other); len(cells) > 0 {
				kernels = append(kernels, f.kernelCounts(title, cells))
			}
			if cells := slices.DeleteFunc(f.cells(graphSystem, reuseSystem), other); len(cells) > 0 {
				graphs = append(graphs, f.graphCounts(title, cells))
			}
		}
	}
	columns := []string{"kernel level", "rows", "meet must", "meet reach", "ahead of every peer", "best peer / ours, median"}
	if !f.hasReference() {
		columns = []string{"kernel level", "rows", "ahead of every peer", "ahead by 15 % or more", "best peer / ours, median"}
	}
	printTable(w, columns, kernels)
	if len(graphs) == 0 {
		return
	}
	fmt.Fprintln(w)
	printTable(w, []string{"in a graph", "rows", graphSystem + " ahead of PyTorch", reuseSystem + " ahead of PyTorch",
		graphSystem + " ahead of Gorgonia", reuseSystem + " ahead of Gorgonia",
		"Gorgonia / " + graphSystem + ", median", "Gorgonia / " + reuseSystem + ", median",
		reuseSystem + " near its kernels"}, graphs)
}

func (f *figures) kernelCounts(title string, cells []cell) []string {
	must, reach := 0, 0
	for _, c := range cells {
		if m := f.met(c); m == "reach" {
			must, reach = must+1, reach+1
		} else if m == "must" {
			must++
		}
	}
	n := len(cells)
	ratios := f.ratios(cells, f.bestPeer, kernelSystem)
	row := []string{title, strconv.Itoa(n)}
	if f.hasReference() {
		row = append(row, strconv.Itoa(must), strconv.Itoa(reach), ahead(ratios, n))
	} else {
		row = append(row, ahead(ratios, n), aheadBy(1.15, ratios, n))
	}
	return append(row, ratio(median(ratios), 1))
}

// graphCounts returns a row with the counts without and with Reuse side by side. Gorgonia
// has no figures for some rows.
func (f *figures) graphCounts(title string, cells []cell) []string {
	row := []string{title, strconv.Itoa(len(cells))}
	var medians []string
	for _, g := range []peerGroup{torchBest, gorgonia} {
		medians = nil // in the end only those of Gorgonia are left
		for _, s := range []string{graphSystem, reuseSystem} {
			ratios := f.ratios(cells, func(c cell) figure { return f.fastest(c, g) }, s)
			row = append(row, ahead(ratios, len(cells)))
			medians = append(medians, ratio(median(ratios), 1))
		}
	}
	return append(append(row, medians...), f.nearKernels(cells))
}

// nearKernels counts the rows of fwdbwd that take little more with Reuse than their two
// kernels, among those that both have figures of.
func (f *figures) nearKernels(cells []cell) string {
	var ratios []float64 // of the time that is allowed to the time that it takes
	for _, c := range cells {
		if c.pass != fwdbwd {
			continue
		}
		forward, backward := c, c
		forward.pass, backward.pass = fwd, bwd
		x, y, graph := f.time(forward, kernelSystem).us, f.time(backward, kernelSystem).us, f.time(c, reuseSystem).us
		if x > 0 && y > 0 && graph > 0 {
			ratios = append(ratios, (machineTime+moreThanKernels*(x+y))/graph)
		}
	}
	return aheadBy(1, ratios, len(cells))
}

// A row in a graph is near its kernels if it takes no longer than 60 µs, for the run of the
// machine itself, plus 1.2 times what its kernels take alone.
const (
	machineTime     = 60
	moreThanKernels = 1.2
)

// ratios returns how many times faster a system is than the peer, in the cells that
// both have.
func (f *figures) ratios(cells []cell, peer func(c cell) figure, system string) (ratios []float64) {
	for _, c := range cells {
		if ours, theirs := f.time(c, system).us, peer(c).us; ours > 0 && theirs > 0 {
			ratios = append(ratios, theirs/ours)
		}
	}
	return ratios
}

// ahead counts the ratios above 1. It adds how many ratios there are if not every row has
// one.
func ahead(ratios []float64, rows int) string {
	return count(ratios, rows, func(r float64) bool { return r > 1 })
}

// aheadBy counts the ratios from least on.
func aheadBy(least float64, ratios []float64, rows int) string {
	return count(ratios, rows, func(r float64) bool { return r >= least })
}

func count(ratios []float64, rows int, counts func(r float64) bool) string {
	n := 0
	for _, r := range ratios {
		if counts(r) {
			n++
		}
	}
	switch len(ratios) {
	case 0:
		return "–" // nothing to compare with
	case rows:
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d of %d", n, len(ratios))
}

// median returns 0 for nothing.
func median(x []float64) float64 { return quantile(x, 0.5) }

func quantile(x []float64, q float64) float64 {
	if len(x) == 0 {
		return 0
	}
	x = slices.Sorted(slices.Values(x))
	return x[min(int(q*float64(len(x))), len(x)-1)]
}

// runs says what the figures come from: the rounds of each system, how many of its lines
// other programs disturbed, how many of its figures are doubtful, and how far the slowest
// undisturbed round of a row lies above the fastest.
func (f *figures) runs(w io.Writer) {
	var rows [][]string
	for _, s := range f.systems {
		days, rounds := map[string]bool{}, map[int]bool{}
		lines, bad := 0, 0
		for _, c := range f.lines {
			for _, l := range c[s] {
				days[l.Date], rounds[l.Round] = true, true
				lines++
				if disturbed(l) {
					bad++
				}
			}
		}
		spreads := f.spreads(s)
		dates := strings.TrimSpace(strings.Join(slices.Sorted(maps.Keys(days)), " "))
		if dates == "" {
			dates = "–"
		}
		rows = append(rows, []string{s, dates, strconv.Itoa(len(rounds)),
			strconv.Itoa(lines), strconv.Itoa(bad), strconv.Itoa(f.doubtful(s)), percentile(spreads, 0.5), percentile(spreads, 0.9)})
	}
	printTable(w, []string{"system", "days", "rounds", "lines", "disturbed", "figures with †", "spread, median", "spread, 90th percentile"}, rows)
}

// spreads are the spreads of a system between rounds, in all rows that have several.
func (f *figures) spreads(system string) (spreads []float64) {
	for _, c := range f.lines {
		medians := map[string][]float64{} // ways to the same result are not rounds
		for _, l := range c[system] {
			if !disturbed(l) {
				medians[l.Name+" "+l.Pass] = append(medians[l.Name+" "+l.Pass], l.Median)
			}
		}
		for _, m := range medians {
			if len(m) > 1 {
				spreads = append(spreads, slices.Max(m)/slices.Min(m)-1)
			}
		}
	}
	return spreads
}

func percentile(fractions []float64, q float64) string {
	if len(fractions) == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f %%", 100*quantile(fractions, q))
}
