package main

import (
	"fmt"
	"image/color"
	"math"
	"os"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// Two colours that differ for colour-blind eyes as well.
var (
	lossColor     = color.RGBA{R: 0x1f, G: 0x77, B: 0xb4, A: 0xff}
	accuracyColor = color.RGBA{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff}
	gridColor     = color.Gray{Y: 0xe0}
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
		p.X.Tick.Marker = plot.ConstantTicks(linearTicks(0, r.epochs, n))
	}

	img := vgimg.NewWith(vgimg.UseWH(16*vg.Centimeter, 16*vg.Centimeter), vgimg.UseDPI(144), vgimg.UseBackgroundColor(color.White))
	tiles := draw.Tiles{
		Rows: 2, Cols: 1, PadY: 6 * vg.Millimeter,
		PadTop: 4 * vg.Millimeter, PadBottom: 3 * vg.Millimeter, PadLeft: 3 * vg.Millimeter, PadRight: 6 * vg.Millimeter,
	}
	panels := [][]*plot.Plot{{loss}, {accuracy}}
	for i, row := range plot.Align(panels, tiles, draw.New(img)) {
		panels[i][0].Draw(row[0])
	}
	return writePNG(path, img)
}

func writePNG(path string, img *vgimg.Canvas) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	_, err = vgimg.PngCanvas{Canvas: img}.WriteTo(f)
	return err
}

func newPanel(title, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.Title.TextStyle.Font.Size, p.Title.Padding = title, 13, 8
	p.X.Label.Text, p.Y.Label.Text = "epoch", y
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font.Size, a.Label.Padding = 11, 4
		a.Tick.Label.Font.Size = 10
		a.Padding = 0
	}
	p.Legend.TextStyle.Font.Size = 10
	p.Legend.Padding = 3
	p.Legend.XOffs, p.Legend.YOffs = -6, -6
	p.Legend.Top = true
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = gridColor, gridColor
	p.Add(grid)
	return p
}

// lossPanel draws the loss on a logarithmic axis, for it falls by powers of ten.
func lossPanel(cfg config, curve []point) (*plot.Plot, error) {
	p := newPanel(fmt.Sprintf("%s, norm: %s", titles[cfg.net], cfg.norm), "training loss")
	var steps plotter.XYs
	for _, pt := range curve {
		// A loss of zero has no place on the axis.
		steps = append(steps, plotter.XY{X: pt.epoch, Y: math.Max(pt.loss, 1e-6)})
	}
	line, err := plotter.NewLine(steps)
	if err != nil {
		return nil, err
	}
	line.Color, line.Width = lossColor, vg.Points(1.3)
	p.Add(line)
	p.Legend.Add(fmt.Sprintf("cross-entropy on training images, mean of %d steps", recordEvery), line)

	ticks := logTicks(p.Y.Min, p.Y.Max)
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.ConstantTicks(ticks)
	p.Y.Min, p.Y.Max = ticks[0].Value, ticks[len(ticks)-1].Value
	return p, nil
}

// accuracyPanel draws the accuracy on the test images after each epoch.
func accuracyPanel(r *result) (*plot.Plot, error) {
	p := newPanel("", "test accuracy (%)")
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
	line.Color, line.Width = accuracyColor, vg.Points(1.6)
	points.Color, points.Shape, points.Radius = accuracyColor, draw.CircleGlyph{}, vg.Points(3)
	p.Add(line, points)
	p.Legend.Add(fmt.Sprintf("on %d test images, best %.2f %%", r.testImages, 100*r.best), line, points)
	p.Legend.Top, p.Legend.YOffs = false, 6

	ticks := linearTicks(p.Y.Min, p.Y.Max, 6)
	p.Y.Tick.Marker = plot.ConstantTicks(ticks)
	p.Y.Min, p.Y.Max = ticks[0].Value, ticks[len(ticks)-1].Value
	return p, nil
}

// linearTicks returns ticks at multiples of 1, 2 or 5 times a power of ten, at
// most n or a few more of them; the first and the last enclose the range.
func linearTicks(from, to float64, n int) []plot.Tick {
	raw := (to - from) / float64(n)
	if raw <= 0 {
		raw = 0.5 / float64(n) // a single value
	}
	power := math.Pow10(int(math.Floor(math.Log10(raw))))
	step := 10 * power
	for _, m := range []float64{5, 2, 1} {
		if m*power >= raw*(1-1e-9) {
			step = m * power
		}
	}
	first, last := math.Floor(from/step+1e-9), math.Ceil(to/step-1e-9)
	if last <= first {
		last = first + 1
	}
	var ticks []plot.Tick
	for k := first; k <= last; k++ {
		ticks = append(ticks, tick(k*step))
	}
	return ticks
}

// logTicks returns ticks at 1, 2 and 5 times powers of ten that enclose the range.
func logTicks(from, to float64) (ticks []plot.Tick) {
	for e := int(math.Floor(math.Log10(from))); ; e++ {
		for _, m := range []float64{1, 2, 5} {
			v := m * math.Pow10(e)
			if v <= from {
				ticks = ticks[:0] // a closer one below the range
			}
			ticks = append(ticks, tick(v))
			if v >= to && len(ticks) > 1 {
				return ticks
			}
		}
	}
}

func tick(v float64) plot.Tick {
	return plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'g', 6, 64)}
}
