package norm_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// model has every layer, and nodes of its own. x goes through all of them.
type model struct {
	g      *G.ExprGraph
	dt     tensor.Dtype
	x, y   *G.Node
	w, b   *G.Node // (in, out) and (1, out)
	scale  *G.Node // a scalar
	bn     *norm.BatchNorm
	ln     *norm.LayerNorm
	rms    *norm.RMSNorm
	fc     *norm.WeightNormLinear
	whole  *norm.WeightNormLinear
	conv   *norm.SpectralNorm
	conv2  *norm.WeightNorm
	gn     *norm.GroupNorm
	in     *norm.InstanceNorm
	layers []norm.Stateful
}

// state is all of the model.
func (m *model) state() norm.State {
	return append(slices.Clone(norm.State(m.layers)),
		norm.Param("lin.weight", m.w, norm.Transposed()),
		norm.Param("lin.bias", m.b, norm.Reshaped(3)),
		norm.Param("", m.scale))
}

// newModel builds the model from random numbers.
func newModel(dt tensor.Dtype, seed uint64) *model {
	r := rand.New(rand.NewPCG(seed, 0))
	value := func(shape ...int) *tensor.Dense { return randomTensor(r, dt, shape...) }
	g := G.NewGraph()
	m := &model{g: g, dt: dt}
	m.x = G.NewTensor(g, dt, 4, G.WithName("x"), G.WithShape(5, 2, 3, 3), G.WithValue(value(5, 2, 3, 3)))
	m.w = G.NewMatrix(g, dt, G.WithName("w"), G.WithShape(4, 3), G.WithValue(value(4, 3)))
	m.b = G.NewMatrix(g, dt, G.WithName("b"), G.WithShape(1, 3), G.WithValue(value(1, 3)))
	m.scale = G.NewScalar(g, dt, G.WithName("scale"), G.WithValue(value(1).Get(0)))
	m.conv = norm.Must(norm.NewSpectralNorm(g, dt, tensor.Shape{4, 2, 3, 3}, norm.WithName("conv"), norm.WithWeight(value(4, 2, 3, 3))))
	m.in = norm.Must(norm.NewInstanceNorm(g, dt, 4, norm.WithName("in"), norm.WithAffine(), norm.WithRunningStats()))
	m.conv2 = norm.Must(norm.NewWeightNorm(g, dt, tensor.Shape{4, 2, 1, 1}, norm.WithName("conv2"), norm.WithAxis(1), norm.WithWeight(value(4, 2, 1, 1))))
	m.gn = norm.Must(norm.NewGroupNorm(g, dt, 2, 4, norm.WithName("gn")))
	m.bn = norm.Must(norm.NewBatchNorm(g, dt, 3, norm.WithName("bn1")))
	m.fc = norm.Must(norm.NewWeightNormLinear(g, dt, 3, 4, norm.WithName("fc"), norm.WithWeight(value(4, 3))))
	m.ln = norm.Must(norm.NewLayerNorm(g, dt, tensor.Shape{4}, norm.WithName("ln")))
	m.whole = norm.Must(norm.NewWeightNormLinear(g, dt, 4, 4, norm.WithName("whole"), norm.WithoutBias(),
		norm.WithAxis(norm.WholeTensor), norm.WithWeight(value(4, 4))))
	m.rms = norm.Must(norm.NewRMSNorm(g, dt, tensor.Shape{4}, norm.WithName("rms")))
	m.layers = []norm.Stateful{m.bn, m.ln, m.rms, m.fc, m.whole, m.conv, m.conv2, m.gn, m.in}

	// Parameters that start at 0 or 1, or depend on v, get other values.
	for _, l := range []layer{m.bn, m.ln, m.rms, m.fc, m.whole, m.conv2, m.gn, m.in} {
		for _, p := range l.Learnables() {
			must(tensor.Copy(p.Value().(*tensor.Dense), value(p.Shape()...)))
		}
	}
	must(m.bn.Running().Set([]float64{r.Float64(), r.Float64(), r.Float64()}, []float64{r.Float64(), 2, 3}, int64(r.IntN(1000))))
	must(m.in.SetStats([]float64{r.Float64(), 1, 2, 3}, []float64{r.Float64(), 2, 3, 4}))
	m.fwd()
	return m
}

