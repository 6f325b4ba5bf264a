package main

import (
	"fmt"
	"image/color"
	"io"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/gorgonorm/norm/internal/replacefile"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// curve is a line of every panel: the rate of the fastest of some systems.
type curve struct {
	title   string
	systems []string
	copies  bool
	color   color.Color
	shape   draw.GlyphDrawer
	dashes  []vg.Length
	width   vg.Length
}

// The colours differ for colour-blind eyes as well (Okabe and Ito's), and the
// shapes without colours.
var curves = []curve{
	{"copy", []string{copySystem}, true, color.Gray{Y: 0x70}, nil, []vg.Length{vg.Points(4), vg.Points(3)}, vg.Points(1.5)},
	{"PyTorch, best set-up", torchBest.systems, false, color.RGBA{R: 0xd5, G: 0x5e, A: 0xff}, draw.BoxGlyph{}, nil, vg.Points(1.3)},
	{"oneDNN", oneDNN.systems, false, color.RGBA{G: 0x9e, B: 0x73, A: 0xff}, draw.PyramidGlyph{}, nil, vg.Points(1.3)},
	{"this package", []string{kernelSystem}, false, color.RGBA{G: 0x72, B: 0xb2, A: 0xff}, draw.CircleGlyph{}, nil, vg.Points(2.2)},
}

// panelRows are the rows of the picture; the columns are 1 and 2 threads.
var panelRows = []struct{ title, name, pass string }{
	{"layer norm, forward", "layernorm", fwd},
	{"layer norm, backward", "layernorm", bwd},
	{"batch norm of a matrix, training, forward", "batchnorm1d_train", fwd},
	{"batch norm of a matrix, training, backward", "batchnorm1d_train", bwd},
}

// panel is a plot in the grid.
type panel struct {
	plot *plot.Plot
	some bool // there is a curve besides the copy
}

// draw draws the rates of float32 norms against the size of an array. All panels
// have the same axes.
func (f *figures) draw(path string) error {
	var grid [][]panel
	var all plotter.XYs
	for _, row := range panelRows {
		var panels []panel
		for threads := 1; threads <= 2; threads++ {
			title := fmt.Sprintf("%s, %d thread", row.title, threads)
			if threads > 1 {
				title += "s"
			}
			p := panel{plot: newPanel(title)}
			for _, c := range curves {
				xys := f.rates(c, cell{name: row.name, dtype: "float32", threads: threads, pass: row.pass})
				if len(xys) == 0 {
					continue
				}
				if err := c.add(p.plot, xys); err != nil {
					return err
				}
				p.some = p.some || !c.copies
				all = append(all, xys...)
			}
			panels = append(panels, p)
		}
		grid = append(grid, panels)
	}
	plots := withoutGaps(grid)
	if len(plots) == 0 {
		return fmt.Errorf("nothing to draw in %s", path)
	}
	for i, row := range plots {
		for j, p := range row {
			setAxes(p, all)
			if j == 0 {
				p.Y.Label.Text = "GB/s"
			}
			if i == len(plots)-1 {
				p.X.Label.Text = "bytes of an array"
			}
		}
	}
	return writePicture(path, plots)
}

// withoutGaps leaves out rows and columns where nothing was measured; a panel that
// stays empty says so.
func withoutGaps(grid [][]panel) (plots [][]*plot.Plot) {
	some := func(p panel) bool { return p.some }
	for _, row := range grid {
		if !slices.ContainsFunc(row, some) {
			continue
		}
		var kept []*plot.Plot
		for j, p := range row {
			if !slices.ContainsFunc(grid, func(row []panel) bool { return row[j].some }) {
				continue
			}
			if !p.some {
				p.plot.Title.Text += ": not measured"
			}
			kept = append(kept, p.plot)
		}
		plots = append(plots, kept)
	}
	return plots
}

// rates returns the GB/s of a curve in cells like the one given, of every shape,
// against the bytes of an array. A copy is the same under every name. It moves two
// arrays, as a forward pass does, so it has no place beside a backward pass, which
// moves three.
func (f *figures) rates(c curve, like cell) (xys plotter.XYs) {
	if c.copies && like.pass != fwd {
		return nil
	}
	best := map[int64]float64{}
	for _, k := range f.cells(c.systems...) {
		same := like
		same.shape = k.shape
		if c.copies {
			same.name = k.name
		}
		if k != same {
			continue
		}
		n := k.array()
		us := f.measured(k, peerGroup{systems: c.systems}).us
		best[n] = max(best[n], float64(int64(arrays[k.pass])*n)/us*1e-3)
	}
	for _, n := range slices.Sorted(maps.Keys(best)) {
		xys = append(xys, plotter.XY{X: float64(n), Y: best[n]})
	}
	return xys
}

func (c curve) add(p *plot.Plot, xys plotter.XYs) error {
	line, points, err := plotter.NewLinePoints(xys)
	if err != nil {
		return err
	}
	c.style(line, points)
	p.Add(line)
	if c.shape != nil {
		p.Add(points)
	}
	return nil
}

func (c curve) style(line *plotter.Line, points *plotter.Scatter) {
	line.Color, line.Width, line.Dashes = c.color, c.width, c.dashes
	points.Color, points.Shape, points.Radius = c.color, c.shape, vg.Points(3)
}

func newPanel(title string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.Title.TextStyle.Font.Size, p.Title.Padding = title, 10, 5
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font.Size, a.Tick.Label.Font.Size, a.Padding = 9, 9, 0
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{Y: 0xd8}, color.Gray{Y: 0xd8}
	p.Add(grid)
	return p
}

// setAxes makes both axes logarithmic, each from a tick to a tick around all points.
func setAxes(p *plot.Plot, all plotter.XYs) {
	xmin, xmax, ymin, ymax := plotter.XYRange(all)
	xs, ys := sizeTicks(xmin, xmax), rateTicks(ymin, ymax)
	for _, a := range []struct {
		axis  *plot.Axis
		ticks []plot.Tick
	}{{&p.X, xs}, {&p.Y, ys}} {
		a.axis.Scale, a.axis.Tick.Marker = plot.LogScale{}, plot.ConstantTicks(a.ticks)
		a.axis.Min, a.axis.Max = a.ticks[0].Value, a.ticks[len(a.ticks)-1].Value
	}
}

// sizeTicks returns ticks at powers of two that enclose the range. Every third, a factor of
// 8, has a name.
func sizeTicks(from, to float64) (ticks []plot.Tick) {
	first, last := int(math.Floor(math.Log2(from))), int(math.Ceil(math.Log2(to)))
	for e := first; e <= max(last, first+1); e++ {
		t := plot.Tick{Value: math.Exp2(float64(e))}
		if (e-first)%3 == 0 {
			t.Label = sizeName(e)
		}
		ticks = append(ticks, t)
	}
	return ticks
}

// sizeName names 2^e bytes.
func sizeName(e int) string {
	units := []string{"B", "KiB", "MiB", "GiB"}
	u := min(e/10, len(units)-1)
	return strconv.Itoa(1<<(e-10*u)) + " " + units[u]
}

// rateTicks returns ticks at 1, 2 and 5 times powers of ten that enclose the
// range.
func rateTicks(from, to float64) (ticks []plot.Tick) {
	for e := int(math.Floor(math.Log10(from))); ; e++ {
		for _, m := range []float64{1, 2, 5} {
			v := m * math.Pow10(e)
			if v <= from {
				ticks = ticks[:0] // this one is closer below the range
			}
			ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'g', 6, 64)})
			if v >= to && len(ticks) > 1 {
				return ticks
			}
		}
	}
}

