package diff_test

import (
	"testing"

	"github.com/gorgonorm/norm/diff"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Costs of ops whose derivatives are wrong in Gorgonia, or of another shape: the
// gradient, and the gradient of a penalty on it, against differences.
func TestOpsThatGorgoniaGetsWrong(t *testing.T) {
	conv := func(kernel, pad, stride int) func(x, w *G.Node) *G.Node {
		return func(x, w *G.Node) *G.Node {
			y := must(G.Conv2d(x, w, tensor.Shape{kernel, kernel}, []int{pad, pad}, []int{stride, stride}, []int{1, 1}))
			return sum(cubeOf(y))
		}
	}
	softmax := func(f func(*G.Node, ...int) (*G.Node, error), product func(x, w *G.Node) (*G.Node, error), axes ...int) func(x, w *G.Node) *G.Node {
		return func(x, w *G.Node) *G.Node { return sum(cubeOf(must(f(must(product(x, w)), axes...)))) }
	}
	positive := func(n *G.Node) *G.Node { return must(G.Exp(n)) }
	for name, c := range map[string]struct {
		x, w *tensor.Dense
		cost func(x, w *G.Node) *G.Node
	}{
		"convolution 1x1":           {wave(0.3, 2, 2, 3, 4), wave(1.1, 3, 2, 1, 1), conv(1, 0, 1)},
		"convolution 3x3, padded":   {wave(0.3, 2, 2, 4, 4), wave(1.1, 3, 2, 3, 3), conv(3, 1, 1)},
		"convolution 2x2, stride 2": {wave(0.3, 1, 2, 4, 6), wave(1.1, 2, 2, 2, 2), conv(2, 0, 2)},
		"slices": {wave(0.3, 4, 3), wave(1.1, 3, 2), func(x, w *G.Node) *G.Node {
			y := must(G.Mul(must(G.Slice(x, G.S(1, 3))), w))
			return must(G.Add(sum(cubeOf(y)), sum(cubeOf(must(G.Slice(x, nil, G.S(0)))))))
		}},
		"inverse root": {wave(0.3, 2, 3), wave(1.1, 3, 2), func(x, w *G.Node) *G.Node {
			return sum(must(G.InverseSqrt(must(G.Mul(positive(x), positive(w))))))
		}},
		"softmax":                  {wave(0.3, 4, 3), wave(1.1, 3, 5), softmax(G.SoftMax, G.Mul)},
		"softmax, columns":         {wave(0.3, 4, 3), wave(1.1, 3, 5), softmax(G.SoftMax, G.Mul, 0)},
		"softmax, vector":          {wave(0.3, 5), wave(1.1, 5), softmax(G.SoftMax, G.HadamardProd)},
		"softmax, channels":        {wave(0.3, 2, 3, 2, 2), wave(1.1, 2, 3, 2, 2), softmax(G.SoftMax, G.HadamardProd, 1)},
		"log of softmax":           {wave(0.3, 4, 3), wave(1.1, 3, 5), softmax(G.LogSoftMax, G.Mul)},
		"log of softmax, columns":  {wave(0.3, 4, 3), wave(1.1, 3, 5), softmax(G.LogSoftMax, G.Mul, 0)},
		"log of softmax, vector":   {wave(0.3, 5), wave(1.1, 5), softmax(G.LogSoftMax, G.HadamardProd)},
		"log of softmax, channels": {wave(0.3, 2, 3, 2, 2), wave(1.1, 2, 3, 2, 2), softmax(G.LogSoftMax, G.HadamardProd, 1)},
		"bias": {wave(0.3, 4, 3), wave(1.1, 1, 3), func(x, w *G.Node) *G.Node {
			return sum(cubeOf(must(G.BroadcastAdd(x, w, nil, []byte{0}))))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			grads := func() (m model, dx, dw *G.Node) {
				m = build(c.cost, c.x, c.w)
				d := must(diff.Grad(m.cost, m.x, m.w))
				return m, d[0], d[1]
			}
			check := func(f func() float64, d [][]float64) {
				t.Helper()
				require.InDeltaSlice(t, differences(c.x, f), d[0], 1e-6)
				require.InDeltaSlice(t, differences(c.w, f), d[1], 1e-6)
			}
			m, dx, dw := grads()
			require.Equal(t, m.x.Shape(), dx.Shape())
			require.Equal(t, m.w.Shape(), dw.Shape())
			check(func() float64 {
				m := build(c.cost, c.x, c.w)
				return run(t, m.g, m.cost)[0][0]
			}, run(t, m.g, dx, dw))

			penalty := func(dx, dw *G.Node) *G.Node {
				return must(G.Add(sum(must(G.Square(dx))), sum(must(G.Square(dw)))))
			}
			m, dx, dw = grads()
			d := must(diff.Grad(penalty(dx, dw), m.x, m.w))
			check(func() float64 {
				m, dx, dw := grads()
				return run(t, m.g, penalty(dx, dw))[0][0]
			}, run(t, m.g, d...))
		})
	}
}
