package main

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

func TestPlot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "picture.png")
	output(t, "-plot", path, linesFile)
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	_, err = png.Decode(file)
	require.NoError(t, err)

	path = filepath.Join(t.TempDir(), "picture.svg")
	output(t, "-plot", path, linesFile)
	svg, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(svg, []byte("<?xml")))

	require.Error(t, run([]string{"-plot", "picture.txt", linesFile}, os.Stdout, os.Stderr))
	none := filepath.Join(t.TempDir(), "none", "x.png")
	require.EqualError(t, run([]string{"-plot", none, linesFile}, os.Stdout, os.Stderr), "make a file beside "+none+": no such file or directory")
	f := &figures{}
	require.Error(t, f.draw(path), "there is nothing to draw")
}

func TestRates(t *testing.T) {
	f, err := readFigures([]string{linesFile})
	require.NoError(t, err)
	like := cell{name: "layernorm", dtype: "float32", threads: 1, pass: fwd}
	// Two arrays of 8 KiB in 0.4 µs, the lowest quiet median.
	require.Equal(t, plotter.XYs{{X: 8192, Y: 2 * 8.192 / 0.4}}, f.rates(curves[len(curves)-1], like))
	like.pass = bwd
	require.Empty(t, f.rates(curves[len(curves)-1], like))
	like.pass = fwd
	copies := f.rates(curves[0], like) // with the name of another case, too
	require.Len(t, copies, 2)
	require.Less(t, copies[0].X, copies[1].X)
	require.InDelta(t, 2*8.192/0.05, copies[0].Y, 1e-9)
	like.pass = bwd
	require.Empty(t, f.rates(curves[0], like), "a backward pass moves other arrays")
}

// Threads and passes without a figure have no panels.
func TestPlotWithoutGaps(t *testing.T) {
	titles := func(rows ...string) (titles [][]string) {
		var grid [][]panel
		for _, row := range rows {
			var panels []panel
			for _, c := range row {
				p := panel{plot.New(), c != '.'}
				p.plot.Title.Text = string(c)
				panels = append(panels, p)
			}
			grid = append(grid, panels)
		}
		for _, row := range withoutGaps(grid) {
			var t []string
			for _, p := range row {
				t = append(t, p.Title.Text)
			}
			titles = append(titles, t)
		}
		return titles
	}
	require.Equal(t, [][]string{{"a", "b"}, {"c", "d"}}, titles("ab", "cd"))
	require.Equal(t, [][]string{{"a"}, {"c"}}, titles("a.", "..", "c."))
	require.Equal(t, [][]string{{"a", "b"}, {".: not measured", "d"}}, titles("ab", ".d"))
	require.Empty(t, titles("..", ".."))
}

func TestSizeTicks(t *testing.T) {
	labels := func(ticks []plot.Tick) (l []string) {
		for _, t := range ticks {
			l = append(l, t.Label)
		}
		return l
	}
	require.Equal(t, []string{"8 KiB", "", "", "64 KiB", "", "", "512 KiB", "", "", "4 MiB"}, labels(sizeTicks(8192, 4<<20)))
	require.Equal(t, []string{"4 KiB", ""}, labels(sizeTicks(5000, 5000)))
	require.Equal(t, []string{"1 GiB", ""}, labels(sizeTicks(1<<30, 1<<30)))
	require.Equal(t, []string{"2", "5", "10", "20", "50"}, labels(rateTicks(2.5, 45)))
}
