package norm_test

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/nlpodyssey/safetensors"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The file that docs/state.md has Keras write, of a Dense layer and a BatchNormalization,
// gives the result of Keras' formula. The paths are those of a Sequential and of a
// functional model.
func TestLoadFromKeras(t *testing.T) {
	weights := []struct {
		path  string
		shape []uint64
		data  []float32
	}{
		{"dense/kernel", []uint64{2, 3}, []float32{1, 2, 3, 4, 5, 6}}, // (in, out)
		{"dense/bias", []uint64{3}, []float32{0.5, -0.5, 1}},
		{"batch_normalization/gamma", []uint64{3}, []float32{1, 2, 3}},
		{"batch_normalization/beta", []uint64{3}, []float32{-1, 0, 1}},
		{"batch_normalization/moving_mean", []uint64{3}, []float32{2, 3, 4}},
		{"batch_normalization/moving_variance", []uint64{3}, []float32{4, 9, 0.25}},
	}
	x := []float32{1, -1, 2, 0.5}
	for model, prefix := range map[string]string{"sequential": "sequential/", "functional": ""} {
		tensors := map[string]safetensors.TensorView{}
		for _, w := range weights {
			name := strings.ReplaceAll(strings.TrimPrefix(prefix+w.path, model+"/"), "/", ".")
			tensors[name] = norm.Must(safetensors.NewTensorView(safetensors.F32, w.shape, f32s(w.data...)))
		}
		var file bytes.Buffer
		require.NoError(t, safetensors.SerializeToWriter(tensors, nil, &file))

		g, dt := G.NewGraph(), tensor.Float32
		in := G.NewMatrix(g, dt, G.WithName("x"), G.WithShape(2, 2), G.WithValue(tensor.New(tensor.WithShape(2, 2), tensor.WithBacking(x))))
		w := G.NewMatrix(g, dt, G.WithName("w"), G.WithShape(2, 3), G.WithInit(G.Zeroes()))
		b := G.NewMatrix(g, dt, G.WithName("b"), G.WithShape(1, 3), G.WithInit(G.Zeroes()))
		bn := norm.Must(norm.NewBatchNorm(g, dt, 3, norm.WithName("batch_normalization"), norm.WithEps(1e-3)))
		require.NoError(t, norm.LoadOptions{Keras: true}.Load(&file,
			norm.Param("dense.kernel", w), norm.Param("dense.bias", b, norm.Reshaped(3)), bn), model)

		y := norm.Must(bn.Fwd(norm.Must(G.BroadcastAdd(norm.Must(G.Mul(in, w)), b, nil, []byte{0}))))
		var out G.Value
		G.Read(y, &out)
		vm := G.NewTapeMachine(g, G.EvalMode())
		defer vm.Close()
		require.NoError(t, vm.RunAll())
		for i, got := range numbers(out) {
			row, c := i/3, i%3
			at := func(layer int, i int) float64 { return float64(weights[layer].data[i]) }
			h := float64(x[2*row])*at(0, c) + float64(x[2*row+1])*at(0, 3+c) + at(1, c)
			want := at(2, c)*(h-at(4, c))/math.Sqrt(at(5, c)+1e-3) + at(3, c)
			require.InDelta(t, want, got, 1e-5, "%s: %d", model, i)
		}
	}
}

// A weight under either of PyTorch's pairs of names, in the shapes of state_dict for each
// dim, gives PyTorch's weight g·v/‖v‖.
func TestLoadWeightNormForms(t *testing.T) {
	v := []float64{3, 0, 4, 2} // rows of norms 3 and √20, columns of 5 and 2, √29 altogether
	for _, form := range [][2]string{{"weight_g", "weight_v"}, {"parametrizations.weight.original0", "parametrizations.weight.original1"}} {
		for _, c := range []struct {
			axis  int
			shape []int
			g     []float64
			want  []float64
		}{
			{0, []int{2, 1}, []float64{6, math.Sqrt(20)}, []float64{6, 0, 4, 2}},
			{1, []int{1, 2}, []float64{10, 4}, []float64{6, 0, 8, 4}},
			{norm.WholeTensor, []int{}, []float64{math.Sqrt(116)}, []float64{6, 0, 8, 4}}, // dim=None
		} {
			b := file(block{"fc." + form[0], "F64", c.shape, f64s(c.g...)}, block{"fc." + form[1], "F64", []int{2, 2}, f64s(v...)})
			wn := norm.Must(norm.NewWeightNorm(G.NewGraph(), tensor.Float64, tensor.Shape{2, 2}, norm.WithName("fc"), norm.WithAxis(c.axis)))
			require.NoError(t, norm.Load(bytes.NewReader(b), wn))
			require.InDeltaSlice(t, c.want, norm.Must(wn.EvalWeight(nil)).Data(), 1e-14, "%s %d", form[0], c.axis)
		}
	}
}

