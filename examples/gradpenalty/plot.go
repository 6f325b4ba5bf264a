package main

import (
	"image/color"

	"github.com/gorgonorm/norm/examples/internal/figure"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// plotHistory draws the distance and the penalty of each step.
func plotHistory(path string, history []step) error {
	p := figure.NewPanel("Critic of a WGAN-GP with layer norm", "step", "distance and penalty")
	var legend []figure.Entry
	for _, c := range []struct {
		text  string
		color color.Color
		of    func(s step) float64
	}{
		{"distance, mean D(real) − mean D(fake)", figure.Blue, func(s step) float64 { return s.distance }},
		{"penalty, mean (‖∂D/∂x‖ − 1)²", figure.Vermilion, func(s step) float64 { return s.penalty }},
	} {
		var xys plotter.XYs
		for i, s := range history {
			xys = append(xys, plotter.XY{X: float64(i + 1), Y: c.of(s)})
		}
		style := draw.LineStyle{Color: c.color, Width: vg.Points(1.3)}
		if err := figure.AddCurve(p, xys, style); err != nil {
			return err
		}
		legend = append(legend, figure.Entry{Text: c.text, LineStyle: style})
	}
	figure.SetTicks(&p.X, figure.LinearTicks(0, float64(len(history)), 5))
	figure.SetTicks(&p.Y, figure.LinearTicks(p.Y.Min, p.Y.Max, 8))
	return figure.Write(path, 16*vg.Centimeter, 10*vg.Centimeter, [][]*plot.Plot{{p}}, legend...)
}
