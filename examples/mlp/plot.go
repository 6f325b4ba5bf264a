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
	for _, p := range []*plot.Plot{loss, accuracy} {
		p.X.Min, p.X.Max = 0, r.epochs
		// No ticks between the epochs, unless there is nothing else.
		n := max(1, min(10, int(r.epochs)))
		if r.epochs < 1 {
			n = 5
		}
		p.X.Tick.Marker = plot.ConstantTicks(figure.LinearTicks(0, r.epochs, n))
	}

	return figure.Write(path, 16*vg.Centimeter, 16*vg.Centimeter, [][]*plot.Plot{{loss}, {accuracy}})
}

// lossPanel draws the loss on a logarithmic axis, for it falls by powers of ten.
func lossPanel(cfg config, curve []point) (*plot.Plot, error) {
	p := figure.NewPanel(fmt.Sprintf("%s, norm: %s", titles[cfg.net], cfg.norm), "epoch", "training loss")
	var steps plotter.XYs
	for _, pt := range curve {
		// A loss of zero has no place on the axis.
		steps = append(steps, plotter.XY{X: pt.epoch, Y: math.Max(pt.loss, 1e-6)})
	}
	line, err := plotter.NewLine(steps)
	if err != nil {
		return nil, err
	}
	line.Color, line.Width = figure.Blue, vg.Points(1.3)
	p.Add(line)
	p.Legend.Add(fmt.Sprintf("cross-entropy on training images, mean of %d steps", recordEvery), line)

	ticks := figure.LogTicks(p.Y.Min, p.Y.Max)
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.ConstantTicks(ticks)
	p.Y.Min, p.Y.Max = ticks[0].Value, ticks[len(ticks)-1].Value
	return p, nil
}

// accuracyPanel draws the accuracy on the test images after each epoch.
func accuracyPanel(r *result) (*plot.Plot, error) {
	p := figure.NewPanel("", "epoch", "test accuracy (%)")
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
	p.Legend.Add(fmt.Sprintf("on %d test images, best %.2f %%", r.testImages, 100*r.best), line, points)
	p.Legend.Top, p.Legend.YOffs = false, 6

	ticks := figure.LinearTicks(p.Y.Min, p.Y.Max, 6)
	p.Y.Tick.Marker = plot.ConstantTicks(ticks)
	p.Y.Min, p.Y.Max = ticks[0].Value, ticks[len(ticks)-1].Value
	return p, nil
}
