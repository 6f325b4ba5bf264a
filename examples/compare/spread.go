package main

import (
	"cmp"
	"math"
	"slices"
)

const (
	// window is the number of batches whose values make a point of the spread.
	window = 10
	// windows is the number of points of the spread.
	windows = 100
)

// percentiles are those that the paper shows.
var percentiles = [3]float64{0.15, 0.50, 0.85}

// Spread is how the inputs of one unit are spread over the images during training, with
// medians over all units of its layer.
type Spread struct {
	Unit   int
	Steps  []int
	Values [][3]float64 // the percentiles at each of the steps

	// Medians over all units.
	First float64 // 85th − 15th percentile at first
	Last  float64 // and at the end
	Shift float64 // largest − smallest 50th percentile
}

// spreadRecorder gathers the inputs of the units of a layer.
type spreadRecorder struct {
	units  int
	values [][]float64 // of each unit, in the window that is open
	steps  []int
	points [][][3]float64 // of each unit
}

func newSpreadRecorder(units int) *spreadRecorder {
	return &spreadRecorder{units: units, values: make([][]float64, units), points: make([][][3]float64, units)}
}

// step takes the inputs of a training step: those of the first window, and of a
// window before each of the points.
func (r *spreadRecorder) step(step, steps int, inputs []float32) {
	at := step >= window && due(step, steps, windows) || step == min(window, steps)
	ahead := min(step+window-1, steps)
	if !at && step > window && ahead*windows/steps == step*windows/steps {
		return // the next point is more than a window away
	}
	r.add(inputs)
	if at {
		r.close(step)
	}
}

// add takes the inputs (images, units) in one batch.
func (r *spreadRecorder) add(inputs []float32) {
	for i, v := range inputs {
		u := i % r.units
		r.values[u] = append(r.values[u], float64(v))
	}
}

// close makes a point of the window.
func (r *spreadRecorder) close(step int) {
	r.steps = append(r.steps, step)
	for u, v := range r.values {
		slices.Sort(v)
		var p [3]float64
		for i, q := range percentiles {
			p[i] = quantile(v, q)
		}
		r.points[u] = append(r.points[u], p)
		r.values[u] = v[:0]
	}
}

// result returns the spread of the typical unit: the one in the middle when they
// are sorted by how far their median moves.
func (r *spreadRecorder) result() *Spread {
	first, last, shift := make([]float64, r.units), make([]float64, r.units), make([]float64, r.units)
	order := make([]int, r.units)
	for u, points := range r.points {
		order[u] = u
		low, high := math.Inf(1), math.Inf(-1)
		for _, p := range points {
			low, high = min(low, p[1]), max(high, p[1])
		}
		end := points[len(points)-1]
		first[u], last[u], shift[u] = points[0][2]-points[0][0], end[2]-end[0], high-low
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(shift[a], shift[b]) })
	unit := order[r.units/2]
	return &Spread{
		Unit: unit, Steps: r.steps, Values: r.points[unit],
		First: median(first), Last: median(last), Shift: median(shift),
	}
}

// quantile interpolates between the values, which are sorted.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

func median(values []float64) float64 {
	return quantile(slices.Sorted(slices.Values(values)), 0.5)
}
