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
	turned := graphtest.Dense(d.Dtype(), graphtest.Floats(d), d.Shape()...)
	if err := turned.T(order...); err != nil {
		panic(err)
	}
	return graphtest.Dense(d.Dtype(), graphtest.Floats(turned), turned.Shape()...)
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
	{tensor.Shape{5, 37, 1, 1}, []int{1}, []int{0, 2, 3, 1}}, // as after global pooling
	{tensor.Shape{5, 3, 4, 1}, []int{1, 2}, []int{0, 3, 1, 2}},
	{tensor.Shape{3, 1, 4, 1}, []int{0, 2}, []int{1, 3, 0, 2}},
}

// axesNorm is a norm over any axes, and the same norm over the trailing axes.
type axesNorm struct {
	over     func(x, gamma, beta *G.Node, axes []int) (*G.Node, error)
	trailing func(x, gamma, beta *G.Node, shape tensor.Shape) (*G.Node, error)
	scaled   bool // only with γ
}

func layerNormOverAxes(cfg ops.LayerNormConfig) axesNorm {
	return axesNorm{
		over: func(x, gamma, beta *G.Node, axes []int) (*G.Node, error) {
			return ops.LayerNormAxes(x, gamma, beta, axes, cfg)
		},
		trailing: func(x, gamma, beta *G.Node, shape tensor.Shape) (*G.Node, error) {
			return ops.LayerNorm(x, gamma, beta, shape, cfg)
		},
	}
}

func rmsNormOverAxes(cfg ops.RMSNormConfig) axesNorm {
	return axesNorm{
		over: func(x, gamma, beta *G.Node, axes []int) (*G.Node, error) {
			return ops.RMSNormAxes(x, gamma, beta, axes, cfg)
		},
		trailing: func(x, gamma, beta *G.Node, shape tensor.Shape) (*G.Node, error) {
			return ops.RMSNorm(x, gamma, beta, shape, cfg)
		},
		scaled: cfg.ScalePlusOne,
	}
}

// axesNorms are the norms over any axes.
func axesNorms(eps float64) map[string]axesNorm {
	return map[string]axesNorm{
		"layer": layerNormOverAxes(ops.LayerNormConfig{Eps: eps}), "unbiased": layerNormOverAxes(ops.LayerNormConfig{Eps: eps, UnbiasedStd: true}),
		"rms": rmsNormOverAxes(ops.RMSNormConfig{Eps: eps}), "rms plus one": rmsNormOverAxes(ops.RMSNormConfig{Eps: eps, ScalePlusOne: true}),
	}
}

// The norm over any axes equals the norm over the trailing ones between two
// transpositions.
func TestNormAxesIsNormTransposed(t *testing.T) {
	for kind, norm := range axesNorms(1e-3) {
		for _, c := range axesSets {
			t.Run(fmt.Sprintf("%s/%v %v", kind, c.x, c.axes), func(t *testing.T) {
				eachMachine(t, func(t *testing.T, dt tensor.Dtype, m graphtest.Machine) {
					shape := axesShape(c.x, c.axes)
					x, dy := graphtest.Wave(dt, 0.5, c.x...), graphtest.Wave(dt, -0.2, c.x...)
					gamma, beta := graphtest.Wave(dt, 1.2, shape...), graphtest.Wave(dt, -0.3, shape...)
					got, err := m(func(n G.Nodes) (*G.Node, error) {
						return norm.over(n[0], n[1], n[2], c.axes)
					}, []*tensor.Dense{x, gamma, beta}, dy)
					require.NoError(t, err)
					want, err := m(func(n G.Nodes) (*G.Node, error) {
						return norm.trailing(n[0], n[1], n[2], shape)
					}, []*tensor.Dense{permuted(x, c.order), gamma, beta}, permuted(dy, c.order))
					require.NoError(t, err)
					got.Y, got.Grads[0] = permuted(got.Y, c.order), permuted(got.Grads[0], c.order)
					requireSameResult(t, want, got, tolerances[dt], "transposed")
				})
			})
		}
	}
}

