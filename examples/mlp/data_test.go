package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// idx returns an IDX file: the numbers of its header, then its data.
func idx(data []byte, header ...uint32) []byte {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.BigEndian, header)
	b.Write(data)
	return b.Bytes()
}

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(data)
	_ = z.Close()
	return b.Bytes()
}

func TestReadIDX(t *testing.T) {
	pixels := []byte{1, 2, 3, 4, 5, 6, 7, 8}
	good := idx(pixels, magicImages, 2, 2, 2)
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
		"labels":            {file: idx(pixels, magicLabels, 8), want: "magic number 0x00000801, want 0x00000803"},
		"text":              {file: []byte("<html>404 Not Found</html>"), want: "magic number"},
		"no images":         {file: idx(nil, magicImages, 0, 2, 2), want: "empty"},
		"no rows":           {file: idx(nil, magicImages, 2, 0, 2), want: "empty"},
		"huge":              {file: idx(pixels, magicImages, 1<<31, 28, 28), want: "more than"},
		"product overflows": {file: idx(pixels, magicImages, 1<<31, 1<<31, 4), want: "more than"},
		"largest announced": {file: idx(pixels, magicImages, 1<<10, 1<<10, 1<<10), want: "truncated: 8 bytes of data"},
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
	file := idx([]byte{1, 2, 3}, magicImages, 1<<10, 1<<10, 1<<10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := readIDX(bytes.NewReader(file), magicImages)
	runtime.ReadMemStats(&after)
	require.Error(t, err)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

func FuzzReadIDX(f *testing.F) {
	good := idx([]byte{1, 2, 3, 4}, magicImages, 1, 2, 2)
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

// files are the contents of a data folder, by name.
type files map[string][]byte

func (f files) write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range f {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	return dir
}

// synthetic returns a data set of n training and m test images of 8×8 pixels.
// The label is the row that is bright, but for some noise.
func synthetic(n, m int) files {
	images := func(n, seed int) ([]byte, []byte) {
		pixels, labels := make([]byte, 64*n), make([]byte, n)
		for i := range labels {
			l := (7*i + seed) % 8
			labels[i] = byte(l)
			for j := range 64 {
				noise := (i*i*31 + j*j*17 + i*j*7 + seed) % 97
				pixels[64*i+j] = byte(noise)
				if j/8 == l {
					pixels[64*i+j] += 90
				}
			}
		}
		return idx(pixels, magicImages, uint32(n), 8, 8), idx(labels, magicLabels, uint32(n))
	}
	f := files{}
	f["train-images-idx3-ubyte"], f["train-labels-idx1-ubyte"] = images(n, 1)
	f["t10k-images-idx3-ubyte"], f["t10k-labels-idx1-ubyte"] = images(m, 2)
	return f
}

func TestReadDir(t *testing.T) {
	t.Run("plain", func(t *testing.T) {
		train, test, err := readDir(synthetic(20, 5).write(t))
		require.NoError(t, err)
		assert.Equal(t, 20, train.count())
		assert.Equal(t, 5, test.count())
		assert.Equal(t, 64, test.pixels)
		assert.Equal(t, 3, train.first(3).count())
		assert.Equal(t, 20, train.first(0).count())
		assert.Equal(t, 20, train.first(21).count())
	})
	t.Run("dots and gzip", func(t *testing.T) {
		f := synthetic(20, 5)
		g := files{
			"train-images.idx3-ubyte":    f["train-images-idx3-ubyte"],
			"train-labels.idx1-ubyte.gz": gzipped(f["train-labels-idx1-ubyte"]),
			"t10k-images-idx3-ubyte.gz":  gzipped(f["t10k-images-idx3-ubyte"]),
			"t10k-labels-idx1-ubyte":     f["t10k-labels-idx1-ubyte"],
		}
		train, test, err := readDir(g.write(t))
		require.NoError(t, err)
		assert.Equal(t, 20, train.count())
		assert.Equal(t, 5, test.count())
	})

	for name, tc := range map[string]struct {
		change func(files)
		want   string
	}{
		"missing file": {
			func(f files) { delete(f, "t10k-labels-idx1-ubyte") },
			"no t10k-labels-idx1-ubyte (plain or .gz)",
		},
		"empty folder": {
			func(f files) { clear(f) },
			"no train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte",
		},
		"other number of labels": {
			func(f files) { f["train-labels-idx1-ubyte"] = idx(make([]byte, 19), magicLabels, 19) },
			"has 20 images, but",
		},
		"label out of range": {
			func(f files) { f["t10k-labels-idx1-ubyte"] = idx([]byte{0, 1, 10, 2, 3}, magicLabels, 5) },
			"label 2 is 10, want 0 to 9",
		},
		"other size of images": {
			func(f files) { f["t10k-images-idx3-ubyte"] = idx(make([]byte, 5*49), magicImages, 5, 7, 7) },
			"training images have 64 pixels, test images 49",
		},
		"images in place of labels": {
			func(f files) { f["train-labels-idx1-ubyte"] = f["train-images-idx3-ubyte"] },
			"magic number 0x00000803, want 0x00000801",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := synthetic(20, 5)
			tc.change(f)
			dir := f.write(t)
			_, _, err := readDir(dir)
			require.ErrorContains(t, err, tc.want)
			assert.ErrorContains(t, err, dir, "the folder must be named")
		})
	}

	t.Run("no folder", func(t *testing.T) {
		_, _, err := readDir(filepath.Join(t.TempDir(), "nowhere"))
		assert.ErrorContains(t, err, "nowhere")
	})
	t.Run("a file", func(t *testing.T) {
		path := filepath.Join(synthetic(2, 2).write(t), "t10k-labels-idx1-ubyte")
		_, _, err := readDir(path)
		assert.ErrorContains(t, err, "is not a folder")
	})
}

func TestFill(t *testing.T) {
	d := &dataset{images: []byte{0, 255, 10, 20, 30, 40}, labels: []byte{9, 1, 0}, pixels: 2}
	x := make([]float32, 4)
	d.fill(x, []int{2, 0})
	assert.Equal(t, []float32{pixelValue[30], pixelValue[40], pixelValue[0], pixelValue[255]}, x)

	y := make([]float32, 2*classes)
	y[7] = 5 // of the batch before
	d.fillOneHot(y, []int{2, 0})
	want := make([]float32, 2*classes)
	want[0*2+0], want[9*2+1] = 1, 1
	assert.Equal(t, want, y)
}
