package main

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// Two colours that differ for colour-blind eyes as well.
var (
	distanceColor = color.RGBA{R: 0x1f, G: 0x77, B: 0xb4, A: 0xff}
	penaltyColor  = color.RGBA{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff}
)

// plotHistory draws the distance and the penalty of each step.
func plotHistory(path string, history []point) error {
	p := plot.New()
	p.Title.Text = "Critic of a WGAN-GP with layer norm"
	p.X.Label.Text = "step"
	p.Legend.Top, p.Legend.Padding, p.Legend.XOffs, p.Legend.YOffs = true, 4, -4, -4
	p.Add(plotter.NewGrid())
	for _, c := range []struct {
		label string
		color color.Color
		of    func(h point) float64
	}{
		{"distance, mean D(real) − mean D(fake)", distanceColor, func(h point) float64 { return h.distance }},
		{"penalty, mean (‖∂D/∂x‖ − 1)²", penaltyColor, func(h point) float64 { return h.penalty }},
	} {
		xys := make(plotter.XYs, len(history))
		for i, h := range history {
			xys[i] = plotter.XY{X: float64(i), Y: c.of(h)}
		}
		line, err := plotter.NewLine(xys)
		if err != nil {
			return err
		}
		line.Color, line.Width = c.color, vg.Points(1.3)
		p.Add(line)
		p.Legend.Add(c.label, line)
	}
	return p.Save(16*vg.Centimeter, 10*vg.Centimeter, path)
}