// If only axes of size 1 follow the normalized ones, columns are rows, and the fast loops
// over rows are used.
func TestNormAxesBeforeAxesOfSizeOneIsNormOfRows(t *testing.T) {
	for kind, norm := range axesNorms(1e-3) {
		t.Run(kind, func(t *testing.T) {
			eachMachine(t, func(t *testing.T, dt tensor.Dtype, m graphtest.Machine) {
				result := func(build func(x, gamma, beta *G.Node) (*G.Node, error), shape ...int) graphtest.Result {
					x, dy := graphtest.Wave(dt, 0.5, shape...), graphtest.Wave(dt, -0.2, shape...)
					gamma, beta := graphtest.Wave(dt, 1.2, 300), graphtest.Wave(dt, -0.3, 300)
					r, err := m(func(n G.Nodes) (*G.Node, error) { return build(n[0], n[1], n[2]) }, []*tensor.Dense{x, gamma, beta}, dy)
					require.NoError(t, err)
					require.NoError(t, r.Y.Reshape(20, 300))
					require.NoError(t, r.Grads[0].Reshape(20, 300))
					return r
				}
				want := result(func(x, gamma, beta *G.Node) (*G.Node, error) {
					return norm.trailing(x, gamma, beta, tensor.Shape{300})
				}, 20, 300)
				got := result(func(x, gamma, beta *G.Node) (*G.Node, error) {
					return norm.over(x, gamma, beta, []int{1})
				}, 20, 300, 1, 1)
				requireSameResult(t, want, got, 0, "axes of size 1")
			})
		})
	}
}

// The golden cases are transposed, so that the normalized axes come first.
func TestNormAxesMatchesGolden(t *testing.T) {
	t.Run("LayerNorm", func(t *testing.T) {
		axesGolden(t, "LayerNorm", func(eps float64) axesNorm { return layerNormOverAxes(ops.LayerNormConfig{Eps: eps}) })
	})
	t.Run("RMSNorm", func(t *testing.T) {
		axesGolden(t, "RMSNorm", func(eps float64) axesNorm { return rmsNormOverAxes(ops.RMSNormConfig{Eps: eps}) })
	})
}

func axesGolden(t *testing.T, op string, norm func(eps float64) axesNorm) {
	eachCase(t, op, func(t *testing.T, c *golden.Case, m graphtest.Machine) {
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
			return norm(eps).over(n[0], pick(n, names, "gamma"), pick(n, names, "beta"), axes)
		}, vs, permuted(in(c, "dy"), front))
		require.NoError(t, err)
		r.Y, r.Grads[0] = permuted(r.Y, back), permuted(r.Grads[0], back)
		checkResult(t, c, "y", r, names, "")
	})
}

// differentiated leaves out the unbiased deviation, for which differences are not
// accurate enough in short columns. By the tests above its derivatives are those over the
// trailing axes.
func differentiated(eps float64) map[string]axesNorm {
	norms := axesNorms(eps)
	delete(norms, "unbiased")
	return norms
}

