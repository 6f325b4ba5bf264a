package gradcheck

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gorgonorm/norm/internal/opcall"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The cost of a spread scalar s is s·Σw², and each of the two ops is the
// derivative of the other.
func TestCostAndSpread(t *testing.T) {
	for _, shape := range []tensor.Shape{{}, {1}, {5}, {2, 3, 2}} {
		g := G.NewGraph()
		s := G.NewScalar(g, G.Float64, G.WithName("s"), G.WithValue(3.0))
		y, err := G.ApplyOp(&spreadOp{shape: shape}, s)
		require.NoError(t, err)
		cost, err := G.ApplyOp(&costOp{shape: shape}, y)
		require.NoError(t, err)
		grads, err := G.Grad(cost, s)
		require.NoError(t, err)
		var d G.Value
		G.Read(grads[0], &d)
		m := G.NewTapeMachine(g)
		require.NoError(t, m.RunAll())
		require.NoError(t, m.Close())

		want := 0.0
		for _, w := range weights(shape.TotalSize()) {
			want += w * w
		}
		require.InDelta(t, want, d.Data(), 1e-14*want)
		require.InDelta(t, 3*want, cost.Value().Data(), 1e-14*want)
	}
}

func TestCostErrors(t *testing.T) {
	short := tensor.New(tensor.WithShape(2), tensor.WithBacking([]float64{1, 2}))
	singles := tensor.New(tensor.WithShape(3), tensor.WithBacking([]float32{1, 2, 3}))
	for _, op := range []G.Op{&costOp{shape: tensor.Shape{3}}, &spreadOp{shape: tensor.Shape{3}}} {
		_, err := op.Do()
		require.ErrorContains(t, err, "0 inputs, want 1")
		_, err = op.Do(singles)
		require.ErrorContains(t, err, "want float64")
		require.Equal(t, opcall.Hashcode(op), op.Hashcode())
	}
	long := tensor.New(tensor.WithShape(4), tensor.WithBacking([]float64{1, 2, 3, 4}))
	for _, y := range []*tensor.Dense{short, long} {
		_, err := (&costOp{shape: tensor.Shape{3}}).Do(y)
		require.ErrorContains(t, err, fmt.Sprintf("an input of shape %v, want (3)", y.Shape()))
	}
}

func TestWeightsAreUneven(t *testing.T) {
	w := weights(1000)
	seen := make(map[float64]bool)
	positive := 0
	for _, v := range w {
		require.GreaterOrEqual(t, math.Abs(v), 0.5)
		require.LessOrEqual(t, math.Abs(v), 1.5)
		require.False(t, seen[math.Abs(v)])
		seen[math.Abs(v)] = true
		if v > 0 {
			positive++
		}
	}
	require.InDelta(t, 500, positive, 20)
}

func TestSumIsCompensated(t *testing.T) {
	var s sum
	for _, v := range []float64{1, 1e100, 1, -1e100} {
		s.add(v)
	}
	require.Equal(t, 2.0, s.value())
	s.add(math.Inf(1))
	require.Equal(t, math.Inf(1), s.value())
}

// If only some elements are checked, they are spread evenly from the first to the last.
func TestSelection(t *testing.T) {
	c := comparison{expression: &expression{config: &config{max: 3, maxSet: true}}}
	require.Equal(t, []int{0, 3, 6}, c.selection(7))
	require.Equal(t, []int{0, 1, 2}, c.selection(3))
	c.max = 1
	require.Equal(t, []int{0, 6}, c.selection(7), "two at least")
}

// The text lists the ten worst elements and counts the others.
func TestErrorListsTen(t *testing.T) {
	g := group{machine: Tape, input: "x", elements: 12, off: make([]Mismatch, 12)}
	text := newError([]group{g}).Error()
	require.Equal(t, 10, strings.Count(text, "central difference"))
	require.Contains(t, text, "\n  and 2 more")
}
