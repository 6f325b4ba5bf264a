package norm_test

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// torchModel is a model of testdata/torch/models.py.
type torchModel struct {
	g      *G.ExprGraph
	x, y   *G.Node
	params G.Nodes
	state  norm.State
}

var torchModels = map[string]func(dt tensor.Dtype) *torchModel{"mlp": torchMLP, "conv": torchConv}

func torchMLP(dt tensor.Dtype) *torchModel {
	g := G.NewGraph()
	x := G.NewMatrix(g, dt, G.WithName("x"), G.WithShape(4, 6), G.WithInit(G.Gaussian(0, 1)))
	w := G.NewMatrix(g, dt, G.WithName("w"), G.WithShape(6, 5), G.WithInit(G.GlorotU(1)))
	b := G.NewMatrix(g, dt, G.WithName("b"), G.WithShape(1, 5), G.WithInit(G.Zeroes()))
	bn := norm.Must(norm.NewBatchNorm(g, dt, 5, norm.WithName("bn1")))
	ln := norm.Must(norm.NewLayerNorm(g, dt, tensor.Shape{5}, norm.WithName("ln")))
	fc2 := norm.Must(norm.NewWeightNormLinear(g, dt, 5, 3, norm.WithName("fc2")))

	h := norm.Must(G.BroadcastAdd(norm.Must(G.Mul(x, w)), b, nil, []byte{0}))
	h = norm.Must(G.Rectify(norm.Must(bn.Fwd(h))))
	y := norm.Must(fc2.Fwd(norm.Must(ln.Fwd(h))))
	return &torchModel{g, x, y, G.Nodes{w, b}, norm.State{
		norm.Param("fc1.weight", w, norm.Transposed()), norm.Param("fc1.bias", b, norm.Reshaped(5)), bn, ln, fc2,
	}}
}

func torchConv(dt tensor.Dtype) *torchModel {
	g := G.NewGraph()
	x := G.NewTensor(g, dt, 4, G.WithName("x"), G.WithShape(4, 2, 5, 5), G.WithInit(G.Gaussian(0, 1)))
	w := G.NewTensor(g, dt, 4, G.WithName("conv1.weight"), G.WithShape(4, 2, 3, 3), G.WithInit(G.GlorotU(1)))
	b := G.NewTensor(g, dt, 4, G.WithName("b"), G.WithShape(1, 4, 1, 1), G.WithInit(G.Zeroes()))
	bn := norm.Must(norm.NewBatchNorm(g, dt, 4, norm.WithName("bn1")))
	conv2 := norm.Must(norm.NewWeightNorm(g, dt, tensor.Shape{4, 4, 3, 3}, norm.WithName("conv2"), norm.WithAxis(1)))
	gn := norm.Must(norm.NewGroupNorm(g, dt, 2, 4, norm.WithName("gn")))
	conv3 := norm.Must(norm.NewSpectralNorm(g, dt, tensor.Shape{4, 4, 3, 3}, norm.WithName("conv3")))
	in := norm.Must(norm.NewInstanceNorm(g, dt, 4, norm.WithName("norm3"), norm.WithAffine(), norm.WithRunningStats()))
	fc := norm.Must(norm.NewWeightNormLinear(g, dt, 4, 3, norm.WithName("fc"), norm.WithoutBias(), norm.WithAxis(norm.WholeTensor)))

	conv := func(x, w *G.Node) *G.Node {
		return norm.Must(G.Conv2d(x, w, tensor.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1}))
	}
	h := norm.Must(G.BroadcastAdd(conv(x, w), b, nil, []byte{0, 2, 3}))
	h = norm.Must(G.Rectify(norm.Must(bn.Fwd(h))))
	h = norm.Must(G.Rectify(norm.Must(gn.Fwd(conv(h, norm.Must(conv2.Weight()))))))
	h = norm.Must(G.Rectify(norm.Must(in.Fwd(conv(h, norm.Must(conv3.Weight()))))))
	y := norm.Must(fc.Fwd(sumOfImage(h)))
	return &torchModel{g, x, y, G.Nodes{w, b}, norm.State{norm.Param("", w), norm.Param("conv1.bias", b, norm.Reshaped(4)), bn, conv2, gn, conv3, in, fc}}
}

// sumOfImage sums over the height and the width. It reshapes first, since Gorgonia's sum
// over two axes at once gives wrong numbers.
func sumOfImage(x *G.Node) *G.Node {
	s := x.Shape()
	return norm.Must(G.Sum(norm.Must(G.Reshape(x, tensor.Shape{s[0], s[1], s[2] * s[3]})), 2))
}