// must panics on an error, for helpers that have no testing.T.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// fwd builds y.
func (m *model) fwd() {
	conv := func(x, w *G.Node, pad int) *G.Node {
		return norm.Must(G.Conv2d(x, w, w.Shape()[2:], []int{pad, pad}, []int{1, 1}, []int{1, 1}))
	}
	h := norm.Must(m.in.Fwd(conv(m.x, norm.Must(m.conv.Weight()), 1)))
	side := conv(m.x, norm.Must(m.conv2.Weight()), 0)
	h = norm.Must(m.gn.Fwd(norm.Must(G.Add(h, side))))
	h = sumOfImage(h) // (5, 4)
	h = norm.Must(G.BroadcastAdd(norm.Must(G.Mul(h, m.w)), m.b, nil, []byte{0}))
	h = norm.Must(m.fc.Fwd(norm.Must(m.bn.Fwd(h))))
	h = norm.Must(m.rms.Fwd(norm.Must(m.whole.Fwd(norm.Must(m.ln.Fwd(h))))))
	m.y = norm.Must(G.Mul(h, m.scale))
}

// evaluate runs the model on an input that depends only on the dtype.
func (m *model) evaluate(t testing.TB) []float64 {
	x := randomTensor(rand.New(rand.NewPCG(99, 0)), m.dt, m.x.Shape()...)
	require.NoError(t, G.Let(m.x, x))
	var y G.Value
	G.Read(m.y, &y)
	vm := G.NewTapeMachine(m.g, G.EvalMode())
	defer vm.Close()
	require.NoError(t, vm.RunAll())
	return numbers(y)
}

func randomTensor(r *rand.Rand, dt tensor.Dtype, shape ...int) *tensor.Dense {
	n := tensor.Shape(shape).TotalSize()
	f64, f32 := make([]float64, n), make([]float32, n)
	for i := range f64 {
		f64[i] = r.NormFloat64()
		f32[i] = float32(f64[i])
	}
	if dt == tensor.Float32 {
		return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(f32))
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(f64))
}

// numbers are the elements of a value.
func numbers(v G.Value) []float64 {
	switch data := v.Data().(type) {
	case []float64:
		return slices.Clone(data)
	case []float32:
		f := make([]float64, len(data))
		for i, x := range data {
			f[i] = float64(x)
		}
		return f
	default:
		panic(fmt.Sprintf("%T", data))
	}
}

// saved returns what Save writes.
func saved(t testing.TB, items ...norm.Stateful) []byte {
	var b bytes.Buffer
	require.NoError(t, norm.Save(&b, items...))
	return b.Bytes()
}

var dtypes = []tensor.Dtype{tensor.Float32, tensor.Float64}

// header parses the header of a file, without package safetensors.
func header(t testing.TB, file []byte) map[string]struct {
	Dtype   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
} {
	h := map[string]struct {
		Dtype   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}{}
	require.NoError(t, json.Unmarshal(file[8:8+binary.LittleEndian.Uint64(file)], &h))
	delete(h, "__metadata__")
	return h
}

// The names and shapes are those of state_dict in PyTorch 1.13 for
//
//	BatchNorm1d(3), LayerNorm(4), weight_norm(Linear(3, 4)), weight_norm(Linear(4, 4, bias=False), dim=None),
//	parametrizations.spectral_norm(Conv2d(2, 4, 3)), weight_norm(Conv2d(2, 4, 1), dim=1), GroupNorm(2, 4),
//	InstanceNorm2d(4, affine=True, track_running_stats=True), Linear(4, 3)
//
// and that of RMSNorm(4) in PyTorch 2.4.
func TestSavedNames(t *testing.T) {
	want := map[string][]int{
		"bn1.weight": {3}, "bn1.bias": {3}, "bn1.running_mean": {3}, "bn1.running_var": {3}, "bn1.num_batches_tracked": {},
		"ln.weight": {4}, "ln.bias": {4},
		"rms.weight":  {4},
		"fc.weight_g": {4, 1}, "fc.weight_v": {4, 3}, "fc.bias": {4},
		"whole.weight_g": {}, "whole.weight_v": {4, 4},
		"conv.parametrizations.weight.original": {4, 2, 3, 3},
		"conv.parametrizations.weight.0._u":     {4}, "conv.parametrizations.weight.0._v": {18},
		"conv2.weight_g": {1, 2, 1, 1}, "conv2.weight_v": {4, 2, 1, 1},
		"gn.weight": {4}, "gn.bias": {4},
		"in.weight": {4}, "in.bias": {4}, "in.running_mean": {4}, "in.running_var": {4}, "in.num_batches_tracked": {},
		"lin.weight": {3, 4}, "lin.bias": {3}, "scale": {},
	}
	for _, dt := range dtypes {
		got := header(t, saved(t, newModel(dt, 1).state()))
		shapes := map[string][]int{}
		for name, e := range got {
			shapes[name] = e.Shape
		}
		require.Equal(t, want, shapes)
		require.Equal(t, "I64", got["bn1.num_batches_tracked"].Dtype)
		require.Equal(t, "F64", got["bn1.running_var"].Dtype, "kept in float64")
		require.Equal(t, map[tensor.Dtype]string{tensor.Float32: "F32", tensor.Float64: "F64"}[dt], got["bn1.weight"].Dtype)
	}
}

