package diff_test

import (
	"math"
	"testing"

	"github.com/gorgonorm/norm/diff"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The costs have ops whose derivatives are wrong in Gorgonia, or have another shape. The
// gradient, and the gradient of a penalty on it, are compared with differences.
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
	selection := func(axis int, product func(x, w *G.Node) (*G.Node, error)) func(x, w *G.Node) *G.Node {
		return func(x, w *G.Node) *G.Node {
			at := G.NewVector(x.Graph(), tensor.Int, G.WithName("at"), G.WithValue(tensor.New(tensor.WithBacking([]int{2, 0, 2, 1, 2}))))
			return sum(cubeOf(must(G.ByIndices(must(product(x, w)), at, axis))))
		}
	}
	tanh := func(n *G.Node) *G.Node { return must(G.Tanh(n)) }
	product := func(x, w *G.Node) *G.Node { return sum(cubeOf(must(G.Mul(x, w)))) }
	contraction := func(xAxes, wAxes []int) func(x, w *G.Node) *G.Node {
		return func(x, w *G.Node) *G.Node {
			return sum(cubeOf(must(G.Tensordot(xAxes, wAxes, x, w))))
		}
	}
	outer := func(x, w *G.Node) *G.Node { return sum(cubeOf(must(G.OuterProd(x, w)))) }
	positive := func(n *G.Node) *G.Node { return must(G.Exp(n)) }
	for name, c := range map[string]struct {
		x, w *tensor.Dense
		cost func(x, w *G.Node) *G.Node
	}{
		"convolution 1x1":           {wave(0.3, 2, 2, 3, 4), wave(1.1, 3, 2, 1, 1), conv(1, 0, 1)},
		"convolution 3x3, padded":   {wave(0.3, 2, 2, 4, 4), wave(1.1, 3, 2, 3, 3), conv(3, 1, 1)},
		"convolution 2x2, stride 2": {wave(0.3, 1, 2, 4, 6), wave(1.1, 2, 2, 2, 2), conv(2, 0, 2)},
		"convolution by a computed kernel": {wave(0.3, 2, 2, 4, 4), wave(1.1, 3, 2, 3, 3), func(x, w *G.Node) *G.Node {
			return sum(tanh(must(G.Conv2d(tanh(x), tanh(w), tensor.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1}))))
		}},
		"contraction by a computed vector": {wave(0.3, 4, 3), wave(1.1, 3), func(x, w *G.Node) *G.Node {
			return sum(tanh(must(G.Tensordot([]int{1}, []int{0}, tanh(x), tanh(w)))))
		}},
		"contraction, two axes in turn":  {wave(0.3, 2, 3, 4, 2), wave(1.1, 4, 5, 2), contraction([]int{0, 2}, []int{2, 0})},
		"contraction, middle axes":       {wave(0.3, 2, 3, 4), wave(1.1, 2, 3, 2), contraction([]int{1}, []int{1})},
		"contraction by a vector":        {wave(0.3, 2, 3, 4), wave(1.1, 3), contraction([]int{1}, []int{0})},
		"contraction of one row":         {wave(0.3, 1, 4), wave(1.1, 4), contraction([]int{1}, []int{0})},
		"contraction of a vector":        {wave(0.3, 4), wave(1.1, 2, 4, 3), contraction([]int{0}, []int{1})},
		"contraction by all of a matrix": {wave(0.3, 4, 2, 3), wave(1.1, 3, 4), contraction([]int{0, 2}, []int{1, 0})},
		"contraction of all of a matrix": {wave(0.3, 3, 4), wave(1.1, 2, 4, 3), contraction([]int{0, 1}, []int{2, 1})},
		"reshape of what is computed": {wave(0.3, 4, 3), wave(1.1, 6), func(x, w *G.Node) *G.Node {
			return sum(tanh(must(G.Mul(tanh(x), must(G.Reshape(tanh(w), tensor.Shape{3, 2}))))))
		}},
		"slices": {wave(0.3, 4, 3), wave(1.1, 3, 2), func(x, w *G.Node) *G.Node {
			y := must(G.Mul(must(G.Slice(x, G.S(1, 3))), w))
			return must(G.Add(sum(cubeOf(y)), sum(cubeOf(must(G.Slice(x, nil, G.S(0)))))))
		}},
		"inverse root": {wave(0.3, 2, 3), wave(1.1, 3, 2), func(x, w *G.Node) *G.Node {
			return sum(must(G.InverseSqrt(must(G.Mul(positive(x), positive(w))))))
		}},
		"softmax":                      {wave(0.3, 4, 3), wave(1.1, 3, 5), softmax(G.SoftMax, G.Mul)},
		"softmax, columns":             {wave(0.3, 4, 3), wave(1.1, 3, 5), softmax(G.SoftMax, G.Mul, 0)},
		"softmax, column":              {wave(0.3, 4, 3), wave(1.1, 3, 1), softmax(G.SoftMax, G.Mul)},
		"softmax, vector":              {wave(0.3, 5), wave(1.1, 5), softmax(G.SoftMax, G.HadamardProd)},
		"softmax, channels":            {wave(0.3, 2, 3, 2, 2), wave(1.1, 2, 3, 2, 2), softmax(G.SoftMax, G.HadamardProd, 1)},
		"log of softmax":               {wave(0.3, 4, 3), wave(1.1, 3, 5), softmax(G.LogSoftMax, G.Mul)},
		"log of softmax, columns":      {wave(0.3, 4, 3), wave(1.1, 3, 5), softmax(G.LogSoftMax, G.Mul, 0)},
		"log of softmax, column":       {wave(0.3, 4, 3), wave(1.1, 3, 1), softmax(G.LogSoftMax, G.Mul)},
		"log of softmax, vector":       {wave(0.3, 5), wave(1.1, 5), softmax(G.LogSoftMax, G.HadamardProd)},
		"log of softmax, channels":     {wave(0.3, 2, 3, 2, 2), wave(1.1, 2, 3, 2, 2), softmax(G.LogSoftMax, G.HadamardProd, 1)},
		"selection from a vector":      {wave(0.3, 4), wave(1.1, 4), selection(0, G.HadamardProd)},
		"selection of rows":            {wave(0.3, 3, 2), wave(1.1, 2, 3), selection(0, G.Mul)},
		"selection of columns":         {wave(0.3, 3, 2), wave(1.1, 2, 4), selection(1, G.Mul)},
		"matrix by vector":             {wave(0.3, 3, 3), wave(1.1, 3), product},
		"matrix by vector, not square": {wave(0.3, 2, 3), wave(1.1, 3), product},
		"vector by matrix":             {wave(0.3, 3), wave(1.1, 3, 3), product},
		"outer product":                {wave(0.3, 3), wave(1.1, 3), outer},
		"outer product, not square":    {wave(0.3, 2), wave(1.1, 3), outer},
		"log2": {wave(0.3, 2, 3), wave(1.1, 3, 2), func(x, w *G.Node) *G.Node {
			return sum(cubeOf(must(G.Log2(must(G.Mul(positive(x), positive(w)))))))
		}},
		"root of a mean": {wave(0.3, 2, 3), wave(1.1, 3, 2), func(x, w *G.Node) *G.Node {
			return must(G.Sqrt(must(G.Mean(must(G.Square(must(G.Mul(x, w))))))))
		}},
		"binary cross-entropy": {wave(0.3, 2, 3), wave(1.1, 3, 2), func(x, w *G.Node) *G.Node {
			y := must(G.Mul(x, w))
			return sum(cubeOf(must(G.BinaryXent(must(G.Square(must(G.Sigmoid(y)))), must(G.Square(must(G.Tanh(y))))))))
		}},
		"square of a sum": {wave(0.3, 4), wave(1.1, 4), func(x, w *G.Node) *G.Node {
			return must(G.Square(sum(cubeOf(must(G.HadamardProd(x, w))))))
		}},
		"log of a sum": {wave(0.3, 2, 3, 2), wave(1.1, 2, 3, 2), func(x, w *G.Node) *G.Node {
			return must(G.Log(sum(must(G.Exp(must(G.HadamardProd(x, w)))))))
		}},
		"sum by itself": {wave(0.3, 2, 3), wave(1.1, 3, 2), func(x, w *G.Node) *G.Node {
			s := sum(must(G.Square(must(G.Mul(x, w)))))
			return must(G.HadamardProd(s, s))
		}},
		"dropout of nothing": {wave(0.3, 2, 3), wave(1.1, 3, 2), func(x, w *G.Node) *G.Node {
			return sum(cubeOf(must(G.Dropout(must(G.Mul(x, w)), 0))))
		}},
		"binary cross-entropy of targets": {wave(0.3, 2, 3), wave(1.1, 3, 2), func(x, w *G.Node) *G.Node {
			targets := graphtest.Leaf(x.Graph(), "targets", wave(0.7, 2, 2))
			return sum(must(G.BinaryXent(must(G.Sigmoid(must(G.Mul(x, w)))), targets)))
		}},
		"bias": {wave(0.3, 4, 3), wave(1.1, 1, 3), func(x, w *G.Node) *G.Node {
			return sum(cubeOf(must(G.BroadcastAdd(x, w, nil, []byte{0}))))
		}},
		"bias of channels": {wave(0.3, 2, 3, 3, 4), wave(1.1, 1, 3, 1, 1), func(x, w *G.Node) *G.Node {
			return sum(cubeOf(must(G.BroadcastAdd(x, w, nil, []byte{0, 2, 3}))))
		}},
		"scale of samples and channels": {wave(0.3, 2, 3, 3, 4), wave(1.1, 2, 3, 1, 1), func(x, w *G.Node) *G.Node {
			return sum(cubeOf(must(G.BroadcastHadamardProd(x, w, nil, []byte{2, 3}))))
		}},
		"scale of columns": {wave(0.3, 2, 3, 3, 4), wave(1.1, 2, 3, 1, 4), func(x, w *G.Node) *G.Node {
			return sum(cubeOf(must(G.BroadcastHadamardProd(x, w, nil, []byte{2}))))
		}},
		"scale of volumes": {wave(0.3, 2, 2, 3, 3, 2), wave(1.1, 2, 2, 1, 1, 2), func(x, w *G.Node) *G.Node {
			return sum(cubeOf(must(G.BroadcastHadamardProd(x, w, nil, []byte{2, 3}))))
		}},
		"softmax, columns of images":        {wave(0.3, 2, 3, 3, 2), wave(1.1, 2, 3, 3, 2), softmax(G.SoftMax, G.HadamardProd, 2)},
		"log of softmax, columns of images": {wave(0.3, 2, 3, 3, 2), wave(1.1, 2, 3, 3, 2), softmax(G.LogSoftMax, G.HadamardProd, 2)},
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

// A LispMachine takes the gradient of the gradient of a dropout, here of Σ36y⁴, with y =
// 2x where x is kept. Gorgonia's own gradient is right only for p = 0.5.
func TestDropoutInALispMachine(t *testing.T) {
	g := G.NewGraph()
	x := graphtest.Leaf(g, "x", wave(0.3, 4, 3))
	y := must(G.Dropout(x, 0.5))
	p := sum(must(G.Square(must(diff.Grad(sum(cubeOf(y)), x))[0])))
	vm := G.NewLispMachine(g.ExactSubgraphRoots(p))
	defer vm.Close()
	require.NoError(t, vm.RunAll())
	got, kept := must(x.Grad()).Data().([]float64), 0
	for i, y := range y.Value().Data().([]float64) {
		want := 288 * y * y * y
		require.InDelta(t, want, got[i], 1e-12*math.Abs(want))
		if y != 0 {
			kept++
		}
	}
	require.NotZero(t, kept)
}

// Dropout has new noise in each run, so its derivatives are compared with what the same
// run has kept. In evaluation it keeps everything. The cost Σ(y³ + y) of the result y
// also has a gradient with respect to dropped elements, which must not reach x.
func TestDropout(t *testing.T) {
	for dt, tolerance := range map[tensor.Dtype]float64{tensor.Float64: 1e-12, tensor.Float32: 1e-5} {
		for _, p := range []float64{0.2, 0.7} {
			for _, opts := range [][]G.VMOpt{nil, {G.EvalMode()}} {
				g := G.NewGraph()
				x := G.NewMatrix(g, dt, G.WithName("x"), G.WithValue(graphtest.Wave(dt, 0.3, 20, 30)))
				y := must(G.Dropout(x, p))
				ds := must(diff.Grad(sum(must(G.Add(cubeOf(y), y))), x, y))
				dx := ds[0]
				d2 := must(diff.Grad(sum(must(G.Square(dx))), x))[0]
				got := runIn(t, g, opts, dx, d2, ds[1])
				scale, most := 1/(1-p), 60.0 // five standard deviations
				expected := 600 * (1 - p)
				if opts != nil {
					scale, expected, most = 1, 600, 0
				}
				kept := 0
				for i, x := range graphtest.Floats(x.Value().(*tensor.Dense)) {
					if got[0][i] == 0 {
						require.Zero(t, got[1][i])
						require.Equal(t, 1.0, got[2][i])
						continue
					}
					kept++
					y := x * scale
					require.InEpsilon(t, 3*y*y+1, got[2][i], tolerance)
					require.InEpsilon(t, (3*y*y+1)*scale, got[0][i], tolerance)
					require.InEpsilon(t, (3*y*y+1)*12*y*math.Pow(scale, 3), got[1][i], tolerance)
				}
				require.InDelta(t, expected, kept, most)
			}
		}
	}
}

// If nothing is dropped, a 0 counts as any other value.
func TestDropoutOfNothingKeepsZeros(t *testing.T) {
	for p, opts := range map[float64][]G.VMOpt{0: nil, 0.5: {G.EvalMode()}} {
		g := G.NewGraph()
		x := G.NewVector(g, tensor.Float64, G.WithShape(3), G.WithName("x"), G.WithInit(G.Zeroes()))
		dx := must(diff.Grad(sum(must(G.Dropout(x, p))), x))[0]
		require.Equal(t, [][]float64{{1, 1, 1}}, runIn(t, g, opts, dx))
	}
}

// The derivatives that replace Gorgonia's have the dtype of the graph.
func TestRightDerivativesInFloat32(t *testing.T) {
	values := func(dt tensor.Dtype) (d []float64) {
		g := G.NewGraph()
		x := G.NewVector(g, dt, G.WithShape(4), G.WithName("x"), G.WithInit(G.RangedFrom(1)))
		y := must(G.Log2(must(G.Dropout(x, 0.2))))
		y = must(G.Add(y, must(G.SoftMax(must(G.InverseSqrt(x))))))
		dx := must(diff.Grad(sum(y), x))[0]
		for _, v := range runIn(t, g, []G.VMOpt{G.EvalMode()}, dx, must(diff.Grad(sum(must(G.Square(dx))), x))[0]) {
			d = append(d, v...)
		}
		return d
	}
	require.InDeltaSlice(t, values(tensor.Float64), values(tensor.Float32), 1e-5)
}

// If Gorgonia's derivative is wrong and is not replaced, that is an error.
func TestWrongDerivatives(t *testing.T) {
	image := func(g *G.ExprGraph, name string, shape ...int) *G.Node {
		return G.NewTensor(g, tensor.Float64, 4, G.WithName(name), G.WithValue(wave(0.3, shape...)))
	}
	for name, penalty := range map[string]func(x, gamma, beta *G.Node) (*G.Node, error){
		"average pooling": func(x, _, _ *G.Node) (*G.Node, error) {
			return sum(must(G.AveragePool2D(x, tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2}))), nil
		},
		"CTC loss": func(x, _, _ *G.Node) (*G.Node, error) {
			ints := func(name string, shape ...int) *G.Node {
				return G.NewTensor(x.Graph(), tensor.Int, len(shape), G.WithName(name), G.WithShape(shape...), G.WithInit(G.RangedFrom(1)))
			}
			logs := must(G.LogSoftMax(must(G.Reshape(x, tensor.Shape{4, 2, 4})), 2))
			loss, err := G.CTCLoss(logs, ints("targets", 2, 1), ints("steps", 2), ints("lengths", 2), G.ReductionMean)
			return sum(must(G.Reshape(loss, tensor.Shape{1}))), err
		},
		"sparsemax of columns": func(x, _, _ *G.Node) (*G.Node, error) {
			return sum(must(G.Sparsemax(must(G.Reshape(x, tensor.Shape{8, 4})), 0))), nil
		},
		"group norm": func(x, gamma, beta *G.Node) (*G.Node, error) {
			y := must(G.Add(x, must(G.GroupNorm(x, gamma, beta, 2, 2, 1e-5))))
			d, err := diff.Grad(sum(cubeOf(y)), x)
			return sum(must(G.Square(d[0]))), err
		},
		"batch norm": func(x, gamma, beta *G.Node) (*G.Node, error) {
			y, _, _, _, err := G.BatchNorm(x, gamma, beta, 0.9, 1e-5)
			require.NoError(t, err)
			d, err := diff.Grad(sum(cubeOf(must(G.Add(x, y)))), x)
			return sum(must(G.Square(d[0]))), err
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := G.NewGraph()
			x := image(g, "x", 2, 2, 2, 4)
			cost, err := penalty(x, image(g, "gamma", 1, 2, 1, 1), image(g, "beta", 1, 2, 1, 1))
			require.NoError(t, err)
			_, err = diff.Grad(cost, x)
			require.ErrorIs(t, err, diff.ErrOp)
			require.ErrorContains(t, err, "wrong derivative in Gorgonia")
		})
	}
}

