package main

import (
	"fmt"
	"math"

	"github.com/gorgonorm/norm/examples/internal/figure"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// plotCurves draws the training loss and, below it, the test accuracy.
func plotCurves(path string, cfg config, r *result) error {
	loss, err := lossPanel(cfg, r.curve)
	if err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	accuracy, err := accuracyPanel(r)
	if err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	// No ticks between the epochs, unless there is nothing else.
	end := r.curve[len(r.curve)-1].epoch
	n := min(10, int(math.Ceil(end)))
	if end < 1 {
		n = 5
	}
	for _, p := range []*plot.Plot{loss, accuracy} {
		figure.SetTicks(&p.X, figure.LinearTicks(0, end, n))
	}
	return figure.Write(path, 16*vg.Centimeter, 16*vg.Centimeter, [][]*plot.Plot{{loss}, {accuracy}})
}

// lossPanel draws the loss on a logarithmic axis, for it falls by powers of ten.
func lossPanel(cfg config, curve []point) (*plot.Plot, error) {
	title := fmt.Sprintf("%s, norm: %s\ncross-entropy on training images, mean of at most %d steps", networks[cfg.net].title, cfg.norm, recordEvery)
	p := figure.NewPanel(title, "epoch", "training loss")
	var xys plotter.XYs
	for _, pt := range curve {
		// A loss of zero has no place on the axis.
		xys = append(xys, plotter.XY{X: pt.epoch, Y: math.Max(pt.loss, 1e-6)})
	}
	if err := figure.AddCurve(p, xys, draw.LineStyle{Color: figure.Blue, Width: vg.Points(1.3)}); err != nil {
		return nil, err
	}
	p.Y.Scale = plot.LogScale{}
	figure.SetTicks(&p.Y, figure.LogTicks(p.Y.Min, p.Y.Max))
	return p, nil
}

// accuracyPanel draws the accuracy on the test images after each epoch.
func accuracyPanel(r *result) (*plot.Plot, error) {
	p := figure.NewPanel(fmt.Sprintf("%d test images, best %.2f %%", r.testImages, 100*r.best), "epoch", "test accuracy (%)")
	var xys plotter.XYs
	for _, pt := range r.curve {
		if !math.IsNaN(pt.accuracy) {
			xys = append(xys, plotter.XY{X: pt.epoch, Y: 100 * pt.accuracy})
		}
	}
	line, points, err := plotter.NewLinePoints(xys)
	if err != nil {
		return nil, err
	}
	line.Color, line.Width = figure.Vermilion, vg.Points(1.6)
	points.Color, points.Shape, points.Radius = figure.Vermilion, draw.CircleGlyph{}, vg.Points(3)
	p.Add(line, points)

	low, high := p.Y.Min, p.Y.Max
	if high-low < 1 { // nor does a small change, or a single point, fill the axis
		low, high = max(0, low-0.5), min(100, high+0.5)
	}
	figure.SetTicks(&p.Y, figure.LinearTicks(low, high, 6))
	return p, nil
}
