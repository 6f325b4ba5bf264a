package ops_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gorgonorm/norm/internal/golden"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// moveAxis returns a row-major copy of d with one axis in another place;
// negative axes count from the end.
func moveAxis(d *tensor.Dense, from, to int) *tensor.Dense {
	rank := d.Dims()
	order := make([]int, rank)
	for i := range order {
		order[i] = i
	}
	from, to = (from+rank)%rank, (to+rank)%rank
	order = slices.Insert(slices.Delete(order, from, from+1), to, from)
	return permuted(d, order)
}

// permuted returns a row-major copy of d with its axes in another order.
func permuted(d *tensor.Dense, order []int) *tensor.Dense {
	shape, by := make(tensor.Shape, len(order)), make([]int, len(order))
	for i, axis := range order {
		shape[i], by[i] = d.Shape()[axis], d.Shape()[axis+1:].TotalSize()
	}
	var values []float64
	all := graphtest.Floats(d) // row-major
	walk(shape, by, 0, func(at int) { values = append(values, all[at]) })
	return graphtest.Dense(d.Dtype(), values, shape...)
}

// axesShape returns the sizes of axes in ascending order.
func axesShape(x tensor.Shape, axes []int) (shape tensor.Shape) {
	for i := range x {
		if slices.Contains(axes, i) || slices.Contains(axes, i-len(x)) {
			shape = append(shape, x[i])
		}
	}
	return shape
}

// axesSets are sets of axes of x, and the order that moves them to the end.
var axesSets = []struct {
	x           tensor.Shape
	axes, order []int
}{
	{tensor.Shape{2, 3, 4, 5}, []int{1}, []int{0, 2, 3, 1}},
	{tensor.Shape{2, 96, 7, 7}, []int{-3}, []int{0, 2, 3, 1}},
	{tensor.Shape{2, 3, 4, 5}, []int{1, 2}, []int{0, 3, 1, 2}},
	{tensor.Shape{2, 3, 4, 5}, []int{3, 2, 1}, []int{0, 1, 2, 3}},
	{tensor.Shape{2, 3, 4, 5}, []int{-1}, []int{0, 1, 2, 3}},
	{tensor.Shape{20, 3}, []int{0}, []int{1, 0}},
	{tensor.Shape{5, 4, 3}, []int{0, 1}, []int{2, 0, 1}},
	{tensor.Shape{2, 3, 4, 5}, []int{1, 3}, []int{0, 2, 1, 3}},
	{tensor.Shape{2, 3, 2, 3, 4}, []int{0, 2, -1}, []int{1, 3, 0, 2, 4}},
	{tensor.Shape{3, 1, 4, 2}, []int{0, 2}, []int{1, 3, 0, 2}},
	{tensor.Shape{3, 4}, []int{0, 1}, []int{0, 1}},
}

// The norm over any axes is the norm over the trailing ones between two
// transpositions.
func TestLayerNormAxesIsLayerNormTransposed(t *testing.T) {
	for _, c := range axesSets {
		for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			for _, unbiased := range []bool{false, true} {
				for name, m := range graphtest.Machines {
					t.Run(fmt.Sprintf("%v %v/%v/%v/%s", c.x, c.axes, dt, unbiased, name), func(t *testing.T) {
						cfg := ops.LayerNormConfig{Eps: 1e-3, UnbiasedStd: unbiased}
						shape := axesShape(c.x, c.axes)
						value := func(mean float64, s tensor.Shape) *tensor.Dense {
							return graphtest.Dense(dt, floats(wave(mean, s...)), s...)
						}
						x, dy, gamma, beta := value(0.5, c.x), value(-0.2, c.x), value(1.2, shape), value(-0.3, shape)
						got, err := m(func(n G.Nodes) (*G.Node, error) {
							return ops.LayerNormAxes(n[0], n[1], n[2], c.axes, cfg)
						}, []*tensor.Dense{x, gamma, beta}, dy)
						require.NoError(t, err)
						want, err := m(func(n G.Nodes) (*G.Node, error) {
							return ops.LayerNorm(n[0], n[1], n[2], shape, cfg)
						}, []*tensor.Dense{permuted(x, c.order), gamma, beta}, permuted(dy, c.order))
						require.NoError(t, err)
						got.Y, got.Grads[0] = permuted(got.Y, c.order), permuted(got.Grads[0], c.order)
						tolerance := 1e-13
						if dt == tensor.Float32 {
							tolerance = 2e-6
						}
						requireSameResult(t, want, got, tolerance, "transposed")
					})
				}
			}
		}
	}
}

