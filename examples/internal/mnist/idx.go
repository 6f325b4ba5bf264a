package mnist

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// The numbers that open an IDX file: two zero bytes, the type of the elements
// (8: unsigned bytes) and the number of dimensions.
const (
	magicImages = 0x00000803
	magicLabels = 0x00000801
)

// maxIDXBytes bounds what a header may announce; MNIST has 47 MB of pixels.
const maxIDXBytes = 1 << 30

// readPair reads a file of images and the file of their labels.
func readPair(imagePath, labelPath string) (*Dataset, error) {
	images, dims, err := readIDXFile(imagePath, magicImages)
	if err != nil {
		return nil, err
	}
	labels, _, err := readIDXFile(labelPath, magicLabels)
	if err != nil {
		return nil, err
	}
	if dims[0] != len(labels) {
		return nil, fmt.Errorf("%s has %d images, but %s has %d labels", imagePath, dims[0], labelPath, len(labels))
	}
	for i, l := range labels {
		if l >= Classes {
			return nil, fmt.Errorf("%s: label %d is %d, want 0 to %d", labelPath, i, l, Classes-1)
		}
	}
	return &Dataset{Images: images, Labels: labels, Pixels: dims[1] * dims[2], Scale: &Standardized}, nil
}

// readIDXFile reads an IDX file of bytes, compressed or not.
func readIDXFile(path string, magic uint32) (data []byte, dims []int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if data, dims, err = readIDX(f, magic); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, dims, nil
}

func readIDX(file io.Reader, magic uint32) (data []byte, dims []int, err error) {
	r := bufio.NewReader(file)
	// The content tells whether it is compressed, whatever the file's name is.
	if head, err := r.Peek(2); err == nil && head[0] == 0x1f && head[1] == 0x8b {
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, err
		}
		r = bufio.NewReader(z)
	}

	size, dims, err := readIDXHeader(r, magic)
	if err != nil {
		return nil, nil, err
	}
	// ReadAll grows with what is really there, so a header that promises too
	// much costs nothing. The byte more than promised shows a surplus.
	if data, err = io.ReadAll(io.LimitReader(r, int64(size)+1)); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil, err
	}
	switch {
	case err != nil || len(data) < size:
		return nil, nil, fmt.Errorf("truncated: %d bytes of data, want %d for %v", len(data), size, dims)
	case len(data) > size:
		return nil, nil, fmt.Errorf("more than the %d bytes of data that the header announces for %v", size, dims)
	}
	return data, dims, nil
}

// readIDXHeader returns the dimensions and their product.
func readIDXHeader(r io.Reader, magic uint32) (size int, dims []int, err error) {
	head := make([]uint32, 1+magic&0xff)
	if err := binary.Read(r, binary.BigEndian, head); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, nil, fmt.Errorf("truncated: no header of %d bytes", 4*len(head))
		}
		return 0, nil, err
	}
	if head[0] != magic {
		return 0, nil, fmt.Errorf("magic number 0x%08x, want 0x%08x", head[0], magic)
	}
	size = 1
	for _, d := range head[1:] {
		if d == 0 {
			return 0, nil, fmt.Errorf("empty: dimensions %v", head[1:])
		}
		// A quotient cannot overflow, a product can.
		if uint64(d) > uint64(maxIDXBytes/size) {
			return 0, nil, fmt.Errorf("dimensions %v: more than %d bytes", head[1:], maxIDXBytes)
		}
		size *= int(d)
		dims = append(dims, int(d))
	}
	return size, dims, nil
}
