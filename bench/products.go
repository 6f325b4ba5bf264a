package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
)

// variants are ways to do the same thing, without a norm and with norms. Side by side they
// show what the norms cost.
type variants struct {
	plain  string
	normed []string
	titles []string // of plain and the normed ones
}

// linear prints the linear layer with a normalized weight beside the plain one, on the same
// BLAS.
func (f *figures) linear(w io.Writer) {
	f.printVariants(w, variants{"linear", []string{"weightnorm_linear"}, []string{"plain", "weight norm"}})
}

// steps prints training steps with norms beside the same steps without.
func (f *figures) steps(w io.Writer) {
	var models []variants
	for _, name := range []string{"mlp_small", "mlp_big"} {
		models = append(models, variants{name + "_nonorm", []string{name, name + "_layernorm"}, []string{"no norm", "batch norm", "layer norm"}})
	}
	f.printVariants(w, models...)
}

// printVariants prints a table for each of the variants that has figures.
func (f *figures) printVariants(w io.Writer, all ...variants) {
	some := false
	for _, v := range all {
		head, rows := f.variants(v)
		if len(rows) == 0 {
			continue
		}
		if some {
			fmt.Fprintln(w)
		}
		some = true
		printTable(w, head, rows)
	}
	if !some {
		printTable(w, nil, nil)
	}
}

// variants returns a row for each of our systems, PyTorch and Gorgonia.
func (f *figures) variants(v variants) (head []string, rows [][]string) {
	head = append([]string{"shape", "dtype", "t", "pass", "system"}, v.titles...)
	for _, t := range v.titles[1:] {
		head = append(head, t+" − "+v.titles[0], t+" / "+v.titles[0])
	}
	ours := f.ours("norm")
	for _, c := range f.cells(ours...) {
		if c.name != v.plain {
			continue
		}
		at := []string{times(c.shape), c.dtype, strconv.Itoa(c.threads), c.pass}
		add := func(system string, time func(c cell) figure) {
			if row := v.row(c, time); row != nil {
				rows = append(rows, slices.Concat(at, []string{system}, row))
			}
		}
		for _, s := range ours {
			add(s, func(c cell) figure { return f.time(c, s) })
		}
		for _, g := range []peerGroup{torchDefault, torchBest, gorgonia, gorgoniaOpenBLAS} {
			title := g.title
			if g.column == torchBest.column {
				title += " best"
			}
			add(title, func(c cell) figure { return f.fastest(c, g) })
		}
	}
	return head, rows
}

// row returns the times of the variants and what the norms add to them, nil if
// the plain one or all others are not there.
func (v variants) row(c cell, time func(c cell) figure) []string {
	plain := time(c)
	row := []string{plain.String()}
	var costs []string
	some := false
	for _, name := range v.normed {
		c.name = name
		normed := time(c)
		row = append(row, normed.String())
		if normed.us == 0 || normed.quoted != plain.quoted { // times of different runs have no difference
			costs = append(costs, "", "")
			continue
		}
		some = true
		costs = append(costs, signed(normed.us-plain.us), ratio(normed.us, plain.us))
	}
	if plain.us == 0 || !some {
		return nil
	}
	return append(row, costs...)
}

// signed writes a difference, which noise may make negative.
func signed(us float64) string {
	if us < 0 {
		return "−" + micros(-us)
	}
	return micros(us)
}
