package norm_test

import (
	"slices"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// wave makes the input of most tests.
var wave = graphtest.Wave

// constant returns a tensor whose rows each repeat one value.
func constant(dt tensor.Dtype, cols int, rows ...float64) *tensor.Dense {
	var v []float64
	for _, r := range rows {
		v = append(v, slices.Repeat([]float64{r}, cols)...)
	}
	return graphtest.Dense(dt, v, len(rows), cols)
}

// input makes the node x.
func input(g *G.ExprGraph, v *tensor.Dense) *G.Node { return graphtest.Leaf(g, "x", v) }

// run evaluates a node in a tape machine of its own.
func run(t *testing.T, n *G.Node, opts ...G.VMOpt) []float64 {
	t.Helper()
	var v G.Value
	G.Read(n, &v)
	vm := G.NewTapeMachine(n.Graph(), opts...)
	defer vm.Close()
	require.NoError(t, vm.RunAll())
	return graphtest.Floats(v.(*tensor.Dense))
}

// train runs one training step on x.
func train(t *testing.T, x, y *G.Node, v *tensor.Dense) {
	t.Helper()
	require.NoError(t, G.Let(x, v))
	run(t, y)
}

// set writes values into the storage of a parameter.
func set(t *testing.T, n *G.Node, values []float64) {
	switch data := n.Value().Data().(type) {
	case []float32:
		require.Len(t, values, len(data))
		for i, v := range values {
			data[i] = float32(v)
		}
	case []float64:
		require.Equal(t, len(data), copy(data, values))
	}
}

// batchNorm makes a graph with an input of the shape and a batch norm for it.
func batchNorm(t *testing.T, dt tensor.Dtype, shape []int, opts ...norm.BatchNormOption) (*G.ExprGraph, *G.Node, *norm.BatchNorm) {
	t.Helper()
	g := G.NewGraph()
	bn, err := norm.NewBatchNorm(g, dt, shape[1], opts...)
	require.NoError(t, err)
	return g, input(g, wave(dt, 1, shape...)), bn
}

// moments returns the mean and the unbiased variance of each column.
func moments(x *tensor.Dense) (mean, variance []float64) {
	v, c := graphtest.Floats(x), x.Shape()[1]
	n := float64(len(v) / c)
	mean, variance = make([]float64, c), make([]float64, c)
	for i, e := range v {
		mean[i%c] += e / n
	}
	for i, e := range v {
		variance[i%c] += (e - mean[i%c]) * (e - mean[i%c]) / (n - 1)
	}
	return mean, variance
}

// batches are three batches for three channels.
var batches = []*tensor.Dense{wave(tensor.Float64, 0, 6, 3), wave(tensor.Float64, 2, 6, 3), wave(tensor.Float64, -1, 6, 3)}

// requireBits requires equal shapes and bit-equal elements.
func requireBits(t *testing.T, want, got *tensor.Dense, what string) {
	t.Helper()
	require.Equal(t, want.Shape(), got.Shape(), what)
	require.Equal(t, want.Data(), got.Data(), what)
}