// If an option of Param would help, the error names it.
func TestLoadHintsAtOptions(t *testing.T) {
	g, f64 := G.NewGraph(), tensor.Float64
	w := G.NewMatrix(g, f64, G.WithName("w"), G.WithShape(2, 3), G.WithInit(G.Zeroes()))
	ln := norm.Must(norm.NewLayerNorm(g, f64, tensor.Shape{3, 2}, norm.WithName("ln"), norm.WithoutBias()))
	for _, c := range []struct {
		item  norm.Stateful
		name  string
		shape []int
		want  string
	}{
		{norm.Param("", w), "w", []int{3, 2}, "w is (3, 2), want (2, 3) (or Transposed)"},
		{norm.Param("", w), "w", []int{6}, "w is (6), want (2, 3) (or Reshaped)"},
		{norm.Param("", w), "w", []int{2, 1}, "w is (2, 1), want (2, 3)"},
		{norm.Param("", w, norm.Transposed()), "w", []int{2, 3}, "w is (2, 3), want (3, 2)"},
		{norm.Param("", w, norm.Reshaped(6)), "w", []int{3, 2}, "w is (3, 2), want (6)"},
		{ln, "ln.weight", []int{2, 3}, "ln.weight is (2, 3), want (3, 2)"},
	} {
		data := make([]float64, tensor.Shape(c.shape).TotalSize())
		err := norm.Load(bytes.NewReader(file(block{c.name, "F64", c.shape, f64s(data...)})), c.item)
		require.EqualError(t, err, "norm: load: "+c.want)
	}

	// It does for another dtype as well, which is converted.
	err := norm.Load(bytes.NewReader(file(block{"w", "F32", []int{6}, make([]byte, 24)})), norm.Param("", w))
	require.EqualError(t, err, "norm: load: w is (6), want (2, 3) (or Reshaped)")
}

// A file may have tensors of unknown dtypes, but only for entries that are not loaded.
func TestLoadUnknownDtypes(t *testing.T) {
	sound := soundBatchNorm()
	others := append([]block{{"fc.weight", "F8_E4M3", []int{3}, []byte{1, 2, 3}}, {"fc.scale", "F4", []int{4}, []byte{1, 2}}}, sound...)
	bn := newBN(t)
	require.NoError(t, norm.LoadOptions{AllowSurplus: true}.Load(bytes.NewReader(file(others...)), bn))
	require.Equal(t, []float64{3, 4, 5, 6, 7, 8, 9, 10, 11}, whole(bn))

	sound[0] = block{"bn.weight", "F8_E5M2", []int{2}, []byte{1, 2}}
	bn = newBN(t)
	err := norm.LoadOptions{Convert: true}.Load(bytes.NewReader(file(sound...)), bn)
	require.EqualError(t, err, "norm: load: bn.weight is F8_E5M2, want F32")
	require.ErrorIs(t, err, norm.ErrDtype)
	require.NotErrorIs(t, err, norm.ErrFormat)
	require.Equal(t, fresh, whole(bn))
}

// The error for a file of another model is short enough to be read.
func TestLoadNamesSomeOfTheSurplus(t *testing.T) {
	for n, more := range map[int]string{20: "", 21: "\nnorm: load: and 1 more are surplus", 1000: "\nnorm: load: and 980 more are surplus"} {
		blocks, want := soundBatchNorm(), ""
		for i := range n {
			name := fmt.Sprintf("fc%03d.weight", i)
			blocks = append(blocks, block{name, "F32", []int{1}, f32s(1)})
			if i < 20 {
				want += "\nnorm: load: " + name + " is surplus"
			}
		}
		bn := newBN(t)
		err := norm.Load(bytes.NewReader(file(blocks...)), bn)
		require.EqualError(t, err, want[1:]+more)
		require.ErrorIs(t, err, norm.ErrState)
		require.Equal(t, fresh, whole(bn))
	}
}
