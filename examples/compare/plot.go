package main

import (
	"fmt"
	"image/color"
	"math"
	"path/filepath"
	"slices"

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

// The widths, in points, of the lines of percentiles.
const (
	middle vg.Length = 1.5
	edge   vg.Length = 0.7
)

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
		if err := figure.Write(filepath.Join(dir, "inputs.png"), 22*vg.Centimeter, 14*vg.Centimeter, panels,
			figure.Entry{Text: "50th percentile over the images", LineStyle: draw.LineStyle{Color: figure.Black, Width: middle}},
			figure.Entry{Text: "15th and 85th", LineStyle: draw.LineStyle{Color: figure.Black, Width: edge}}); err != nil {
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
	low, high, least := math.Inf(1), math.Inf(-1), math.Inf(1)
	for _, g := range gs {
		for i := range g.runs[0].Points {
			worst, mid, most := g.at(i, percent)
			least = min(least, worst)
			if i >= len(g.runs[0].Points)/5 {
				low, high = min(low, mid), max(high, most)
			}
		}
	}
	ticks := figure.LinearTicks(low, high, 6)
	if least < ticks[0].Value {
		p.Legend.Add("lower points are cut off")
		p.Legend.Top, p.Legend.ThumbnailWidth, p.Legend.XOffs, p.Legend.YOffs = false, 0, -12, 6
	}
	return p, addCurves(p, gs, percent, ticks)
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
	p.Y.Scale = plot.LogScale{}
	return p, addCurves(p, gs, trainLoss, figure.LogTicks(low, high))
}

// addCurves adds for each kind the median over the seeds, and a band from the smallest
// to the largest. What is outside of the ticks of the y axis is not drawn.
func addCurves(p *plot.Plot, gs []group, number func(Point) float64, ticks []plot.Tick) error {
	low, high := ticks[0].Value, ticks[len(ticks)-1].Value
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
	}
	p.Add(curves...)
	setAxes(p, gs[0].runs[0].last().Step, ticks)
	return nil
}

// setAxes comes after all curves, since adding them widens the axes.
func setAxes(p *plot.Plot, steps int, y []plot.Tick) {
	figure.SetTicks(&p.X, figure.LinearTicks(0, float64(steps), 6))
	figure.SetTicks(&p.Y, y)
}

// band is the area between two curves.
func band(lows, highs plotter.XYs, c color.Color) (*plotter.Polygon, error) {
	area := slices.Clone(lows)
	for _, point := range slices.Backward(highs) {
		area = append(area, point)
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
		s := g.runs[0].Spread
		p := figure.NewPanel(fmt.Sprintf("%s: unit %d, seed %d", names[g.kind], s.Unit, g.runs[0].Seed), "training steps", "input of the unit")
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
			line.Width = edge
			if c == 1 {
				line.Width = middle
			}
			p.Add(line)
		}
		setAxes(p, g.runs[0].last().Step, ticks)
		if i%2 == 0 {
			rows = append(rows, nil)
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], p)
	}
	return rows, nil
}
