package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/gorgonorm/norm/internal/replacefile"
)

// numbers is the file of all that was measured, from which -redraw makes figures and
// tables again.
const numbers = "runs.json"

func writeRuns(dir string, runs []*Run) error {
	return replacefile.Write(filepath.Join(dir, numbers), func(w io.Writer) error { return json.NewEncoder(w).Encode(runs) })
}

func readRuns(dir string) (runs []*Run, err error) {
	path := filepath.Join(dir, numbers)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	err = json.Unmarshal(b, &runs)
	if err == nil {
		err = check(runs)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: not the numbers of this program: %w", path, err)
	}
	return runs, nil
}

// check returns an error if the runs lack what figures and tables need: of an experiment
// every kind, from the same seeds and with points at the same steps.
func check(runs []*Run) error {
	if len(runs) == 0 {
		return errors.New("no runs")
	}
	for i, r := range runs {
		if err := r.check(); err != nil {
			return fmt.Errorf("run %d: %w", i+1, err)
		}
	}
	for _, e := range experiments {
		gs := groups(runs, e.name)
		if gs == nil {
			continue
		}
		if len(gs) != len(kinds) {
			return fmt.Errorf("%s: %d kinds of networks, want %d", e.name, len(gs), len(kinds))
		}
		first := gs[0].runs
		for _, g := range gs {
			if !slices.EqualFunc(g.runs, first, func(a, b *Run) bool { return a.Seed == b.Seed }) {
				return fmt.Errorf("%s: norm %s has other seeds than %s", e.name, g.kind, gs[0].kind)
			}
			for _, r := range g.runs {
				if !slices.EqualFunc(r.Points, first[0].Points, func(a, b Point) bool { return a.Step == b.Step }) {
					return fmt.Errorf("%s: norm %s, seed %d has points at other steps", e.name, g.kind, r.Seed)
				}
			}
		}
	}
	return nil
}

// check looks at one run by itself.
func (r *Run) check() error {
	if r == nil {
		return errors.New("empty")
	}
	e := find(r.Experiment)
	switch {
	case e == nil:
		return fmt.Errorf("experiment %q", r.Experiment)
	case !slices.Contains(kinds, r.Kind):
		return fmt.Errorf("norm %q", r.Kind)
	case len(r.Points) == 0:
		return errors.New("no points")
	case e.spread && (r.Spread == nil || len(r.Spread.Steps) == 0 || len(r.Spread.Steps) != len(r.Spread.Values)):
		return errors.New("no spread of a unit's input at each of its steps")
	}
	last := 0
	for _, p := range r.Points {
		if p.Step <= last || p.TrainLoss <= 0 {
			return fmt.Errorf("step %d, training loss %g: want steps in order and losses above 0", p.Step, p.TrainLoss)
		}
		last = p.Step
	}
	return nil
}

// find returns the experiment of that name, or nil.
func find(name string) *experiment {
	for i := range experiments {
		if experiments[i].name == name {
			return &experiments[i]
		}
	}
	return nil
}

// group is the runs of one experiment and one kind, which differ in their seeds.
type group struct {
	kind string
	runs []*Run
}

// groups returns the groups of an experiment, in the order of kinds.
func groups(runs []*Run, experiment string) (gs []group) {
	for _, kind := range kinds {
		g := group{kind: kind}
		for _, r := range runs {
			if r.Experiment == experiment && r.Kind == kind {
				g.runs = append(g.runs, r)
			}
		}
		if g.runs != nil {
			gs = append(gs, g)
		}
	}
	return gs
}

// over returns the smallest, the median and the largest of a number over the runs.
func (g group) over(number func(r *Run) float64) (low, mid, high float64) {
	var v []float64
	for _, r := range g.runs {
		v = append(v, number(r))
	}
	return slices.Min(v), median(v), slices.Max(v)
}

// at is over for a number of the points with index i.
func (g group) at(i int, number func(p Point) float64) (low, mid, high float64) {
	return g.over(func(r *Run) float64 { return number(r.Points[i]) })
}

// reaches returns the first step at which the median of the accuracy is that high, or
// 0.
func (g group) reaches(accuracy float64) int {
	for i, p := range g.runs[0].Points {
		if _, mid, _ := g.at(i, testAccuracy); mid >= accuracy {
			return p.Step
		}
	}
	return 0
}

func trainLoss(p Point) float64    { return p.TrainLoss }
func testLoss(p Point) float64     { return p.TestLoss }
func testAccuracy(p Point) float64 { return p.TestAccuracy }
