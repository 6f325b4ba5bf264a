package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// numbers is the file of all that was measured, from which -redraw makes figures and
// table again.
const numbers = "runs.json"

func writeRuns(dir string, runs []*Run) error {
	b, err := json.Marshal(runs)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, numbers), append(b, '\n'), 0o644)
}

func readRuns(dir string) (runs []*Run, err error) {
	path := filepath.Join(dir, numbers)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &runs); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, r := range runs {
		if r == nil || len(r.Points) == 0 || !slices.Contains(kinds, r.Kind) || find(r.Experiment) == nil {
			return nil, fmt.Errorf("%s: not the numbers of this program", path)
		}
	}
	return runs, nil
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

// groups returns those of an experiment, in the order of kinds.
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

// at returns the same of a number of the points with index i.
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
