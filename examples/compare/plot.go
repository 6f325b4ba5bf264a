package main

import (
	"fmt"
	"image/color"
	"math"
	"path/filepath"

	"github.com/gorgonorm/norm/examples/internal/figure"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// names are those of the kinds in figures and tables.
var names = map[string]string{"none": "none", "batch": "batch norm", "layer": "layer norm", "weight": "weight norm"}

// lines differ in dashes as well as in colours.
var lines = map[string]draw.LineStyle{
	"none":   {Color: figure.Black, Width: vg.Points(1.4)},
	"batch":  {Color: figure.Blue, Width: vg.Points(1.8)},
	"layer":  {Color: figure.Vermilion, Width: vg.Points(1.8)},
	"weight": {Color: figure.Green, Width: vg.Points(1.8), Dashes: []vg.Length{vg.Points(5), vg.Points(3)}},
}

func legend() (entries []figure.Entry) {
	for _, kind := range kinds {
		entries = append(entries, figure.Entry{Text: names[kind], LineStyle: lines[kind]})
	}
	return entries
}

// drawFigures draws what the runs have numbers for, and returns the names of the files.
func drawFigures(dir string, runs []*Run) (files []string, err error) {
	var accuracies, losses []*plot.Plot
	for i := range experiments {
		e := &experiments[i]
		gs := groups(runs, e.name)
		if gs == nil {
			continue
		}
		accuracy, err := accuracyPanel(e.title, gs)
		if err != nil {
			return nil, err
		}
		loss, err := lossPanel(gs)
		if err != nil {
			return nil, err
		}
		if !e.spread {
			accuracies, losses = append(accuracies, accuracy), append(losses, loss)
			continue
		}
		loss.Title.Text = " "
		if err := figure.Write(filepath.Join(dir, "sigmoid.png"), 22*vg.Centimeter, 9*vg.Centimeter,
			[][]*plot.Plot{{accuracy, loss}}, legend()...); err != nil {
			return nil, err
		}
		panels, err := spreadPanels(gs)
		if err != nil {
			return nil, err
		}
		if err := figure.Write(filepath.Join(dir, "inputs.png"), 22*vg.Centimeter, 13*vg.Centimeter, panels); err != nil {
			return nil, err
		}
		files = append(files, "sigmoid.png", "inputs.png")
	}
	if accuracies != nil {
		if err := figure.Write(filepath.Join(dir, "batches.png"), 22*vg.Centimeter, 15*vg.Centimeter,
			[][]*plot.Plot{accuracies, losses}, legend()...); err != nil {
			return nil, err
		}
		files = append(files, "batches.png")
	}
	return files, nil
}

// accuracyPanel draws the accuracy on the test images from where the first fifth of
// the training is over: what comes before would leave no room for the rest.
func accuracyPanel(title string, gs []group) (*plot.Plot, error) {
	p := figure.NewPanel(title, "training steps", "test accuracy (%)")
	percent := func(p Point) float64 { return 100 * p.TestAccuracy }
	low, high := math.Inf(1), math.Inf(-1)
	for _, g := range gs {
		for i := len(g.runs[0].Points) / 5; i < len(g.runs[0].Points); i++ {
			_, mid, most := g.at(i, percent)
			low, high = min(low, mid), max(high, most)
		}
	}
	ticks := figure.LinearTicks(low, high, 6)
	low, high = setY(p, ticks)
	return p, addCurves(p, gs, percent, low, high)
}

// lossPanel draws the loss of the training on a logarithmic axis.
func lossPanel(gs []group) (*plot.Plot, error) {
	p := figure.NewPanel("", "training steps", "training loss")
	low, high := math.Inf(1), math.Inf(-1)
	for _, g := range gs {
		for i := range g.runs[0].Points {
			least, _, most := g.at(i, trainLoss)
			low, high = min(low, least), max(high, most)
		}
	}
	ticks := figure.LogTicks(low, high)
	p.Y.Scale = plot.LogScale{}
	low, high = setY(p, ticks)
	return p, addCurves(p, gs, trainLoss, low, high)
}

func setY(p *plot.Plot, ticks []plot.Tick) (low, high float64) {
	p.Y.Tick.Marker = plot.ConstantTicks(ticks)
	p.Y.Min, p.Y.Max = ticks[0].Value, ticks[len(ticks)-1].Value
	return p.Y.Min, p.Y.Max
}

// addCurves adds for each kind the median over the seeds, and a band from the smallest
// to the largest. What is outside of low and high is not drawn.
func addCurves(p *plot.Plot, gs []group, number func(Point) float64, low, high float64) error {
	var curves []plot.Plotter
	for _, g := range gs {
		var mids, lows, highs plotter.XYs
		for i, point := range g.runs[0].Points {
			least, mid, most := g.at(i, number)
			x := float64(point.Step)
			mids = append(mids, plotter.XY{X: x, Y: mid})
			if most >= low {
				lows = append(lows, plotter.XY{X: x, Y: max(least, low)})
				highs = append(highs, plotter.XY{X: x, Y: min(most, high)})
			}
		}
		if len(g.runs) > 1 && len(lows) > 1 {
			b, err := band(lows, highs, lines[g.kind].Color)
			if err != nil {
				return err
			}
			p.Add(b)
		}
		line, err := plotter.NewLine(mids)
		if err != nil {
			return err
		}
		line.LineStyle = lines[g.kind]
		curves = append(curves, line)
		p.X.Max = mids[len(mids)-1].X
	}
	p.Add(curves...)
	p.X.Min = 0
	p.X.Tick.Marker = plot.ConstantTicks(figure.LinearTicks(0, p.X.Max, 5))
	p.Y.Min, p.Y.Max = low, high // Add has widened it
	return nil
}

// band is the area between two curves.
func band(lows, highs plotter.XYs, c color.Color) (*plotter.Polygon, error) {
	area := append(plotter.XYs{}, lows...)
	for i := len(highs) - 1; i >= 0; i-- {
		area = append(area, highs[i])
	}
	polygon, err := plotter.NewPolygon(area)
	if err != nil {
		return nil, err
	}
	r, g, b, _ := c.RGBA()
	polygon.Color = color.NRGBA{R: uint8(r >> 8), G: uint8(g >> 8), B: uint8(b >> 8), A: 0x30}
	polygon.LineStyle.Width = 0
	return polygon, nil
}

// spreadPanels draws for each kind the percentiles of the input of one unit, with the
// first of the seeds.
func spreadPanels(gs []group) (rows [][]*plot.Plot, err error) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, g := range gs {
		for _, v := range g.runs[0].Spread.Values {
			low, high = min(low, v[0]), max(high, v[2])
		}
	}
	ticks := figure.LinearTicks(low, high, 6)
	for i, g := range gs {
		p := figure.NewPanel(names[g.kind], "training steps", "input of a unit")
		s := g.runs[0].Spread
		curves := make([]plotter.XYs, len(percentiles))
		for k, v := range s.Values {
			for c := range curves {
				curves[c] = append(curves[c], plotter.XY{X: float64(s.Steps[k]), Y: v[c]})
			}
		}
		style := lines[g.kind]
		style.Dashes = nil
		b, err := band(curves[0], curves[2], style.Color)
		if err != nil {
			return nil, err
		}
		p.Add(b)
		for c, xys := range curves {
			line, err := plotter.NewLine(xys)
			if err != nil {
				return nil, err
			}
			line.LineStyle = style
			line.Width = vg.Points(0.7)
			if c == 1 {
				line.Width = vg.Points(1.5)
			}
			p.Add(line)
		}
		setY(p, ticks)
		p.X.Min, p.X.Max = 0, curves[1][len(curves[1])-1].X
		p.X.Tick.Marker = plot.ConstantTicks(figure.LinearTicks(0, p.X.Max, 5))
		if i%2 == 0 {
			rows = append(rows, nil)
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], p)
	}
	if n := len(rows); len(rows[n-1]) == 1 && n > 1 {
		return nil, fmt.Errorf("%d kinds of networks, want an even number", len(gs))
	}
	return rows, nil
}