// These ops of Gorgonia have only a first derivative.
func TestMissingSecondDerivatives(t *testing.T) {
	for name, op := range map[string]func(x *G.Node) (*G.Node, error){
		"max pooling": func(x *G.Node) (*G.Node, error) {
			return G.MaxPool2D(x, tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2})
		},
		"upsampling": func(x *G.Node) (*G.Node, error) { return G.Upsample2D(x, 2) },
	} {
		x := G.NewTensor(G.NewGraph(), tensor.Float64, 4, G.WithName("x"), G.WithValue(wave(0.3, 2, 2, 2, 4)))
		d, err := diff.Grad(sum(cubeOf(must(op(cubeOf(x))))), x)
		require.NoError(t, err, name)
		_, err = diff.Grad(sum(must(G.Square(d[0]))), x)
		require.ErrorIs(t, err, diff.ErrOp, name)
		require.ErrorContains(t, err, "has no derivative in Gorgonia", name)
	}
}

// Gorgonia broadcasts only along the first four axes, so the gradient of a softmax along
// a fifth one has no gradient.
func TestSoftmaxAlongAFifthAxis(t *testing.T) {
	for name, softmax := range map[string]func(*G.Node, ...int) (*G.Node, error){"softmax": G.SoftMax, "log of softmax": G.LogSoftMax} {
		x := G.NewTensor(G.NewGraph(), tensor.Float64, 5, G.WithName("x"), G.WithValue(wave(0.3, 2, 1, 2, 1, 3)))
		d, err := diff.Grad(sum(cubeOf(must(softmax(x, 4)))), x)
		require.NoError(t, err, name)
		_, err = diff.Grad(sum(must(G.Square(d[0]))), x)
		require.ErrorIs(t, err, diff.ErrOp, name)
		require.ErrorContains(t, err, "cannot be differentiated: ", name)
	}
}
