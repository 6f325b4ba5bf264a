package norm_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gorgonorm/norm"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// What cannot be saved or loaded is an error that says why.
func TestStateBadCalls(t *testing.T) {
	g := G.NewGraph()
	empty := G.NewMatrix(g, tensor.Float32, G.WithName("empty"), G.WithShape(2, 2))
	ints := G.NewMatrix(g, tensor.Int, G.WithName("ints"), G.WithShape(2, 2), G.WithInit(G.Zeroes()))
	cube := G.NewTensor(g, tensor.Float32, 3, G.WithName("cube"), G.WithShape(2, 2, 2), G.WithInit(G.Zeroes()))
	unnamed := G.NewVector(g, tensor.Float32, G.WithShape(2), G.WithInit(G.Zeroes()))
	noValue := G.NewVector(g, tensor.Float32, G.WithShape(3))
	turned := G.NewMatrix(g, tensor.Float32, G.WithName("turned"), G.WithShape(2, 3), G.WithInit(G.Zeroes()))
	require.NoError(t, turned.Value().(*tensor.Dense).Reshape(3, 2)) // behind Gorgonia's back
	flat := G.NewMatrix(g, tensor.Float32, G.WithName("flat"), G.WithShape(1, 3), G.WithInit(G.Zeroes()))
	require.NoError(t, flat.Value().(*tensor.Dense).Reshape(3))
	result, constant := norm.Must(G.Square(cube)), G.NewConstant(float32(1))
	bn := newBN(t)
	wide := norm.Must(norm.NewRMSNorm(g, tensor.Float32, tensor.Shape{2}, norm.WithName("wide")))
	*wide.Learnables()[0].Value().(*tensor.Dense) = *wave(tensor.Float64, 0, 2) // which Let does not allow
	fc := norm.Must(norm.NewWeightNorm(g, tensor.Float32, tensor.Shape{2, 2}, norm.WithName("fc")))
	bare := norm.Must(norm.NewInstanceNorm(g, tensor.Float32, 2)) // has nothing to keep
	endless := norm.State{bn, nil}
	endless[1] = endless
	const zero = "norm: layer: it is a zero value, want a layer that its constructor made"
	for name, c := range map[string]struct {
		item norm.Stateful
		kind error
		want string
	}{
		"nil":             {nil, norm.ErrGraph, "norm: state: item 0 is nil, want a layer or a Param"},
		"nil layer":       {(*norm.BatchNorm)(nil), norm.ErrGraph, "norm: state: item 0 is nil, want a layer or a Param"},
		"embedded":        {wrapped{bn, nil}, norm.ErrGraph, "norm: state: item 0 is a norm_test.wrapped, which embeds one of this package, want that one itself, and a Param for each other node"},
		"embedded in one": {norm.State{bn, &wrapped{bn, nil}}, norm.ErrGraph, "norm: state: item 0.1 is a *norm_test.wrapped, which embeds one of this package, want that one itself, and a Param for each other node"},
		"nil in a state":  {norm.State{bn, nil}, norm.ErrGraph, "norm: state: item 0.1 is nil, want a layer or a Param"},
		"nil node":        {norm.Param("w", nil), norm.ErrGraph, `norm: param: the node of "w" is nil, want an input`},
		"no value":        {norm.Param("", empty), norm.ErrValue, "norm: param: empty has no value, want a tensor"},
		"no name":         {norm.Param("", unnamed), norm.ErrName, "norm: param: neither the entry nor its node has a name, want one"},
		"no value either": {norm.Param("v", noValue), norm.ErrValue, "norm: param: v has no value, want a tensor"},
		"a result":        {norm.Param("y", result), norm.ErrGraph, "norm: param: y is the result of an op or a constant, want an input"},
		"a constant":      {norm.Param("c", constant), norm.ErrGraph, "norm: param: c is the result of an op or a constant, want an input"},
		"integers":        {norm.Param("", ints), norm.ErrValue, "norm: param: ints holds int, want float32 or float64"},
		"other shape":     {norm.Param("", turned), norm.ErrValue, "norm: param: turned holds (3, 2), want (2, 3)"},
		"other rank":      {norm.Param("", flat), norm.ErrValue, "norm: param: flat holds (3), want (1, 3)"},
		"other dtype":     {wide, norm.ErrValue, `norm: rmsnorm "wide": wide.gamma holds F64, want F32`},
		"transposed":      {norm.Param("", cube, norm.Transposed()), norm.ErrShape, "norm: param: cube is (2, 2, 2), want a matrix to transpose"},
		"reshaped":        {norm.Param("", cube, norm.Reshaped(3)), norm.ErrShape, "norm: param: cube is (2, 2, 2), want a shape of as many elements as (3)"},
		"negative":        {norm.Param("", cube, norm.Reshaped(-2, -4)), norm.ErrShape, "norm: param: cube is (2, 2, 2), want a shape of as many elements as (-2, -4)"},
		"both":            {norm.Param("", cube, norm.Transposed(), norm.Reshaped(8)), norm.ErrOption, "norm: param: cube is transposed and reshaped, want one of them"},
		"reserved":        {norm.Param("__metadata__", cube), norm.ErrName, `norm: param: the format has "__metadata__" for itself, want another name`},
		"nil in a nest":   {norm.State{bn, norm.State{norm.State{bn, bn, nil}}}, norm.ErrGraph, "norm: state: item 0.1.0.2 is nil, want a layer or a Param"},
		"itself":          {endless, norm.ErrGraph, "norm: state: more than 100 states lie in each other, want one that does not contain itself"},
		"nothing":         {norm.State{}, norm.ErrState, "norm: state: there is nothing in it, want nodes, or layers with parameters or statistics"},
		"empty layers":    {norm.State{bare, norm.State{bare}}, norm.ErrState, "norm: state: there is nothing in it, want nodes, or layers with parameters or statistics"},
		"zero batch norm": {&norm.BatchNorm{}, norm.ErrGraph, zero},
		"zero rms norm":   {&norm.RMSNorm{}, norm.ErrGraph, zero},
		"zero weight":     {&norm.WeightNorm{}, norm.ErrGraph, zero},
		"zero linear":     {&norm.WeightNormLinear{}, norm.ErrGraph, zero},
		"zero spectral":   {&norm.SpectralNorm{}, norm.ErrGraph, zero},
		"twice":           {norm.State{bn, bn}, norm.ErrName, `norm: state: two entries are called "bn.weight", want one: give layers of two graphs names by WithName, and pass a layer in two graphs once`},
		"of a node":       {norm.State{bn, norm.Param("bn.bias", cube)}, norm.ErrName, `norm: state: two entries are called "bn.bias", want one: give layers of two graphs names by WithName, and pass a layer in two graphs once`},
		"of another name": {norm.State{fc, norm.Param("fc.parametrizations.weight.original0", cube)}, norm.ErrName, `norm: state: two entries are called "fc.parametrizations.weight.original0", want one: give layers of two graphs names by WithName, and pass a layer in two graphs once`},
	} {
		for what, err := range map[string]error{
			"save": norm.Save(io.Discard, c.item),
			"load": norm.Load(bytes.NewReader(file()), c.item),
		} {
			require.EqualError(t, err, c.want, "%s: %s", what, name)
			require.ErrorIs(t, err, c.kind, "%s: %s", what, name)
		}
	}
	require.EqualError(t, norm.Save(io.Discard, norm.Param("a\xff", cube)), `norm: save: the name is "a\xff", want UTF-8`)
	require.ErrorIs(t, norm.Load(nil, bn), norm.ErrValue)
	require.ErrorIs(t, norm.Save(nil, bn), norm.ErrValue)

	broken := errors.New("broken")
	require.ErrorIs(t, norm.Load(iotest.ErrReader(broken), bn), broken)
	require.ErrorIs(t, norm.Load(iotest.TimeoutReader(iotest.HalfReader(bytes.NewReader(saved(t, bn)))), bn), iotest.ErrTimeout)
	failed := norm.Save(failing{broken}, bn)
	require.ErrorIs(t, failed, broken)
	require.EqualError(t, failed, "norm: save: broken")
	require.ErrorIs(t, norm.Save(failing{nil}, bn), io.ErrShortWrite)
}

