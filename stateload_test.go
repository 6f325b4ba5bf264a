package norm_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gorgonorm/norm"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// block is an entry of a file that is written by hand.
type block struct {
	name, dtype string
	shape       []int
	data        []byte
}

func f32s(x ...float32) []byte { return must2(binary.Append(nil, binary.LittleEndian, x)) }
func f64s(x ...float64) []byte { return must2(binary.Append(nil, binary.LittleEndian, x)) }
func i64s(x ...int64) []byte   { return must2(binary.Append(nil, binary.LittleEndian, x)) }

func must2(b []byte, err error) []byte {
	must(err)
	return b
}

// file returns a safetensors file of the blocks.
func file(blocks ...block) []byte {
	h := map[string]any{"__metadata__": map[string]string{"format": "pt"}}
	var data []byte
	for _, b := range blocks {
		h[b.name] = map[string]any{"dtype": b.dtype, "shape": b.shape, "data_offsets": []int{len(data), len(data) + len(b.data)}}
		data = append(data, b.data...)
	}
	return withHeader(string(must2(json.Marshal(h))), data)
}

func withHeader(header string, data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

// soundBatchNorm is a valid state of newBN.
func soundBatchNorm() []block {
	return []block{
		{"bn.weight", "F32", []int{2}, f32s(3, 4)},
		{"bn.bias", "F32", []int{2}, f32s(5, 6)},
		{"bn.running_mean", "F32", []int{2}, f32s(7, 8)},
		{"bn.running_var", "F32", []int{2}, f32s(9, 10)},
		{"bn.num_batches_tracked", "I64", []int{}, i64s(11)},
	}
}

func newBN(t testing.TB, opts ...norm.BatchNormOption) *norm.BatchNorm {
	bn, err := norm.NewBatchNorm(G.NewGraph(), tensor.Float32, 2, append(opts, norm.WithName("bn"))...)
	require.NoError(t, err)
	return bn
}

// whole returns all that a batch norm holds.
func whole(bn *norm.BatchNorm) []float64 {
	mean, variance, n := bn.Running().Values()
	var all []float64
	for _, p := range bn.Learnables() {
		all = append(all, numbers(p.Value())...)
	}
	return append(slices.Concat(all, mean, variance), float64(n))
}

var fresh = []float64{1, 1, 0, 0, 0, 0, 1, 1, 0}

// One error names all that does not fit, and nothing changes.
func TestLoadIsStrict(t *testing.T) {
	sound := soundBatchNorm()
	replace := func(i int, b block) []block {
		bs := slices.Clone(sound)
		bs[i] = b
		return bs
	}
	nan, inf := math.NaN(), math.Inf(1)
	for name, c := range map[string]struct {
		blocks []block
		kinds  []error
		want   []string // lines
	}{
		"several": {
			[]block{
				{"bn.weight", "F32", []int{1, 2}, f32s(3, 4)}, {"bn.bias", "F64", []int{2}, f64s(5, 6)}, sound[2], sound[4],
				{"other.weight", "F32", []int{1}, f32s(1)}, {"bn.extra", "I64", []int{}, i64s(1)},
			},
			[]error{norm.ErrState, norm.ErrShape, norm.ErrDtype},
			[]string{
				"norm: load: bn.running_var is missing",
				"norm: load: other.weight is surplus",
				"norm: load: bn.extra is surplus",
				"norm: load: bn.weight is (1, 2), want (2)",
				"norm: load: bn.bias is F64, want F32 (or LoadOptions.Convert)",
				"norm: load: where only the names differ, see LoadOptions.Rename and LoadOptions.Keras",
			},
		},
		"half":          {replace(0, block{"bn.weight", "F16", []int{2}, make([]byte, 4)}), []error{norm.ErrDtype}, []string{"norm: load: bn.weight is F16, want F32 (or LoadOptions.Convert)"}},
		"half mean":     {replace(2, block{"bn.running_mean", "BF16", []int{2}, make([]byte, 4)}), []error{norm.ErrDtype}, []string{"norm: load: bn.running_mean is BF16, want F64 (or LoadOptions.Convert)"}},
		"integer":       {replace(2, block{"bn.running_mean", "I64", []int{2}, i64s(7, 8)}), []error{norm.ErrDtype}, []string{"norm: load: bn.running_mean is I64, want F64"}},
		"float batches": {replace(4, block{"bn.num_batches_tracked", "F32", []int{}, f32s(1)}), []error{norm.ErrDtype}, []string{"norm: load: bn.num_batches_tracked is F32, want I64"}},
		"scalar":        {replace(4, block{"bn.num_batches_tracked", "I64", []int{1}, i64s(1)}), []error{norm.ErrShape}, []string{"norm: load: bn.num_batches_tracked is (1), want ()"}},
		"NaN":           {replace(0, block{"bn.weight", "F32", []int{2}, f32s(3, float32(nan))}), []error{norm.ErrValue}, []string{"norm: load: bn.weight: element 1 is NaN in F32, want a finite number"}},
		"infinity":      {replace(1, block{"bn.bias", "F32", []int{2}, f32s(float32(inf), float32(-inf))}), []error{norm.ErrValue}, []string{"norm: load: bn.bias: element 0 is +Inf in F32, and 1 more like it, want a finite number"}},
		"mean": {replace(2, block{"bn.running_mean", "F64", []int{2}, f64s(nan, 0)}), []error{norm.ErrValue},
			[]string{"norm: load: bn.running_mean: element 0 is NaN in F64, want a finite number"}},
		"two values": {append([]block{{"bn.weight", "F32", []int{2}, f32s(3, float32(nan))}, {"bn.running_var", "F64", []int{2}, f64s(9, -1)}}, sound[1], sound[2], sound[4]),
			[]error{norm.ErrValue}, []string{
				"norm: load: bn.weight: element 1 is NaN in F32, want a finite number",
				"norm: load: bn.running_var: element 1 is -1, want a finite number of at least 0",
			}},
		"infinite variance": {replace(3, block{"bn.running_var", "F64", []int{2}, f64s(0, inf)}), []error{norm.ErrValue},
			[]string{"norm: load: bn.running_var: element 1 is +Inf in F64, want a finite number of at least 0"}},
		"batches": {replace(4, block{"bn.num_batches_tracked", "I64", []int{}, i64s(-1)}), []error{norm.ErrValue},
			[]string{"norm: load: bn.num_batches_tracked: element 0 is -1, want at least 0 and less than 2⁵³"}},
		"more batches than float64 can tell apart": {replace(4, block{"bn.num_batches_tracked", "I64", []int{}, i64s(1<<53 + 1)}), []error{norm.ErrValue},
			[]string{"norm: load: bn.num_batches_tracked: element 0 is 9.007199254740992e+15, want at least 0 and less than 2⁵³"}},
		"nothing": {nil, []error{norm.ErrState}, []string{
			"norm: load: bn.weight is missing", "norm: load: bn.bias is missing", "norm: load: bn.running_mean is missing",
			"norm: load: bn.running_var is missing"}},
	} {
		bn := newBN(t)
		err := norm.Load(bytes.NewReader(file(c.blocks...)), bn)
		require.Error(t, err, name)
		require.Equal(t, strings.Join(c.want, "\n"), err.Error(), name)
		for _, kind := range []error{norm.ErrState, norm.ErrShape, norm.ErrDtype, norm.ErrValue, norm.ErrFormat} {
			require.Equal(t, slices.Contains(c.kinds, kind), errors.Is(err, kind), "%s: %v", name, kind)
			require.Equal(t, slices.Contains(c.kinds, kind), norm.Is(err, kind), "%s: %v", name, kind)
		}
		require.Equal(t, fresh, whole(bn), name)
	}

	bn := newBN(t)
	require.NoError(t, norm.Load(bytes.NewReader(file(sound...)), bn))
	require.Equal(t, []float64{3, 4, 5, 6, 7, 8, 9, 10, 11}, whole(bn))

	sound[4].data = i64s(1<<53 - 1) // the largest
	require.NoError(t, norm.Load(bytes.NewReader(file(sound...)), bn))
	_, _, n := bn.Running().Values()
	require.EqualValues(t, int64(1<<53-1), n)
}

func TestLoadOptions(t *testing.T) {
	sound := soundBatchNorm()
	surplus := block{"fc.weight", "F16", []int{1}, []byte{1, 2}}
	load := func(bn *norm.BatchNorm, o norm.LoadOptions, blocks ...block) error {
		return o.Load(iotest.OneByteReader(bytes.NewReader(file(blocks...))), bn)
	}
	t.Run("missing", func(t *testing.T) {
		bn := newBN(t)
		require.NoError(t, load(bn, norm.LoadOptions{AllowMissing: true}, sound[0], sound[3]))
		require.Equal(t, []float64{3, 4, 0, 0, 0, 0, 9, 10, 0}, whole(bn))
		require.EqualError(t, load(bn, norm.LoadOptions{AllowMissing: true}, sound[1], surplus), "norm: load: fc.weight is surplus")
		require.Equal(t, []float64{3, 4, 0, 0, 0, 0, 9, 10, 0}, whole(bn))
	})
	t.Run("surplus", func(t *testing.T) {
		bn := newBN(t)
		require.NoError(t, load(bn, norm.LoadOptions{AllowSurplus: true}, slices.Concat(sound[:2], []block{surplus}, sound[2:])...))
		require.Equal(t, []float64{3, 4, 5, 6, 7, 8, 9, 10, 11}, whole(bn))
		require.EqualError(t, load(bn, norm.LoadOptions{AllowSurplus: true}, append(sound[:3:3], surplus, sound[4])...), "norm: load: bn.running_var is missing")
	})
	t.Run("nothing of the model", func(t *testing.T) {
		bn := newBN(t)
		err := load(bn, norm.LoadOptions{AllowMissing: true, AllowSurplus: true}, surplus)
		require.ErrorIs(t, err, norm.ErrState)
		require.EqualError(t, err, "norm: load: no entry of the model is in the file, want one at least: the first of the model is bn.weight, and the file has fc.weight")
		bare := newBN(t, norm.WithoutAffine(), norm.WithoutRunningStats())
		require.ErrorContains(t, load(bare, norm.LoadOptions{AllowMissing: true}), "there is nothing in it", "the model has nothing either")
	})
	t.Run("without the number of batches", func(t *testing.T) { // PyTorch reads that, too
		bn := newBN(t)
		require.NoError(t, load(bn, norm.LoadOptions{}, sound[:4]...))
		require.Equal(t, []float64{3, 4, 5, 6, 7, 8, 9, 10, 0}, whole(bn))
	})
	t.Run("halves", func(t *testing.T) {
		bn := newBN(t)
		half := func(name, dtype string, a, b uint16) block {
			return block{name, dtype, []int{2}, []byte{byte(a), byte(a >> 8), byte(b), byte(b >> 8)}}
		}
		require.NoError(t, load(bn, norm.LoadOptions{Convert: true},
			half("bn.weight", "F16", 0x3555, 0x8001),       // 1365·2⁻¹², and −2⁻²⁴
			half("bn.bias", "BF16", 0x3eab, 0xc2f7),        // 171·2⁻⁹, and −123.5
			half("bn.running_mean", "F16", 0xfbff, 0x0400), // −65504, and 2⁻¹⁴
			half("bn.running_var", "BF16", 0x4049, 0)))
		require.Equal(t, []float64{1365.0 / 4096, -0x1p-24, 171.0 / 512, -123.5, -65504, 0x1p-14, 3.140625, 0, 0}, whole(bn))
		require.EqualError(t, load(bn, norm.LoadOptions{Convert: true, AllowMissing: true}, half("bn.weight", "F16", 0x7c00, 0x7e00)),
			"norm: load: bn.weight: element 0 is +Inf in F32, and 1 more like it, want a finite number")
	})
	t.Run("a broken half stays", func(t *testing.T) { // statistics are set as one
		bn := newBN(t)
		x := G.NewMatrix(bn.Learnables()[0].Graph(), tensor.Float32, G.WithShape(3, 2), G.WithName("x"),
			G.WithValue(tensor.New(tensor.WithShape(3, 2), tensor.WithBacking([]float32{1, 2, float32(math.NaN()), 4, 5, 6}))))
		norm.Must(bn.Fwd(x))
		vm := G.NewTapeMachine(x.Graph())
		defer vm.Close()
		require.NoError(t, vm.RunAll())
		err := load(bn, norm.LoadOptions{AllowMissing: true}, sound[0], sound[3])
		require.EqualError(t, err, "norm: load: bn.running_mean: element 0 is NaN in F64, want a finite number, and it is not in the file")
		require.EqualError(t, norm.Save(io.Discard, bn), "norm: save: bn.running_mean: element 0 is NaN in F64, want a finite number")
		require.NoError(t, load(bn, norm.LoadOptions{AllowMissing: true}, sound[0]), "statistics are left alone")
		require.NoError(t, load(bn, norm.LoadOptions{}, sound...))
		require.Equal(t, []float64{3, 4, 5, 6, 7, 8, 9, 10, 11}, whole(bn))
	})
	t.Run("a broken bias stays", func(t *testing.T) { // parameters are read one by one
		bn := newBN(t)
		set(t, bn.Learnables()[1], []float64{math.NaN(), 0})
		require.NoError(t, load(bn, norm.LoadOptions{AllowMissing: true}, sound[0]))
		require.Equal(t, []float64{3, 4}, whole(bn)[:2])
	})
	t.Run("convert", func(t *testing.T) {
		wide := []block{{"bn.weight", "F64", []int{2}, f64s(1+1e-12, -0.1)}, sound[1], sound[2], sound[3], sound[4]}
		bn := newBN(t)
		require.ErrorIs(t, load(bn, norm.LoadOptions{}, wide...), norm.ErrDtype)
		require.NoError(t, load(bn, norm.LoadOptions{Convert: true}, wide...))
		require.Equal(t, []float64{1, float64(float32(-0.1))}, whole(bn)[:2])

		before := whole(bn)
		wide[0].data = f64s(1, 1e39)
		err := load(bn, norm.LoadOptions{Convert: true}, wide...)
		require.ErrorIs(t, err, norm.ErrValue)
		require.EqualError(t, err, "norm: load: bn.weight: element 1 is +Inf in F32, want a finite number")
		require.Equal(t, before, whole(bn))

		b := norm.Must(norm.NewBatchNorm(G.NewGraph(), tensor.Float64, 2, norm.WithName("bn")))
		require.ErrorIs(t, load(b, norm.LoadOptions{}, sound...), norm.ErrDtype)
		require.NoError(t, load(b, norm.LoadOptions{Convert: true}, sound...))
		require.Equal(t, []float64{3, 4, 5, 6, 7, 8, 9, 10, 11}, whole(b))
	})
	t.Run("keras", func(t *testing.T) {
		keras := []block{{"bn.gamma", "F32", []int{2}, f32s(3, 4)}, {"bn.beta", "F32", []int{2}, f32s(5, 6)},
			{"bn.moving_mean", "F32", []int{2}, f32s(7, 8)}, {"bn.moving_variance", "F32", []int{2}, f32s(9, 10)}}
		bn := newBN(t)
		require.NoError(t, load(bn, norm.LoadOptions{Keras: true}, keras...))
		require.Equal(t, []float64{3, 4, 5, 6, 7, 8, 9, 10, 0}, whole(bn))
		require.ErrorIs(t, load(bn, norm.LoadOptions{Keras: true}, sound...), norm.ErrState)
		require.EqualError(t, load(bn, norm.LoadOptions{Keras: true}, append(keras[:len(keras):len(keras)], sound[4])...),
			"norm: load: bn.num_batches_tracked is surplus")
	})
	t.Run("keras of other layers", func(t *testing.T) {
		g := G.NewGraph()
		rms := norm.Must(norm.NewRMSNorm(g, tensor.Float32, tensor.Shape{1}, norm.WithName("rms")))
		ln := norm.Must(norm.NewLayerNorm(g, tensor.Float32, tensor.Shape{1}, norm.WithName("ln")))
		fc := norm.Must(norm.NewWeightNormLinear(g, tensor.Float32, 1, 1, norm.WithName("fc")))
		b := file(block{"rms.scale", "F32", []int{1}, f32s(2)}, block{"ln.gamma", "F32", []int{1}, f32s(3)}, block{"ln.beta", "F32", []int{1}, f32s(4)},
			block{"fc.weight_g", "F32", []int{1, 1}, f32s(5)}, block{"fc.weight_v", "F32", []int{1, 1}, f32s(6)}, block{"fc.bias", "F32", []int{1}, f32s(7)})
		require.NoError(t, norm.LoadOptions{Keras: true}.Load(bytes.NewReader(b), rms, ln, fc))
		var got []float64
		for _, p := range slices.Concat(rms.Learnables(), ln.Learnables(), fc.Learnables()) {
			got = append(got, numbers(p.Value())...)
		}
		require.Equal(t, []float64{2, 3, 4, 6, 5, 7}, got)
	})
	t.Run("rename", func(t *testing.T) {
		bn := newBN(t)
		blocks := soundBatchNorm()
		for i := range blocks {
			blocks[i].name = "net.0." + strings.TrimPrefix(blocks[i].name, "bn.")
		}
		o := norm.LoadOptions{Rename: strings.NewReplacer("bn.", "net.0.").Replace}
		require.NoError(t, load(bn, o, blocks...))
		require.Equal(t, []float64{3, 4, 5, 6, 7, 8, 9, 10, 11}, whole(bn))
		require.EqualError(t, load(bn, o, blocks[:3]...), "norm: load: net.0.running_var is missing")
		err := load(bn, norm.LoadOptions{Rename: func(string) string { return "a" }}, blocks...)
		require.ErrorIs(t, err, norm.ErrName)
		require.ErrorContains(t, err, "LoadOptions.Rename gives that name to both")
		err = load(bn, o, soundBatchNorm()...)
		require.ErrorContains(t, err, "net.0.weight is missing")
		require.NotContains(t, err.Error(), "see LoadOptions.Rename", "it is used already")
	})
	t.Run("keras and rename", func(t *testing.T) {
		bn := newBN(t, norm.WithoutRunningStats())
		o := norm.LoadOptions{Keras: true, Rename: func(name string) string { return strings.ReplaceAll(name, ".", "/") + ":0" }}
		require.NoError(t, load(bn, o, block{"bn/gamma:0", "F32", []int{2}, f32s(3, 4)}, block{"bn/beta:0", "F32", []int{2}, f32s(5, 6)}))
		require.Equal(t, []float64{3, 4}, numbers(bn.Learnables()[0].Value()))
	})
}

// PyTorch has two ways to make a layer with a normalized weight, each with its own names
// for the parts of the weight.
func TestLoadOtherNames(t *testing.T) {
	g := G.NewGraph()
	fc := norm.Must(norm.NewWeightNormLinear(g, tensor.Float32, 2, 1, norm.WithName("fc")))
	sn := norm.Must(norm.NewSpectralNorm(g, tensor.Float32, tensor.Shape{1, 2}, norm.WithName("sn")))
	blocks := []block{
		{"fc.parametrizations.weight.original0", "F32", []int{1, 1}, f32s(1)},
		{"fc.parametrizations.weight.original1", "F32", []int{1, 2}, f32s(2, 3)},
		{"fc.bias", "F32", []int{1}, f32s(4)},
		{"sn.weight_orig", "F32", []int{1, 2}, f32s(5, 6)},
		{"sn.weight_u", "F32", []int{1}, f32s(-1)},
		{"sn.weight_v", "F32", []int{2}, f32s(0.5, 0.25)},
	}
	require.NoError(t, norm.Load(bytes.NewReader(file(blocks...)), fc, sn))
	var got []float64
	for _, p := range slices.Concat(fc.Learnables(), sn.Learnables()) {
		got = append(got, numbers(p.Value())...)
	}
	require.Equal(t, []float64{2, 3, 1, 4, 5, 6}, got, "v, g, b and w")
	u, v := sn.Vectors().Values()
	require.Equal(t, []float64{-1}, u)
	require.Equal(t, []float64{0.5, 0.25}, v)

	both := append(blocks, block{"fc.weight_g", "F32", []int{1, 1}, f32s(9)})
	require.EqualError(t, norm.Load(bytes.NewReader(file(both...)), fc, sn), "norm: load: fc.weight_g, beside fc.parametrizations.weight.original0, is surplus")
	both[len(both)-1] = block{"fc.weight_g", "F32", []int{2}, f32s(8, 9)} // it is ignored, and so may be anything
	require.NoError(t, norm.LoadOptions{AllowSurplus: true}.Load(bytes.NewReader(file(both...)), fc, sn))
	require.Equal(t, []float64{1}, numbers(fc.Learnables()[1].Value()))
	require.EqualError(t, norm.Load(bytes.NewReader(file(blocks[1:]...)), fc, sn),
		"norm: load: fc.weight_g or fc.parametrizations.weight.original0 is missing")

	// Rename may give the two names of a part the same name.
	o := norm.LoadOptions{Rename: strings.NewReplacer("weight_g", "g", "parametrizations.weight.original0", "g").Replace}
	both[len(both)-1] = block{"fc.g", "F32", []int{1, 1}, f32s(7)}
	require.NoError(t, o.Load(bytes.NewReader(file(both[1:]...)), fc, sn))
	require.Equal(t, []float64{7}, numbers(fc.Learnables()[1].Value()))
	require.EqualError(t, o.Load(bytes.NewReader(file(blocks[1:]...)), fc, sn), "norm: load: fc.g is missing")
}

// A weight that comes without its singular vectors gets newly estimated ones, as from the
// constructor. PyTorch saves none for a weight of rank 1.
func TestLoadEstimatesSingularVectors(t *testing.T) {
	g := G.NewGraph()
	matrix := norm.Must(norm.NewSpectralNorm(g, tensor.Float64, tensor.Shape{2, 2}, norm.WithName("a"),
		norm.WithWeight(tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]float64{3, 0, 0, 0.1})))))
	w := file(block{"a.weight_orig", "F64", []int{2, 2}, f64s(0, 0, 0, 5)})
	require.ErrorIs(t, norm.Load(bytes.NewReader(w), matrix), norm.ErrState)
	require.NoError(t, norm.LoadOptions{AllowMissing: true}.Load(bytes.NewReader(w), matrix))
	require.InDeltaSlice(t, []float64{0, 0, 0, 1}, norm.Must(matrix.Materialize()).Data(), 1e-15)

	// A single vector may not belong to the weight, so both are estimated.
	half := file(block{"a.weight_orig", "F64", []int{2, 2}, f64s(0, 0, 0, 5)}, block{"a.weight_u", "F64", []int{2}, f64s(1, 0)})
	require.NoError(t, norm.LoadOptions{AllowMissing: true}.Load(bytes.NewReader(half), matrix))
	require.InDeltaSlice(t, []float64{0, 0, 0, 1}, norm.Must(matrix.Materialize()).Data(), 1e-15)

	// No estimate comes of vectors of zeros.
	zeros := file(block{"a.weight_orig", "F64", []int{2, 2}, f64s(0, 0, 0, 5)},
		block{"a.weight_u", "F64", []int{2}, f64s(0, 0)}, block{"a.weight_v", "F64", []int{2}, f64s(0, 0)})
	require.NoError(t, norm.Load(bytes.NewReader(zeros), matrix))
	require.InDeltaSlice(t, []float64{0, 0, 0, 1}, norm.Must(matrix.Materialize()).Data(), 1e-15)

	row := norm.Must(norm.NewSpectralNorm(g, tensor.Float64, tensor.Shape{2}, norm.WithName("b")))
	w = file(block{"b.parametrizations.weight.original", "F64", []int{2}, f64s(3, -4)})
	require.NoError(t, norm.Load(bytes.NewReader(w), row))
	require.InDeltaSlice(t, []float64{0.6, -0.8}, norm.Must(row.Materialize()).Data(), 1e-15)
	for _, shape := range [][]int{{1, 2}, {2, 1}} { // which Let takes for the vector
		require.NoError(t, row.Vectors().Set([]float64{1, 0}, []float64{1}))
		require.NoError(t, G.Let(row.Learnables()[0], tensor.New(tensor.WithShape(shape...), tensor.WithBacking([]float64{1, 0}))))
		require.NoError(t, norm.Load(bytes.NewReader(w), row))
		require.InDeltaSlice(t, []float64{0.6, -0.8}, norm.Must(row.Materialize()).Data(), 1e-15)
	}

	// Vectors alone are set as they are, and the weight stays.
	u := file(block{"a.weight_u", "F64", []int{2}, f64s(1, 0)}, block{"a.weight_v", "F64", []int{2}, f64s(0, 1)})
	require.NoError(t, norm.LoadOptions{AllowMissing: true}.Load(bytes.NewReader(u), matrix))
	left, right := matrix.Vectors().Values()
	require.Equal(t, []float64{1, 0, 0, 1}, append(left, right...))
	require.Equal(t, []float64{0, 0, 0, 5}, matrix.Learnables()[0].Value().Data())

	// Where neither is in the file both stay as they are.
	other := norm.Must(norm.NewRMSNorm(g, tensor.Float64, tensor.Shape{1}, norm.WithName("c")))
	c := file(block{"c.weight", "F64", []int{1}, f64s(2)})
	require.NoError(t, norm.LoadOptions{AllowMissing: true}.Load(bytes.NewReader(c), other, matrix))
	left, right = matrix.Vectors().Values()
	require.Equal(t, []float64{1, 0, 0, 1}, append(left, right...))

	// A single vector would be paired with one of another weight, here with σ = uᵀ·W·v =
	// 0.
	u = file(block{"a.weight_u", "F64", []int{2}, f64s(1, 0)})
	require.NoError(t, norm.LoadOptions{AllowMissing: true}.Load(bytes.NewReader(u), matrix))
	require.InDeltaSlice(t, []float64{0, 0, 0, 1}, norm.Must(matrix.Materialize()).Data(), 1e-15)
}
