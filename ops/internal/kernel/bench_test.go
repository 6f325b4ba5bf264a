package kernel

import (
	"fmt"
	"testing"
	"unsafe"
)

// The benchmarks count the bytes that must move: each array once. Their names
// are the kernel's, and below it the type, the shape and the instruction set:
// BenchmarkLayerNormFwd/f32/512x768/avx512.

func size[T Float](elems int) int64 { return int64(elems) * int64(unsafe.Sizeof(T(0))) }

// bench runs a benchmark on every instruction set that there is.
func bench[T Float](b *testing.B, shape string, bytes int64, run func()) {
	for path := isa; path >= generic; path-- {
		b.Run(fmt.Sprintf("%s/%s/%s", typeName[T](), shape, isaNames[path]), func(b *testing.B) {
			defer useISA(path)()
			run() // fills the pools
			b.SetBytes(bytes)
			b.ReportAllocs()
			for b.Loop() {
				run()
			}
		})
	}
}

func typeName[T Float]() string {
	if size[T](1) == 4 {
		return "f32"
	}
	return "f64"
}

var layerNormShapes = []Rows{
	{Rows: 32, Cols: 64, Eps: 1e-5}, {Rows: 128, Cols: 256, Eps: 1e-5},
	{Rows: 512, Cols: 768, Eps: 1e-5}, {Rows: 4096, Cols: 1024, Eps: 1e-5},
}

func (p Rows) String() string { return fmt.Sprintf("%dx%d", p.Rows, p.Cols) }

func BenchmarkLayerNormFwd(b *testing.B) {
	layerNormFwdBench[float32](b)
	layerNormFwdBench[float64](b)
}

func layerNormFwdBench[T Float](b *testing.B) {
	for _, p := range layerNormShapes {
		c := newLayerNormCase[T](p, easy)
		y := make([]T, len(c.x))
		bench[T](b, p.String(), size[T](2*len(y)+2*p.Cols), func() {
			LayerNormFwd(y, c.x, c.gamma, c.beta, p)
		})
	}
}

func BenchmarkLayerNormBwd(b *testing.B) {
	layerNormBwdBench[float32](b)
	layerNormBwdBench[float64](b)
}

func layerNormBwdBench[T Float](b *testing.B) {
	for _, p := range layerNormShapes {
		c := newLayerNormCase[T](p, easy)
		dx, dgamma, dbeta := make([]T, len(c.x)), make([]T, p.Cols), make([]T, p.Cols)
		bench[T](b, p.String(), size[T](3*len(dx)+3*p.Cols), func() {
			LayerNormBwd(dx, dgamma, dbeta, c.x, c.gamma, c.dy, p)
		})
	}
}

var batchNormViews = []struct {
	name string
	v    View
}{{"512x1024", View{512, 1024, 1}}, {"32x64x56x56", View{32, 64, 56 * 56}}}

// BenchmarkMoments is the statistics of training alone.
func BenchmarkMoments(b *testing.B) {
	momentsBench[float32](b)
	momentsBench[float64](b)
}

func momentsBench[T Float](b *testing.B) {
	for _, s := range batchNormViews {
		c := newBatchNormCase[T](s.v, 1e-5, easy)
		r := c.run(nil)
		bench[T](b, s.name, size[T](len(c.x))+size[float64](3*s.v.Channels), func() { c.moments(r) })
	}
}

func (c batchNormCase[T]) moments(r batchNormResult[T]) {
	Moments(c.x, nil, c.v, c.eps, r.s.Mean, r.s.Residual, r.m2)
}

// BenchmarkBatchNormFwd is what training does: statistics and output.
func BenchmarkBatchNormFwd(b *testing.B) {
	batchNormFwdBench[float32](b)
	batchNormFwdBench[float64](b)
}

func batchNormFwdBench[T Float](b *testing.B) {
	for _, s := range batchNormViews {
		c := newBatchNormCase[T](s.v, 1e-5, easy)
		r := c.run(nil)
		bytes := size[T](2*len(c.x)+2*s.v.Channels) + size[float64](4*s.v.Channels)
		bench[T](b, s.name, bytes, func() {
			c.moments(r)
			BatchNormFwd(r.y, c.x, nil, c.gamma, c.beta, s.v, r.s)
		})
	}
}

func BenchmarkBatchNormBwd(b *testing.B) {
	batchNormBwdBench[float32](b)
	batchNormBwdBench[float64](b)
}

func batchNormBwdBench[T Float](b *testing.B) {
	for _, s := range batchNormViews {
		c := newBatchNormCase[T](s.v, 1e-5, easy)
		r := c.run(nil)
		bytes := size[T](3*len(c.x)+3*s.v.Channels) + size[float64](3*s.v.Channels)
		bench[T](b, s.name, bytes, func() {
			BatchNormBwd(r.dx, r.dgamma, r.dbeta, c.x, nil, c.gamma, c.dy, s.v, r.s, true)
		})
	}
}

