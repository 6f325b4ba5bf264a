// Package figure has what the plots of the examples have in common.
package figure

import (
	"image/color"
	"io"

	"github.com/gorgonorm/norm/internal/replacefile"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// Colours that differ for colour-blind eyes as well; those of Okabe and Ito, "Color
// Universal Design", 2008, but for the blue.
var (
	Blue      = color.RGBA{R: 0x1f, G: 0x77, B: 0xb4, A: 0xff}
	Vermilion = color.RGBA{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff}
	Green     = color.RGBA{R: 0x00, G: 0x9e, B: 0x73, A: 0xff}
	Black     = color.RGBA{R: 0x22, G: 0x22, B: 0x22, A: 0xff}

	gridColor = color.Gray{Y: 0xe0}
)

// NewPanel returns a plot with a grid, which is one panel of a figure.
func NewPanel(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.Title.TextStyle.Font.Size, p.Title.Padding = title, 13, 8
	p.X.Label.Text, p.Y.Label.Text = x, y
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

// SetTicks sets the ticks of an axis, and makes it go from the first to the last.
func SetTicks(a *plot.Axis, ticks []plot.Tick) {
	a.Tick.Marker = plot.ConstantTicks(ticks)
	a.Min, a.Max = ticks[0].Value, ticks[len(ticks)-1].Value
}

// AddCurve adds a line through the points, or a dot where there is only one.
func AddCurve(p *plot.Plot, xys plotter.XYs, style draw.LineStyle) error {
	line, points, err := plotter.NewLinePoints(xys)
	if err != nil {
		return err
	}
	line.LineStyle = style
	points.Color, points.Shape, points.Radius = style.Color, draw.CircleGlyph{}, vg.Points(3)
	p.Add(line)
	if len(xys) == 1 {
		p.Add(points)
	}
	return nil
}

// Entry is a line and what it stands for.
type Entry struct {
	Text string
	draw.LineStyle
}

// Write draws the panels, in rows, and writes them to a PNG file of that size. The
// entries of a legend go above them, where they hide nothing.
func Write(path string, width, height vg.Length, panels [][]*plot.Plot, legend ...Entry) error {
	img := vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(144), vgimg.UseBackgroundColor(color.White))
	tiles := draw.Tiles{
		Rows: len(panels), Cols: len(panels[0]), PadX: 6 * vg.Millimeter, PadY: 6 * vg.Millimeter,
		PadTop: 4 * vg.Millimeter, PadBottom: 3 * vg.Millimeter, PadLeft: 3 * vg.Millimeter, PadRight: 6 * vg.Millimeter,
	}
	canvas := draw.New(img)
	if len(legend) > 0 {
		const strip = 7 * vg.Millimeter
		drawLegend(draw.Crop(canvas, 0, 0, canvas.Max.Y-canvas.Min.Y-strip, 0), legend)
		canvas = draw.Crop(canvas, 0, 0, 0, -strip)
	}
	for i, row := range plot.Align(panels, tiles, canvas) {
		for j, c := range row {
			panels[i][j].Draw(c)
		}
	}
	return replacefile.Write(path, func(w io.Writer) error {
		_, err := vgimg.PngCanvas{Canvas: img}.WriteTo(w)
		return err
	})
}

// drawLegend draws the entries side by side, in the middle of the canvas.
func drawLegend(c draw.Canvas, legend []Entry) {
	style := plot.New().Legend.TextStyle
	style.Font.Size, style.XAlign, style.YAlign = 11, draw.XLeft, draw.YCenter
	const sample, gap, space = 9 * vg.Millimeter, 2 * vg.Millimeter, 8 * vg.Millimeter
	width := -space
	for _, e := range legend {
		width += sample + gap + style.Width(e.Text) + space
	}
	x, y := (c.Min.X+c.Max.X-width)/2, c.Min.Y+(c.Max.Y-c.Min.Y)/3
	for _, e := range legend {
		c.StrokeLine2(e.LineStyle, x, y, x+sample, y)
		x += sample + gap
		c.FillText(style, vg.Point{X: x, Y: y}, e.Text)
		x += style.Width(e.Text) + space
	}
}