// run returns the result of one run in evaluation, or trains for three steps.
func (m *torchModel) run(t *testing.T, train bool) []float64 {
	var y G.Value
	G.Read(m.y, &y)
	if !train {
		vm := G.NewTapeMachine(m.g, G.EvalMode())
		defer vm.Close()
		require.NoError(t, vm.RunAll())
		return numbers(y)
	}
	params := m.params
	for _, item := range m.state {
		if l, ok := item.(layer); ok {
			params = append(params, l.Learnables()...)
		}
	}
	cost := norm.Must(G.Sum(norm.Must(G.Square(norm.Must(G.Tanh(m.y))))))
	norm.Must(G.Grad(cost, params...))
	vm := G.NewTapeMachine(m.g, G.BindDualValues(params...))
	defer vm.Close()
	solver := G.NewVanillaSolver(G.WithLearnRate(0.01))
	for range 3 {
		require.NoError(t, vm.RunAll())
		require.NoError(t, solver.Step(G.NodesToValueGrads(params)))
		vm.Reset()
	}
	return nil
}

// readCase returns nodes by name, with the values that a file has for them.
func readCase(t *testing.T, path string, shapes map[string]tensor.Shape, dts map[string]tensor.Dtype) map[string]*G.Node {
	g, nodes, state := G.NewGraph(), map[string]*G.Node{}, norm.State{}
	for name, shape := range shapes {
		if len(shape) == 0 {
			nodes[name] = G.NewScalar(g, dts[name], G.WithName(name), G.WithValue(0.0))
		} else {
			nodes[name] = G.NewTensor(g, dts[name], len(shape), G.WithName(name), G.WithShape(shape...), G.WithInit(G.Zeroes()))
		}
		state = append(state, norm.Param("", nodes[name]))
	}
	require.NoError(t, norm.LoadFile(path, state))
	return nodes
}

// loadTorch makes the model of a name with PyTorch's state and input, and returns
// PyTorch's logits and the tolerance for them.
func loadTorch(t *testing.T, name string, dt tensor.Dtype) (m *torchModel, logits []float64, tolerance float64) {
	m = torchModels[name](dt)
	dir := filepath.Join("testdata", "torch")
	f64 := tensor.Float64
	c := readCase(t, filepath.Join(dir, name+"-case.safetensors"),
		map[string]tensor.Shape{"x": m.x.Shape(), "logits": m.y.Shape(), "float32": {}, "float64": {}},
		map[string]tensor.Dtype{"x": tensor.Float32, "logits": f64, "float32": f64, "float64": f64})
	require.NoError(t, norm.LoadOptions{Convert: dt == f64}.LoadFile(filepath.Join(dir, name+".safetensors"), m.state))
	require.NoError(t, G.Let(m.x, of(dt, m.x.Shape(), numbers(c["x"].Value()))))
	return m, numbers(c["logits"].Value()), c[dt.String()].Value().Data().(float64)
}

// of returns a tensor of the numbers.
func of(dt tensor.Dtype, shape tensor.Shape, x []float64) *tensor.Dense {
	d := tensor.New(tensor.WithShape(shape...), tensor.Of(dt))
	for i, v := range x {
		if dt == tensor.Float32 {
			d.Set(i, float32(v))
		} else {
			d.Set(i, v)
		}
	}
	return d
}

func deviation(got, want []float64) (worst float64) {
	for i := range want {
		worst = max(worst, math.Abs(got[i]-want[i]))
	}
	return worst
}

// A model that PyTorch trained gives PyTorch's logits.
func TestLoadFromTorch(t *testing.T) {
	for name := range torchModels {
		for _, dt := range dtypes {
			m, want, tolerance := loadTorch(t, name, dt)
			got := m.run(t, false)
			require.Len(t, got, len(want))
			worst := deviation(got, want)
			t.Logf("%s %v: worst deviation %.3g, tolerance %.3g", name, dt, worst, tolerance)
			require.LessOrEqual(t, worst, tolerance, "%s %v", name, dt)
		}
	}
}

// PyTorch loads a model that went on training here, and gives the same logits.
func TestTorchLoads(t *testing.T) {
	if testing.Short() {
		t.Skip("starting torch takes seconds")
	}
	python := findTorch()
	if python == "" {
		t.Skip("no python3 with torch")
	}
	dir := t.TempDir()
	args := []string{filepath.Join("testdata", "torch", "check.py")}
	for name := range torchModels {
		for _, dt := range dtypes {
			m, before, tolerance := loadTorch(t, name, dt)
			m.run(t, true)
			logits := m.run(t, false)
			require.Greater(t, deviation(logits, before), 100*tolerance, "it has not trained")

			state := filepath.Join(dir, name+"."+dt.String())
			require.NoError(t, norm.SaveFile(state, m.state))
			g, shape := G.NewGraph(), m.y.Shape()
			y := G.NewMatrix(g, tensor.Float64, G.WithName("logits"), G.WithShape(shape...), G.WithValue(of(tensor.Float64, shape, logits)))
			tol := G.NewScalar(g, tensor.Float64, G.WithName("tolerance"), G.WithValue(tolerance))
			require.NoError(t, norm.SaveFile(state+".case", norm.Param("", m.x), norm.Param("", y), norm.Param("", tol)))
			args = append(args, name, state, state+".case")
		}
	}
	cmd := exec.Command(python, args...)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", text)
	t.Logf("%s", text)
}

// findTorch returns a Python that has torch, or "".
func findTorch() string {
	const has = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)"
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", has).Run() == nil {
			return python
		}
	}
	return ""
}