func TestNormAxesGradients(t *testing.T) {
	check := func(t *testing.T, x tensor.Shape, axes ...int) {
		for kind, norm := range differentiated(1e-2) {
			for name, a := range affines {
				if norm.scaled && !a.gamma {
					continue // an error
				}
				t.Run(fmt.Sprintf("%s/%v %v/%s", kind, x, axes, name), func(t *testing.T) {
					in := append([]*tensor.Dense{wave(0.5, x...)}, affineValues(a.gamma, a.beta, axesShape(x, axes)...)...)
					gradients(t, func(n G.Nodes) (*G.Node, error) {
						gamma, beta := affineNodes(n, a.gamma, a.beta)
						return norm.over(n[0], gamma, beta, axes)
					}, in)
				})
			}
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

// These are second derivatives over axes in front, between others, and apart.
func TestNormAxesSecondGradients(t *testing.T) {
	for kind, norm := range differentiated(1e-2) {
		for _, n := range secondSizes {
			for _, c := range []struct {
				x    tensor.Shape
				axes []int
			}{{tensor.Shape{n, 5}, []int{0}}, {tensor.Shape{2, n, 3}, []int{1}}, {tensor.Shape{2, n, 1}, []int{1}}, {tensor.Shape{n, 3, 2, 2}, []int{0, 2}}} {
				for name, a := range affines {
					if norm.scaled && !a.gamma || n > 8 && name != "both" {
						continue
					}
					t.Run(fmt.Sprintf("%s/%v %v/%s", kind, c.x, c.axes, name), func(t *testing.T) {
						in := append([]*tensor.Dense{wave(0.5, c.x...)}, affineValues(a.gamma, a.beta, axesShape(c.x, c.axes)...)...)
						secondGradients(t, func(ns G.Nodes) (*G.Node, error) {
							gamma, beta := affineNodes(ns, a.gamma, a.beta)
							return norm.over(ns[0], gamma, beta, c.axes)
						}, in, c.x)
					})
				}
			}
		}
	}
}

// The unbiased deviation is tested where columns are long enough for differences.
func TestNormAxesSecondGradientsUnbiased(t *testing.T) {
	norm := axesNorms(1e-2)["unbiased"]
	for _, c := range []struct {
		x    tensor.Shape
		axes []int
	}{{tensor.Shape{8, 3}, []int{0}}, {tensor.Shape{4, 3, 2, 2}, []int{0, 2}}} {
		in := append([]*tensor.Dense{wave(0.5, c.x...)}, affineValues(true, true, axesShape(c.x, c.axes)...)...)
		secondGradients(t, func(ns G.Nodes) (*G.Node, error) { return norm.over(ns[0], ns[1], ns[2], c.axes) }, in, c.x)
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

func badRMSNormAxes() []badCall {
	call := func(x, gamma []int, cfg ops.RMSNormConfig, axes ...int) func(*bench) error {
		return func(b *bench) error {
			var g *G.Node
			if gamma != nil {
				g = b.f(gamma...)
			}
			_, err := ops.RMSNormAxes(b.f(x...), g, nil, axes, cfg)
			return err
		}
	}
	x, cfg := []int{2, 3, 4}, ops.RMSNormConfig{Eps: 1e-5}
	plusOne := ops.RMSNormConfig{Eps: 1e-5, ScalePlusOne: true}
	return []badCall{
		{"rmsnorm: axes of nil", ops.ErrGraph, func(*bench) error {
			_, err := ops.RMSNormAxes(nil, nil, nil, []int{1}, cfg)
			return err
		}},
		{"rmsnorm: axes of int", ops.ErrDtype, func(b *bench) error {
			_, err := ops.RMSNormAxes(b.of(tensor.Int, 2, 3, 4), nil, nil, []int{1}, cfg)
			return err
		}},
		{"rmsnorm: no axes", ops.ErrShape, call(x, nil, cfg)},
		{"rmsnorm: axis too large", ops.ErrShape, call(x, nil, cfg, 1, 3)},
		{"rmsnorm: axis twice", ops.ErrShape, call(x, nil, cfg, 1, -2)},
		{"rmsnorm: gamma of another axis", ops.ErrShape, call(x, []int{4}, cfg, 1)},
		{"rmsnorm: gamma that broadcasts", ops.ErrShape, call(x, []int{1, 3, 1}, cfg, 1)},
		{"rmsnorm: gamma of another axis, trailing", ops.ErrShape, call(x, []int{3}, cfg, 2)},
		{"rmsnorm: axes with eps 0", ops.ErrOption, call(x, nil, ops.RMSNormConfig{}, 1)},
		{"rmsnorm: axes plus one without gamma", ops.ErrOption, call(x, nil, plusOne, 1)},
		{"rmsnorm: trailing axes plus one without gamma", ops.ErrOption, call(x, nil, plusOne, -1)},
	}
}