func TestSaveAndLoad(t *testing.T) {
	for _, dt := range dtypes {
		a, b := newModel(dt, 1), newModel(dt, 2)
		want := a.evaluate(t)
		require.NotEqual(t, want, b.evaluate(t))
		file := saved(t, a.state())
		require.NoError(t, norm.Load(bytes.NewReader(file), b.state()))
		require.Equal(t, want, b.evaluate(t), dt)
		require.Equal(t, file, saved(t, b.state()), "saved again")

		_, _, batches := a.bn.Running().Values()
		_, _, got := b.bn.Running().Values()
		require.Equal(t, batches, got)
		require.Equal(t, numbers(a.w.Value()), numbers(b.w.Value()))
	}
}

// A second process loads what this one saved.
func TestLoadInAnotherProcess(t *testing.T) {
	const in, out = "NORM_TEST_STATE", "NORM_TEST_OUTPUTS"
	if dir := os.Getenv(in); dir != "" {
		for _, dt := range dtypes {
			m := newModel(dt, 2)
			require.NoError(t, norm.LoadFile(filepath.Join(dir, dt.String()), m.state()))
			require.NoError(t, os.WriteFile(filepath.Join(os.Getenv(out), dt.String()), bits(m.evaluate(t)), 0o600))
		}
		return
	}
	state, outputs := t.TempDir(), t.TempDir()
	want := map[tensor.Dtype][]float64{}
	for _, dt := range dtypes {
		m := newModel(dt, 1)
		require.NoError(t, norm.SaveFile(filepath.Join(state, dt.String()), m.state()))
		want[dt] = m.evaluate(t)
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), in+"="+state, out+"="+outputs)
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", text)
	for _, dt := range dtypes {
		got, err := os.ReadFile(filepath.Join(outputs, dt.String()))
		require.NoError(t, err)
		require.Equal(t, bits(want[dt]), got)
	}
}

// bits returns the bits of the numbers.
func bits(x []float64) []byte {
	var b []byte
	for _, v := range x {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

// The same layer in a second graph, and a node over the same value, see what is
// loaded.
func TestLoadIsSeenInOtherGraphs(t *testing.T) {
	a, b := newModel(tensor.Float32, 1), newModel(tensor.Float32, 2)
	g2 := G.NewGraph()
	bn2, fc2 := norm.Must(b.bn.In(g2)), norm.Must(b.fc.In(g2))
	w2 := G.NewMatrix(g2, b.dt, G.WithName("w"), G.WithShape(4, 3), G.WithValue(b.w.Value()))
	require.NoError(t, norm.Load(bytes.NewReader(saved(t, a.state())), b.state()))
	for i, p := range slices.Concat(bn2.Learnables(), fc2.Learnables(), G.Nodes{w2}) {
		want := slices.Concat(a.bn.Learnables(), a.fc.Learnables(), G.Nodes{a.w})[i]
		require.Equal(t, numbers(want.Value()), numbers(p.Value()), p.Name())
	}
	mean, variance := bn2.Stats()
	wantMean, wantVariance := a.bn.Stats()
	require.Equal(t, wantMean, mean)
	require.Equal(t, wantVariance, variance)
}

// A value that is not row-major is saved and loaded like any other matrix.
func TestStateOfViews(t *testing.T) {
	d := tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float64{1, 2, 3, 4, 5, 6}))
	require.NoError(t, d.T())
	columns := norm.Must(tensor.New(tensor.WithShape(3, 4), tensor.WithBacking(tensor.Range(tensor.Float64, 0, 12))).Slice(nil, G.S(1, 3)))
	for _, v := range []tensor.View{d, columns} {
		g := G.NewGraph()
		n := G.NewMatrix(g, tensor.Float64, G.WithName("n"), G.WithShape(3, 2), G.WithValue(v))
		other := G.NewMatrix(g, tensor.Float64, G.WithName("other"), G.WithShape(3, 2), G.WithInit(G.Zeroes()))
		want := numbers(v.Materialize())
		require.NoError(t, norm.Load(bytes.NewReader(saved(t, norm.Param("n", n))), norm.Param("n", other)))
		require.Equal(t, want, numbers(other.Value()))

		third := G.NewMatrix(g, tensor.Float64, G.WithName("third"), G.WithShape(2, 3), G.WithValue(
			tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float64{10, 20, 30, 40, 50, 60}))))
		require.NoError(t, norm.Load(bytes.NewReader(saved(t, norm.Param("n", third))), norm.Param("n", n, norm.Transposed())))
		require.Equal(t, []float64{10, 40, 20, 50, 30, 60}, numbers(v.Materialize()))
	}
}