// wrapped has the methods of its layer, by which Save would leave out the node.
type wrapped struct {
	*norm.BatchNorm
	w *G.Node
}

// What is nested as deep as an error says is saved.
func TestSaveNested(t *testing.T) {
	state := norm.State{newBN(t)}
	for range 99 {
		state = norm.State{state}
	}
	require.NoError(t, norm.Save(io.Discard, state))
	require.ErrorIs(t, norm.Save(io.Discard, norm.State{state}), norm.ErrGraph)
}

// failing is a writer that takes nothing, even if its error is nil.
type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// SaveFile keeps the old file until the new one is complete.
func TestSaveFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "bn.safetensors")
	bn := newBN(t)
	require.NoError(t, norm.SaveFile(path, bn))
	first := must2(os.ReadFile(path))
	require.Equal(t, saved(t, bn), first)
	require.NoError(t, os.Chmod(path, 0o662))
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink("bn.safetensors", link))

	require.NoError(t, bn.SetStats([]float64{1, 2}, []float64{3, 4}))
	require.NoError(t, norm.SaveFile(link, bn))
	second := must2(os.ReadFile(path))
	require.NotEqual(t, first, second)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o662), info.Mode().Perm())

	numbersOf := bn.Learnables()[0].Value().Data().([]float32)
	numbersOf[0] = float32(math.NaN())
	require.EqualError(t, norm.SaveFile(path, bn), "norm: save "+path+": bn.weight: element 0 is NaN in F32, want a finite number")
	numbersOf[0] = 1
	require.ErrorIs(t, norm.SaveFile(filepath.Join(dir, "none", "bn"), bn), os.ErrNotExist)
	require.ErrorContains(t, norm.SaveFile(dir, bn), "not a regular file")
	require.ErrorIs(t, norm.SaveFile("", bn), os.ErrNotExist)
	require.Equal(t, second, must2(os.ReadFile(path)))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 2, "nothing is left beside them")

	require.ErrorIs(t, norm.LoadFile(filepath.Join(dir, "none"), bn), os.ErrNotExist)
	require.NoError(t, norm.LoadFile(path, bn))
}

