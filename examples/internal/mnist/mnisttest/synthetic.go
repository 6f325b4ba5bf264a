// Package mnisttest makes small data sets in the format of MNIST, for tests.
package mnisttest

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The numbers that open a file of images and one of labels.
const (
	MagicImages = 0x00000803
	MagicLabels = 0x00000801
)

// IDX returns an IDX file: the numbers of its header, then its data.
func IDX(data []byte, header ...uint32) []byte {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.BigEndian, header)
	b.Write(data)
	return b.Bytes()
}

// Files are the contents of a data folder, by name.
type Files map[string][]byte

// Write writes the files to a folder that lives as long as the test.
func (f Files) Write(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range f {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	return dir
}

// Synthetic returns a data set of n training and m test images of 8×8 pixels.
// The label is the row that is bright, but for some noise.
func Synthetic(n, m int) Files {
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
		return IDX(pixels, MagicImages, uint32(n), 8, 8), IDX(labels, MagicLabels, uint32(n))
	}
	f := Files{}
	f["train-images-idx3-ubyte"], f["train-labels-idx1-ubyte"] = images(n, 1)
	f["t10k-images-idx3-ubyte"], f["t10k-labels-idx1-ubyte"] = images(m, 2)
	return f
}
