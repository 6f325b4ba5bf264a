package ops_test

import (
	"testing"

	"github.com/gorgonorm/norm/gradcheck"
	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestReshape(t *testing.T) {
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		testReshape(t, graphtest.Wave(dt, 0.5, 4, 6))
	}
	shape := tensor.Shape{3, -1}
	y, err := ops.Reshape(graphtest.Leaf(G.NewGraph(), "x", wave(0, 2, 6)), shape)
	require.NoError(t, err)
	require.Equal(t, tensor.Shape{3, 4}, y.Shape())
	require.Equal(t, tensor.Shape{3, -1}, shape, "it is the caller's")
}

func testReshape(t *testing.T, x *tensor.Dense) {
	for _, c := range []struct{ to, want tensor.Shape }{
		{tensor.Shape{24}, tensor.Shape{24}},
		{tensor.Shape{2, -1, 3}, tensor.Shape{2, 4, 3}},
		{tensor.Shape{-1}, tensor.Shape{24}},
		{tensor.Shape{4, 6}, tensor.Shape{4, 6}},
		{tensor.Shape{4, 6, -1}, tensor.Shape{4, 6, 1}},
		{tensor.Shape{1, 24}, tensor.Shape{1, 24}},
	} {
		g := G.NewGraph()
		y, err := ops.Reshape(graphtest.Leaf(g, "x", x), c.to)
		require.NoError(t, err)
		m := G.NewTapeMachine(g)
		require.NoError(t, m.RunAll())
		require.NoError(t, m.Close())
		require.Equal(t, c.want, y.Value().Shape())
		require.Equal(t, floats(x), floats(y.Value()))
		require.False(t, dense.Overlap(must(y.Op().Do(x)).(*tensor.Dense), must(y.Op().Do(x)).(*tensor.Dense)))
	}
}

// reshapedSums use x, or its reshaped elements, by an op that works in place before they
// are used again. With gorgonia.Reshape all of these gradients are wrong in one machine
// or in both.
var reshapedSums = map[string]func(x *G.Node) (*G.Node, error){
	"residual": func(x *G.Node) (*G.Node, error) {
		y := G.Must(G.Tanh(G.Must(ops.Reshape(x, tensor.Shape{2, 6}))))
		return G.Add(x, G.Must(ops.Reshape(y, tensor.Shape{3, 4})))
	},
	"square of x": func(x *G.Node) (*G.Node, error) {
		y := G.Must(G.Cube(G.Must(ops.Reshape(x, tensor.Shape{2, 6}))))
		return G.Add(G.Must(G.Sum(y)), G.Must(G.Sum(G.Must(G.Square(x)))))
	},
	"square of result": func(x *G.Node) (*G.Node, error) {
		y := G.Must(G.Tanh(x))
		q := G.Must(G.Square(G.Must(ops.Reshape(x, tensor.Shape{12}))))
		return G.Add(G.Must(G.Sum(y)), G.Must(G.Sum(q)))
	},
}

func TestReshapeGradients(t *testing.T) {
	in := []*tensor.Dense{wave(0.5, 3, 4)}
	for name, f := range reshapedSums {
		t.Run(name, func(t *testing.T) {
			first := func(n G.Nodes) (*G.Node, error) { return f(G.Must(G.Cube(n[0]))) }
			gradients(t, first, in)
			gradients(t, firstGradient(func(n G.Nodes) (*G.Node, error) {
				y, err := first(n)
				if err != nil || y.IsScalar() {
					return y, err
				}
				return G.Sum(G.Must(G.Square(y)))
			}), in, gradcheck.WithMachines(gradcheck.Tape))
		})
	}
}

func badReshapes() []badCall {
	to := func(shape ...int) func(*bench) error {
		return func(b *bench) error {
			_, err := ops.Reshape(b.f(4, 6), shape)
			return err
		}
	}
	return []badCall{
		{"reshape: x nil", ops.ErrGraph, func(*bench) error { _, err := ops.Reshape(nil, tensor.Shape{24}); return err }},
		{"reshape: x int", ops.ErrDtype, func(b *bench) error { _, err := ops.Reshape(b.of(tensor.Int, 4, 6), tensor.Shape{24}); return err }},
		{"reshape: too few elements", ops.ErrShape, to(4, 5)},
		{"reshape: too many elements", ops.ErrShape, to(5, 6)},
		{"reshape: no shape", ops.ErrShape, to()},
		{"reshape: size 0", ops.ErrShape, to(4, 6, 0)},
		{"reshape: two sizes to find", ops.ErrShape, to(-1, -1, 6)},
		{"reshape: size -2", ops.ErrShape, to(-2, 6)},
		{"reshape: size to find that does not divide", ops.ErrShape, to(5, -1)},
	}
}

// A shape without axes is that of a scalar, and not of a tensor.
func TestReshapeRefuses(t *testing.T) {
	g := G.NewGraph()
	one, six := graphtest.Leaf(g, "one", wave(0, 1, 1)), graphtest.Leaf(g, "six", wave(0, 2, 3))
	for _, c := range []struct {
		x     *G.Node
		shape tensor.Shape
	}{{one, nil}, {one, tensor.Shape{}}, {six, tensor.Shape{-2, -3}}, {six, tensor.Shape{-1, -6}}} {
		_, err := ops.Reshape(c.x, c.shape)
		require.ErrorIs(t, err, ops.ErrShape, "%v", c.shape)
	}
}