// drawLegend draws the legend of all panels in a line, its entries as far apart as
// their widths leave room.
func drawLegend(c draw.Canvas) error {
	legends := make([]plot.Legend, len(curves))
	room := c.Size().X
	for i, k := range curves {
		line, points, err := plotter.NewLinePoints(plotter.XYs{{}})
		if err != nil {
			return err
		}
		k.style(line, points)
		l := plot.NewLegend()
		l.TextStyle.Font.Size, l.ThumbnailWidth, l.Left, l.Top = 10, vg.Points(28), true, true
		if k.shape == nil {
			l.Add(k.title, line)
		} else {
			l.Add(k.title, line, points)
		}
		legends[i] = l
		room -= l.Rectangle(c).Size().X
	}
	gap := min(room/vg.Length(len(curves)-1), 12*vg.Millimeter)
	for _, l := range legends {
		l.Draw(c)
		c.Min.X += l.Rectangle(c).Size().X + gap
	}
	return nil
}

func writePicture(path string, grid [][]*plot.Plot) error {
	const width, legend = 22 * vg.Centimeter, 8 * vg.Millimeter
	height := legend + vg.Length(len(grid))*73*vg.Millimeter
	var canvas vg.CanvasWriterTo
	switch ext := filepath.Ext(path); ext {
	case ".png":
		img := vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(144), vgimg.UseBackgroundColor(color.White))
		canvas = vgimg.PngCanvas{Canvas: img}
	case ".svg":
		canvas = vgsvg.New(width, height)
	default:
		return fmt.Errorf("no pictures of the kind %q", ext)
	}
	all := draw.New(canvas)
	margin := 4 * vg.Millimeter
	if err := drawLegend(draw.Crop(all, 3*margin, -margin, 0, -margin)); err != nil {
		return err
	}
	tiles := draw.Tiles{Rows: len(grid), Cols: len(grid[0]), PadX: 6 * vg.Millimeter, PadY: 5 * vg.Millimeter,
		PadTop: margin, PadBottom: margin, PadLeft: margin, PadRight: margin}
	for i, row := range plot.Align(grid, tiles, draw.Crop(all, 0, 0, 0, -legend)) {
		for j, c := range row {
			grid[i][j].Draw(c)
		}
	}
	return replacefile.Write(path, func(w io.Writer) error { _, err := canvas.WriteTo(w); return err })
}