// The golden cases of layer norm, transposed: the normalized axes come first.
func TestLayerNormAxesMatchesGolden(t *testing.T) {
	eachCase(t, "LayerNorm", func(t *testing.T, c *golden.Case, m graphtest.Machine) {
		vs, names := present(c, "x", "gamma", "beta")
		x, k := vs[0], len(c.Ints("normalized_shape"))
		var front, back []int // orders
		for i := range x.Dims() {
			front, back = append(front, (i-k+x.Dims())%x.Dims()), append(back, (i+k)%x.Dims())
		}
		axes := make([]int, k)
		for i := range axes {
			axes[i] = i
		}
		vs[0] = permuted(x, front)
		eps, _ := c.Float("eps")
		r, err := m(func(n G.Nodes) (*G.Node, error) {
			return ops.LayerNormAxes(n[0], pick(n, names, "gamma"), pick(n, names, "beta"), axes, ops.LayerNormConfig{Eps: eps})
		}, vs, permuted(in(c, "dy"), front))
		require.NoError(t, err)
		r.Y, r.Grads[0] = permuted(r.Y, back), permuted(r.Grads[0], back)
		checkResult(t, c, "y", r, names, "")
	})
}

func TestLayerNormAxesGradients(t *testing.T) {
	check := func(t *testing.T, x tensor.Shape, axes ...int) {
		for name, a := range affines {
			t.Run(fmt.Sprintf("%v %v/%s", x, axes, name), func(t *testing.T) {
				shape := axesShape(x, axes)
				in := append([]*tensor.Dense{wave(0.5, x...)}, affineValues(a.gamma, a.beta, shape...)...)
				gradients(t, func(n G.Nodes) (*G.Node, error) {
					gamma, beta := affineNodes(n, a.gamma, a.beta)
					return ops.LayerNormAxes(n[0], gamma, beta, axes, ops.LayerNormConfig{Eps: 1e-2})
				}, in)
			})
		}
	}
	for _, n := range sizes {
		check(t, tensor.Shape{2, 3, n}, 1)
		check(t, tensor.Shape{n, 5}, 0)
	}
	for _, c := range axesSets {
		check(t, c.x, c.axes...)
	}
}

// Batch norm is layer norm of the transposed matrix.
func TestBatchNormIsLayerNormOverTheBatch(t *testing.T) {
	x, dy := wave(0.5, 20, 7), wave(0.1, 20, 7)
	bn, err := graphtest.Tape(func(n G.Nodes) (*G.Node, error) {
		return ops.BatchNorm(n[0], nil, nil, nil, ops.BatchNormConfig{Eps: 1e-3})
	}, []*tensor.Dense{x}, dy)
	require.NoError(t, err)
	ln, err := graphtest.Tape(func(n G.Nodes) (*G.Node, error) {
		return ops.LayerNormAxes(n[0], nil, nil, []int{0}, ops.LayerNormConfig{Eps: 1e-3})
	}, []*tensor.Dense{x}, dy)
	require.NoError(t, err)
	requireSameResult(t, bn, ln, 1e-14, "over the batch")
}

func badLayerNormAxes() []badCall {
	call := func(x, gamma []int, eps float64, axes ...int) func(*bench) error {
		return func(b *bench) error {
			var g *G.Node
			if gamma != nil {
				g = b.f(gamma...)
			}
			_, err := ops.LayerNormAxes(b.f(x...), g, nil, axes, ops.LayerNormConfig{Eps: eps})
			return err
		}
	}
	x := []int{2, 3, 4}
	return []badCall{
		{"layernorm: axes of nil", ops.ErrGraph, func(*bench) error {
			_, err := ops.LayerNormAxes(nil, nil, nil, []int{1}, ops.LayerNormConfig{Eps: 1})
			return err
		}},
		{"layernorm: no axes", ops.ErrShape, call(x, nil, 1e-5)},
		{"layernorm: axis too large", ops.ErrShape, call(x, nil, 1e-5, 1, 3)},
		{"layernorm: axis too far from the end", ops.ErrShape, call(x, nil, 1e-5, -4)},
		{"layernorm: axis twice", ops.ErrShape, call(x, nil, 1e-5, 1, -2)},
		{"layernorm: gamma of another axis", ops.ErrShape, call(x, []int{4}, 1e-5, 1)},
		{"layernorm: gamma that broadcasts", ops.ErrShape, call(x, []int{1, 3, 1}, 1e-5, 1)},
		{"layernorm: axes with eps 0", ops.ErrOption, call(x, nil, 0, 1)},
	}
}
