package main

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The critic tells the clouds apart, at a slope of 1.
func TestPenaltyFalls(t *testing.T) {
	h, err := train(250, func(int, point) {})
	require.NoError(t, err)
	mean := func(part []point, of func(point) float64) (m float64) {
		for _, p := range part {
			m += of(p) / float64(len(part))
		}
		return m
	}
	first, last := h[:5], h[len(h)-20:]
	penalty := func(p point) float64 { return p.penalty }
	require.Less(t, mean(last, penalty), 0.3*mean(first, penalty))
	require.Greater(t, mean(last, func(p point) float64 { return p.distance }), 1.0)
	require.InDelta(t, 1, mean(last, func(p point) float64 { return p.slope }), 0.2)
}

func TestPlot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plot.png")
	require.NoError(t, plotHistory(path, []point{{0, 1, math.Pi}, {1, 0.5, 1}}))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.NotZero(t, info.Size())
}
