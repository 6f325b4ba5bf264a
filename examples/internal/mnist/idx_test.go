package mnist

import (
	"bytes"
	"compress/gzip"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/gorgonorm/norm/examples/internal/mnist/mnisttest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(data)
	_ = z.Close()
	return b.Bytes()
}

func TestReadIDX(t *testing.T) {
	pixels := []byte{1, 2, 3, 4, 5, 6, 7, 8}
	good := mnisttest.IDX(pixels, magicImages, 2, 2, 2)
	packed := gzipped(good)
	badSum := bytes.Clone(packed)
	badSum[len(badSum)-8] ^= 1

	for name, tc := range map[string]struct {
		file []byte
		want string // part of the error
	}{
		"plain":             {file: good},
		"compressed":        {file: packed},
		"no bytes":          {file: nil, want: "truncated: no header"},
		"half a header":     {file: good[:7], want: "truncated: no header"},
		"header only":       {file: good[:16], want: "truncated: 0 bytes of data, want 8"},
		"truncated":         {file: good[:20], want: "truncated: 4 bytes of data, want 8"},
		"truncated gzip":    {file: packed[:len(packed)-10], want: "truncated"},
		"gzip header only":  {file: packed[:3], want: "EOF"},
		"wrong checksum":    {file: badSum, want: "checksum"},
		"too long":          {file: append(bytes.Clone(good), 0), want: "more than the 8 bytes"},
		"labels":            {file: mnisttest.IDX(pixels, magicLabels, 8), want: "magic number 0x00000801, want 0x00000803"},
		"text":              {file: []byte("<html>404 Not Found</html>"), want: "magic number"},
		"no images":         {file: mnisttest.IDX(nil, magicImages, 0, 2, 2), want: "empty"},
		"no rows":           {file: mnisttest.IDX(nil, magicImages, 2, 0, 2), want: "empty"},
		"huge":              {file: mnisttest.IDX(pixels, magicImages, 1<<31, 28, 28), want: "more than"},
		"product overflows": {file: mnisttest.IDX(pixels, magicImages, 1<<31, 1<<31, 4), want: "more than"},
		"largest announced": {file: mnisttest.IDX(pixels, magicImages, 1<<10, 1<<10, 1<<10), want: "truncated: 8 bytes of data"},
	} {
		t.Run(name, func(t *testing.T) {
			data, dims, err := readIDX(bytes.NewReader(tc.file), magicImages)
			if tc.want != "" {
				require.ErrorContains(t, err, tc.want)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, pixels, data)
			assert.Equal(t, []int{2, 2, 2}, dims)
		})
	}
}

