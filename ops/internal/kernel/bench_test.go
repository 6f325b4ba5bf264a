package kernel

import (
	"fmt"
	"testing"
	"unsafe"
)

// The benchmarks count the bytes that must move: each array once.

func size[T Float](elems int) int64 { return int64(elems) * int64(unsafe.Sizeof(T(0))) }

func bench(b *testing.B, name string, bytes int64, run func()) {
	b.Run(name, func(b *testing.B) {
		run() // fills the pools
		b.SetBytes(bytes)
		b.ReportAllocs()
		for b.Loop() {
			run()
		}
	})
}

func typeName[T Float]() string {
	if any(T(0)) == any(float32(0)) {
		return "f32"
	}
	return "f64"
}

var layerNormShapes = []Rows{
	{Rows: 32, Cols: 64, Eps: 1e-5}, {Rows: 128, Cols: 256, Eps: 1e-5},
	{Rows: 512, Cols: 768, Eps: 1e-5}, {Rows: 4096, Cols: 1024, Eps: 1e-5},
}

func BenchmarkLayerNormFwd(b *testing.B) {
	layerNormFwdBench[float32](b)
	layerNormFwdBench[float64](b)
}

func layerNormFwdBench[T Float](b *testing.B) {
	for _, p := range layerNormShapes {
		c := newLayerNormCase[T](p, easy)
		y := make([]T, len(c.x))
		bench(b, fmt.Sprintf("%s/%dx%d", typeName[T](), p.Rows, p.Cols), size[T](2*len(y)+2*p.Cols), func() {
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
		bench(b, fmt.Sprintf("%s/%dx%d", typeName[T](), p.Rows, p.Cols), size[T](3*len(dx)+3*p.Cols), func() {
			LayerNormBwd(dx, dgamma, dbeta, c.x, c.gamma, c.dy, p)
		})
	}
}

var batchNormViews = []struct {
	name string
	v    View
}{{"512x1024", View{512, 1024, 1}}, {"32x64x56x56", View{32, 64, 56 * 56}}}

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
		bench(b, typeName[T]()+"/"+s.name, bytes, func() {
			Moments(c.x, s.v, r.s.Mean, r.s.Residual, r.m2)
			BatchNormFwd(r.y, c.x, c.gamma, c.beta, s.v, r.s)
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
		bench(b, typeName[T]()+"/"+s.name, bytes, func() {
			BatchNormBwd(r.dx, r.dgamma, r.dbeta, c.x, c.gamma, c.dy, s.v, r.s, true)
		})
	}
}

var weightNormViews = []struct {
	name string
	v    View
}{{"rows/1024x1024", View{1, 1024, 1024}}, {"columns/1024x1024", View{1024, 1024, 1}}}

func BenchmarkWeightNormFwd(b *testing.B) {
	weightNormFwdBench[float32](b)
	weightNormFwdBench[float64](b)
}

func weightNormFwdBench[T Float](b *testing.B) {
	for _, s := range weightNormViews {
		c := newWeightNormCase[T](s.v, condition{scale: 1})
		w := make([]T, len(c.v))
		bench(b, typeName[T]()+"/"+s.name, size[T](2*len(w)+s.v.Channels), func() {
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
		bench(b, typeName[T]()+"/"+s.name, size[T](3*len(dv)+2*s.v.Channels), func() {
			WeightNormBwd(dv, dg, c.v, c.g, c.dw, s.v)
		})
	}
}
