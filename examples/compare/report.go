package main

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"

	"github.com/gorgonorm/norm/internal/replacefile"
)

// page is the file of the tables. It is not README.md, for the folder may be the user's.
const page = "runs.md"

// report writes figures and tables, and prints the tables.
func report(dir string, runs []*Run, stdout io.Writer) error {
	files, err := drawFigures(dir, runs)
	if err != nil {
		return err
	}
	var tables bytes.Buffer
	writeTables(&tables, runs)
	if _, err := fmt.Fprintf(stdout, "\n%s", tables.Bytes()); err != nil {
		return err
	}
	fmt.Fprintln(&tables)
	for _, f := range files {
		fmt.Fprintf(&tables, "![%s](%s)\n", f, f)
	}
	path := filepath.Join(dir, page)
	if err := replacefile.Write(path, func(w io.Writer) error { _, err := tables.WriteTo(w); return err }); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "\nfigures and tables: %s\n", path)
	return err
}

// writeTables writes the last points of the curves and the spread.
func writeTables(w io.Writer, runs []*Run) {
	for i := range experiments {
		e := &experiments[i]
		gs := groups(runs, e.name)
		if gs == nil {
			continue
		}
		steps := gs[0].runs[0].last().Step
		word := "seeds"
		if len(gs[0].runs) == 1 {
			word = "seed"
		}
		fmt.Fprintf(w, "%s, %d steps, %s", e.title, steps, word)
		for _, r := range gs[0].runs {
			fmt.Fprintf(w, " %d", r.Seed)
		}
		fmt.Fprintf(w, "\n\n| norm | learning rate | training loss | test loss | test accuracy | of the seeds | steps to %g %% |\n|---|---|---|---|---|---|---|\n", 100*e.target)
		for _, g := range gs {
			end := len(g.runs[0].Points) - 1
			_, train, _ := g.at(end, trainLoss)
			_, test, _ := g.at(end, testLoss)
			low, mid, high := g.at(end, testAccuracy)
			span, reached := "–", "–"
			if len(g.runs) > 1 {
				span = fmt.Sprintf("%.2f to %.2f", 100*low, 100*high)
			}
			if step := g.reaches(e.target); step > 0 {
				reached = fmt.Sprint(step)
			}
			fmt.Fprintf(w, "| %s | %g | %.4f | %.4f | %.2f %% | %s | %s |\n",
				names[g.kind], g.runs[0].Rate, train, test, 100*mid, span, reached)
		}
		fmt.Fprintln(w)
		for _, g := range gs {
			if g.runs[0].Reestimated > 0 {
				_, mid, _ := g.over(func(r *Run) float64 { return r.Reestimated })
				fmt.Fprintf(w, "With statistics by `norm.Reestimate`, batch norm's test accuracy is %.2f %%.\n\n", 100*mid)
			}
		}
		if e.spread {
			writeSpread(w, gs)
		}
	}
}

func writeSpread(w io.Writer, gs []group) {
	fmt.Fprint(w, "Inputs of the last hidden layer's units, 85th − 15th percentile over the images, and how far the 50th moves\n\n"+
		"| norm | at first | at the end | the 50th moves by |\n|---|---|---|---|\n")
	for _, g := range gs {
		_, first, _ := g.over(func(r *Run) float64 { return r.Spread.First })
		_, last, _ := g.over(func(r *Run) float64 { return r.Spread.Last })
		_, shift, _ := g.over(func(r *Run) float64 { return r.Spread.Shift })
		fmt.Fprintf(w, "| %s | %.2f | %.2f | %.2f |\n", names[g.kind], first, last, shift)
	}
	fmt.Fprintln(w)
}