// A header that promises a gigabyte must not make the reader reserve it.
func TestReadIDXAllocatesWhatIsThere(t *testing.T) {
	file := mnisttest.IDX([]byte{1, 2, 3}, magicImages, 1<<10, 1<<10, 1<<10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := readIDX(bytes.NewReader(file), magicImages)
	runtime.ReadMemStats(&after)
	require.Error(t, err)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

func FuzzReadIDX(f *testing.F) {
	good := mnisttest.IDX([]byte{1, 2, 3, 4}, magicImages, 1, 2, 2)
	f.Add(good)
	f.Add(gzipped(good))
	f.Add(good[:9])
	f.Fuzz(func(t *testing.T, file []byte) {
		data, dims, err := readIDX(bytes.NewReader(file), magicImages)
		if err == nil && (len(dims) != 3 || dims[0]*dims[1]*dims[2] != len(data)) {
			t.Fatalf("%d bytes for %v", len(data), dims)
		}
	})
}

func TestReadDir(t *testing.T) {
	t.Run("plain", func(t *testing.T) {
		train, test, err := ReadDir(mnisttest.Synthetic(20, 5).Write(t))
		require.NoError(t, err)
		assert.Equal(t, 20, train.Count())
		assert.Equal(t, 5, test.Count())
		assert.Equal(t, 64, test.Pixels)
		assert.Equal(t, 3, train.First(3).Count())
		assert.Equal(t, 20, train.First(0).Count())
		assert.Equal(t, 20, train.First(21).Count())
	})
	t.Run("dots and gzip", func(t *testing.T) {
		f := mnisttest.Synthetic(20, 5)
		g := mnisttest.Files{
			"train-images.idx3-ubyte":    f["train-images-idx3-ubyte"],
			"train-labels.idx1-ubyte.gz": gzipped(f["train-labels-idx1-ubyte"]),
			"t10k-images-idx3-ubyte.gz":  gzipped(f["t10k-images-idx3-ubyte"]),
			"t10k-labels-idx1-ubyte":     f["t10k-labels-idx1-ubyte"],
		}
		train, test, err := ReadDir(g.Write(t))
		require.NoError(t, err)
		assert.Equal(t, 20, train.Count())
		assert.Equal(t, 5, test.Count())
	})

	for name, tc := range map[string]struct {
		change func(mnisttest.Files)
		want   string
	}{
		"missing file": {
			func(f mnisttest.Files) { delete(f, "t10k-labels-idx1-ubyte") },
			"no t10k-labels-idx1-ubyte (plain or .gz)",
		},
		"empty folder": {
			func(f mnisttest.Files) { clear(f) },
			"no train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte",
		},
		"other number of labels": {
			func(f mnisttest.Files) {
				f["train-labels-idx1-ubyte"] = mnisttest.IDX(make([]byte, 19), magicLabels, 19)
			},
			"has 20 images, but",
		},
		"label out of range": {
			func(f mnisttest.Files) {
				f["t10k-labels-idx1-ubyte"] = mnisttest.IDX([]byte{0, 1, 10, 2, 3}, magicLabels, 5)
			},
			"label 2 is 10, want 0 to 9",
		},
		"other size of images": {
			func(f mnisttest.Files) {
				f["t10k-images-idx3-ubyte"] = mnisttest.IDX(make([]byte, 5*49), magicImages, 5, 7, 7)
			},
			"training images have 64 pixels, test images 49",
		},
		"images in place of labels": {
			func(f mnisttest.Files) { f["train-labels-idx1-ubyte"] = f["train-images-idx3-ubyte"] },
			"magic number 0x00000803, want 0x00000801",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := mnisttest.Synthetic(20, 5)
			tc.change(f)
			dir := f.Write(t)
			_, _, err := ReadDir(dir)
			require.ErrorContains(t, err, tc.want)
			assert.ErrorContains(t, err, dir, "the folder must be named")
		})
	}

	t.Run("no folder", func(t *testing.T) {
		_, _, err := ReadDir(filepath.Join(t.TempDir(), "nowhere"))
		assert.ErrorContains(t, err, "nowhere")
	})
	t.Run("a file", func(t *testing.T) {
		path := filepath.Join(mnisttest.Synthetic(2, 2).Write(t), "t10k-labels-idx1-ubyte")
		_, _, err := ReadDir(path)
		assert.ErrorContains(t, err, "is not a folder")
	})
}

func TestFillScalesPixelsAndSetsOneHotLabels(t *testing.T) {
	d := &Dataset{Images: []byte{0, 255, 10, 20, 30, 40}, Labels: []byte{9, 1, 0}, Pixels: 2, Scale: &Standardized}
	x := make([]float32, 4)
	d.Fill(x, []int{2, 0})
	assert.Equal(t, []float32{Standardized[30], Standardized[40], Standardized[0], Standardized[255]}, x)

	y := make([]float32, 2*Classes)
	y[7] = 5 // left over from the batch before
	d.FillOneHot(y, []int{2, 0})
	want := make([]float32, 2*Classes)
	want[0*2+0], want[9*2+1] = 1, 1
	assert.Equal(t, want, y)
}

func TestPartHasItsImagesAndLabels(t *testing.T) {
	d := &Dataset{Images: []byte{0, 255, 10, 20, 127, 128}, Labels: []byte{9, 1, 0}, Pixels: 2, Scale: &Binary}
	p := d.Part(1, 3)
	assert.Equal(t, 2, p.Count())
	x := make([]float32, 4)
	p.Fill(x, Sequence(0, 2))
	assert.Equal(t, []float32{0, 0, 0, 1}, x)
	assert.Equal(t, []byte{1, 0}, p.Labels)
}