// Errors name the path that was given, not the temporary file.
func TestSaveFileNamesThePath(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "none", "bn"), filepath.Join(dir, "none") + string(filepath.Separator)} {
		err := norm.SaveFile(path, newBN(t))
		require.ErrorContains(t, err, "norm: save: make a file beside "+path+": ")
		require.ErrorIs(t, err, os.ErrNotExist)
	}
	require.EqualError(t, norm.SaveFile("", newBN(t)), `norm: save: "": file does not exist`)
}

// A device, a pipe or a socket is not replaced by a file.
func TestSaveFileReplacesFilesOnly(t *testing.T) {
	dir := norm.Must(os.MkdirTemp("", "norm")) // the name of a socket is short
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "socket")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Skip("no sockets here: ", err)
	}
	defer l.Close()
	require.EqualError(t, norm.SaveFile(path, newBN(t)), "norm: save: "+path+": not a regular file")
	require.NotZero(t, norm.Must(os.Lstat(path)).Mode()&os.ModeSocket)
	require.Len(t, norm.Must(os.ReadDir(dir)), 1)
}

// Save refuses a header that is too long for Load.
func TestSaveHeaderLimit(t *testing.T) {
	const limit = 16 << 20
	rest := len(`{"__metadata__":{"format":"pt"},"":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`)
	x := G.NewVector(G.NewGraph(), tensor.Float32, G.WithName("x"), G.WithShape(2), G.WithInit(G.Zeroes()))
	var b bytes.Buffer
	most := norm.Param(strings.Repeat("a", limit-rest), x)
	require.NoError(t, norm.Save(&b, most))
	require.NoError(t, norm.Load(&b, most))

	b.Reset()
	path := filepath.Join(t.TempDir(), "x")
	more := norm.Param(strings.Repeat("a", limit-rest+1), x)
	for who, err := range map[string]error{"save": norm.Save(&b, more), "save " + path: norm.SaveFile(path, more)} { // headers end at multiples of 8
		require.EqualError(t, err, "norm: "+who+": the names and shapes of the entries take 16777224 bytes, want at most 16777216")
		require.ErrorIs(t, err, norm.ErrState)
	}
	require.Zero(t, b.Len())
	require.NoFileExists(t, path)
}