var weightNormViews = []struct {
	name string
	v    View
}{{"rows1024x1024", View{1, 1024, 1024}}, {"columns1024x1024", View{1024, 1024, 1}}}

func BenchmarkWeightNormFwd(b *testing.B) {
	weightNormFwdBench[float32](b)
	weightNormFwdBench[float64](b)
}

func weightNormFwdBench[T Float](b *testing.B) {
	for _, s := range weightNormViews {
		c := newWeightNormCase[T](s.v, condition{scale: 1})
		w := make([]T, len(c.v))
		bench[T](b, s.name, size[T](2*len(w)+s.v.Channels), func() {
			WeightNormFwd(w, c.v, c.g, s.v)
		})
	}
}

func BenchmarkWeightNormBwd(b *testing.B) {
	weightNormBwdBench[float32](b)
	weightNormBwdBench[float64](b)
}

func weightNormBwdBench[T Float](b *testing.B) {
	for _, s := range weightNormViews {
		c := newWeightNormCase[T](s.v, condition{scale: 1})
		dv, dg := make([]T, len(c.v)), make([]T, s.v.Channels)
		bench[T](b, s.name, size[T](3*len(dv)+2*s.v.Channels), func() {
			WeightNormBwd(dv, dg, c.v, c.g, c.dw, s.v)
		})
	}
}

// The shape of the result of a linear layer.
const linearRows, linearCols = 256, 1024

func BenchmarkScaleColumns(b *testing.B) {
	scaleColumnsBench[float32](b)
	scaleColumnsBench[float64](b)
}

func scaleColumnsBench[T Float](b *testing.B) {
	d := newData[T]()
	x, shift := d.normal(linearRows*linearCols, 0, 1), d.normal(linearCols, 0, 1)
	scale, y := newData[float64]().normal(linearCols, 1, 1), make([]T, len(x))
	bytes := size[T](2*len(x)+len(shift)) + size[float64](len(scale))
	bench[T](b, fmt.Sprintf("%dx%d", linearRows, linearCols), bytes, func() {
		ScaleColumns(y, x, linearRows, linearCols, scale, shift)
	})
}

func BenchmarkColumnSums(b *testing.B) {
	columnSumsBench[float32](b)
	columnSumsBench[float64](b)
}

func columnSumsBench[T Float](b *testing.B) {
	x, s := newData[T]().normal(linearRows*linearCols, 0, 1), make([]T, linearCols)
	bench[T](b, fmt.Sprintf("%dx%d", linearRows, linearCols), size[T](len(x)+len(s)), func() {
		ColumnSums(s, x, linearRows, linearCols)
	})
}

func BenchmarkPowerIteration(b *testing.B) {
	powerIterationBench[float32](b)
	powerIterationBench[float64](b)
}

func powerIterationBench[T Float](b *testing.B) {
	for _, s := range weightNormViews {
		c := newSpectralCase[T](s.v, 1)
		bench[T](b, s.name, size[T](2*len(c.w))+size[float64](2*(len(c.u)+len(c.v))), func() {
			PowerIteration(c.w, s.v, c.u, c.v, 1, 1e-12)
		})
	}
}

func BenchmarkSpectralNormBwd(b *testing.B) {
	spectralNormBwdBench[float32](b)
	spectralNormBwdBench[float64](b)
}

func spectralNormBwdBench[T Float](b *testing.B) {
	for _, s := range weightNormViews {
		c := newSpectralCase[T](s.v, 1)
		dw := make([]T, len(c.w))
		bench[T](b, s.name, size[T](3*len(dw))+size[float64](len(c.u)+len(c.v)), func() {
			SpectralNormBwd(dw, c.w, c.dy, c.view, c.u, c.v, 7)
		})
	}
}

// The shape of a block of images.
var imagesView = View{64, 256, 14 * 14}

var alexNet = LocalResponse{Size: 5, Alpha: 1e-4, Beta: 0.75, K: 2}

func BenchmarkLocalResponseNormFwd(b *testing.B) {
	localResponseNormFwdBench[float32](b)
	localResponseNormFwdBench[float64](b)
}

func localResponseNormFwdBench[T Float](b *testing.B) {
	c := newLocalCase[T](imagesView, alexNet, easy)
	y := make([]T, len(c.x))
	bench[T](b, "64x256x14x14", size[T](2*len(y)), func() {
		LocalResponseNormFwd(y, c.x, c.view, c.p)
	})
}

func BenchmarkLocalResponseNormBwd(b *testing.B) {
	localResponseNormBwdBench[float32](b)
	localResponseNormBwdBench[float64](b)
}

func localResponseNormBwdBench[T Float](b *testing.B) {
	c := newLocalCase[T](imagesView, alexNet, easy)
	dx := make([]T, len(c.x))
	bench[T](b, "64x256x14x14", size[T](3*len(dx)), func() {
		LocalResponseNormBwd(dx, c.x, c.dy, c.view, c.p)
	})
}
