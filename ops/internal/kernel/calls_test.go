package kernel

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// poisons are the values that must not spread.
var poisons = []float64{math.NaN(), math.Inf(1), math.Inf(-1)}

func allNaN[T Float](x []T) bool {
	return !slices.ContainsFunc(x, func(v T) bool { return v == v })
}

func bits[T Float](x T) uint64 {
	if f, ok := any(x).(float32); ok {
		return uint64(math.Float32bits(f))
	}
	return math.Float64bits(float64(x))
}

func sameBits[T Float](a, b []T) bool {
	return slices.EqualFunc(a, b, func(x, y T) bool { return bits(x) == bits(y) })
}

// margin is how many elements around an array are watched, and sentinel what
// they hold: a NaN that no kernel makes, which also shows if it is read.
const margin = 64

var sentinel = math.Float64frombits(0x7ff8c0de60000000)

// fence is an array with watched memory before and after it.
type fence[T Float] struct{ all, kept []T }

// fenced copies x into a fence.
func fenced[T Float](x []T) fence[T] {
	all := make([]T, len(x)+2*margin)
	for i := range all {
		all[i] = T(sentinel)
	}
	copy(all[margin:], x)
	return fence[T]{all, slices.Clone(all)}
}

// blank returns a fence around n elements that no kernel computes.
func blank[T Float](n int) fence[T] { return fenced(newData[T]().normal(n, 1e6, 1)) }

// data has the capacity to reach into the fence after it.
func (f fence[T]) data() []T { return f.all[margin : len(f.all)-margin] }

func (f fence[T]) untouched() bool { return sameBits(f.all, f.kept) }

func (f fence[T]) marginsUntouched() bool {
	n := len(f.all)
	return sameBits(f.all[:margin], f.kept[:margin]) && sameBits(f.all[n-margin:], f.kept[n-margin:])
}

func (f fence[T]) written() bool {
	for i, v := range f.data() {
		if bits(v) == bits(f.kept[margin+i]) {
			return false
		}
	}
	return true
}

// call is one kernel with its arguments.
type call[T Float] struct {
	name        string
	in, out     []fence[T]
	in64, out64 []fence[float64]
	run         func()
}

// result copies what was written.
func (c call[T]) result() (r [][]uint64) {
	for _, f := range c.out {
		r = append(r, allBits(f.data()))
	}
	for _, f := range c.out64 {
		r = append(r, allBits(f.data()))
	}
	return r
}

func allBits[T Float](x []T) []uint64 {
	b := make([]uint64, len(x))
	for i, v := range x {
		b[i] = bits(v)
	}
	return b
}

// calls are all kernels that the package exports, on data seen by v, each with arrays of
// its own.
func calls[T Float](v View, affine bool) []call[T] {
	cs := []call[T]{
		layerNormFwdCall[T](v, affine), layerNormBwdCall[T](v, affine), addNormFwdCall[T](v, affine),
		columnNormFwdCall[T](v, affine, false), columnNormBwdCall[T](v, affine, false),
		columnNormFwdCall[T](v, affine, true), columnNormBwdCall[T](v, affine, true),
		momentsCall[T](v), sampleMomentsCall[T](v),
		batchNormFwdCall[T](v, affine),
		batchNormBwdCall[T](v, affine, true), batchNormBwdCall[T](v, affine, false),
		normsCall[T](v), weightScalesCall[T](v), weightNormFwdCall[T](v), weightNormBwdCall[T](v),
		scaleColumnsCall[T](v, affine), columnSumsCall[T](v),
	}
	if affine {
		cs = append(cs, shiftColumnsCall[T](v))
	}
	cs = append(cs, secondCalls[T](v, affine)...)
	cs = append(cs, groupNormCalls[T](v, affine)...)
	cs = append(cs, maskedCalls[T](v, affine)...)
	return append(append(cs, neighbourCalls[T](v)...), spectralCalls[T](v)...)
}

// rowsOf sees the data of a view as rows, of more than one element.
func rowsOf(v View) Rows {
	if v.Inner > 1 {
		return Rows{Rows: v.Outer * v.Channels, Cols: v.Inner, Eps: 1e-5}
	}
	return Rows{Rows: v.Outer, Cols: v.Channels, Eps: 1e-5, UnbiasedStd: true}
}

// optional is a parameter that is absent unless wanted.
func optional[T Float](n int, wanted bool) (f fence[T], data []T) {
	f = fenced(newData[T]().normal(n, 1, 1))
	if wanted {
		data = f.data()
	}
	return f, data
}

func input[T Float](n int) fence[T] { return fenced(newData[T]().normal(n, 3, 1)) }

func layerNormFwdCall[T Float](v View, affine bool) call[T] {
	p := rowsOf(v)
	x, y := input[T](v.Len()), blank[T](v.Len())
	fg, gamma := optional[T](p.Cols, affine)
	fb, beta := optional[T](p.Cols, affine)
	return call[T]{name: "LayerNormFwd", in: []fence[T]{x, fg, fb}, out: []fence[T]{y}, run: func() {
		LayerNormFwd(y.data(), x.data(), gamma, beta, p)
	}}
}

func layerNormBwdCall[T Float](v View, affine bool) call[T] {
	p := rowsOf(v)
	x, dy, dx := input[T](v.Len()), input[T](v.Len()), blank[T](v.Len())
	fg, gamma := optional[T](p.Cols, affine)
	dg, db := blank[T](p.Cols), blank[T](p.Cols)
	return call[T]{name: "LayerNormBwd", in: []fence[T]{x, fg, dy}, out: []fence[T]{dx, dg, db}, run: func() {
		LayerNormBwd(dx.data(), dg.data(), db.data(), x.data(), gamma, dy.data(), p)
	}}
}

func addNormFwdCall[T Float](v View, affine bool) call[T] {
	p := rowsOf(v)
	x, r, y, sum := input[T](v.Len()), input[T](v.Len()), blank[T](v.Len()), blank[T](v.Len())
	fg, gamma := optional[T](p.Cols, affine)
	fb, beta := optional[T](p.Cols, affine)
	return call[T]{name: "AddNormFwd", in: []fence[T]{x, r, fg, fb}, out: []fence[T]{y, sum}, run: func() {
		AddNormFwd(y.data(), sum.data(), x.data(), r.data(), gamma, beta, p)
	}}
}

func momentsCall[T Float](v View) call[T] {
	x := input[T](v.Len())
	mean, res, m2 := blank[float64](v.Channels), blank[float64](v.Channels), blank[float64](v.Channels)
	return call[T]{name: "Moments", in: []fence[T]{x}, out64: []fence[float64]{mean, res, m2}, run: func() {
		Moments(x.data(), nil, v, 1e-5, mean.data(), res.data(), m2.data())
	}}
}

func sampleMomentsCall[T Float](v View) call[T] {
	x := input[T](v.Len())
	mean, res, m2 := blank[float64](v.Channels), blank[float64](v.Channels), blank[float64](v.Channels)
	return call[T]{name: "SampleMoments", in: []fence[T]{x}, out64: []fence[float64]{mean, res, m2}, run: func() {
		SampleMoments(x.data(), nil, v, 1e-5, mean.data(), res.data(), m2.data())
	}}
}

func statsInput(n int) (fs []fence[float64], s Stats) {
	fs = []fence[float64]{input[float64](n), input[float64](n), input[float64](n)}
	return fs, Stats{fs[0].data(), fs[1].data(), fs[2].data()}
}

func batchNormFwdCall[T Float](v View, affine bool) call[T] {
	x, y := input[T](v.Len()), blank[T](v.Len())
	fg, gamma := optional[T](v.Channels, affine)
	fb, beta := optional[T](v.Channels, affine)
	fs, s := statsInput(v.Channels)
	return call[T]{name: "BatchNormFwd", in: []fence[T]{x, fg, fb}, in64: fs, out: []fence[T]{y}, run: func() {
		BatchNormFwd(y.data(), x.data(), nil, gamma, beta, v, s)
	}}
}

func batchNormBwdCall[T Float](v View, affine, batch bool) call[T] {
	x, dy, dx := input[T](v.Len()), input[T](v.Len()), blank[T](v.Len())
	fg, gamma := optional[T](v.Channels, affine)
	dg, db := blank[T](v.Channels), blank[T](v.Channels)
	fs, s := statsInput(v.Channels)
	return call[T]{
		name: "BatchNormBwd", in: []fence[T]{x, fg, dy}, in64: fs, out: []fence[T]{dx, dg, db},
		run: func() {
			BatchNormBwd(dx.data(), dg.data(), db.data(), x.data(), nil, gamma, dy.data(), v, s, batch)
		},
	}
}

func normsCall[T Float](v View) call[T] {
	x, norm := input[T](v.Len()), blank[float64](v.Channels)
	return call[T]{name: "Norms", in: []fence[T]{x}, out64: []fence[float64]{norm}, run: func() {
		Norms(x.data(), v, norm.data())
	}}
}

func weightScalesCall[T Float](v View) call[T] {
	x, g, scale := input[T](v.Len()), input[T](v.Channels), blank[float64](v.Channels)
	return call[T]{name: "WeightScales", in: []fence[T]{x, g}, out64: []fence[float64]{scale}, run: func() {
		WeightScales(scale.data(), x.data(), g.data(), v)
	}}
}

func weightNormFwdCall[T Float](v View) call[T] {
	x, g, w := input[T](v.Len()), input[T](v.Channels), blank[T](v.Len())
	return call[T]{name: "WeightNormFwd", in: []fence[T]{x, g}, out: []fence[T]{w}, run: func() {
		WeightNormFwd(w.data(), x.data(), g.data(), v)
	}}
}

func weightNormBwdCall[T Float](v View) call[T] {
	x, g, dw := input[T](v.Len()), input[T](v.Channels), fenced(newData[T]().normal(v.Len(), 0, 1))
	dv, dg := fenced(newData[T]().normal(v.Len(), 9, 1)), blank[T](v.Channels)
	return call[T]{name: "WeightNormBwd", in: []fence[T]{x, g, dw}, out: []fence[T]{dv, dg}, run: func() {
		WeightNormBwd(dv.data(), dg.data(), x.data(), g.data(), dw.data(), v)
	}}
}

func scaleColumnsCall[T Float](v View, affine bool) call[T] {
	cols := v.Channels * v.Inner
	x, y, scale := input[T](v.Len()), blank[T](v.Len()), input[float64](cols)
	fb, shift := optional[T](cols, affine)
	return call[T]{
		name: "ScaleColumns", in: []fence[T]{x, fb}, in64: []fence[float64]{scale}, out: []fence[T]{y},
		run: func() { ScaleColumns(y.data(), x.data(), v.Outer, cols, scale.data(), shift) },
	}
}

func columnSumsCall[T Float](v View) call[T] {
	cols := v.Channels * v.Inner
	x, s := input[T](v.Len()), blank[T](cols)
	return call[T]{name: "ColumnSums", in: []fence[T]{x}, out: []fence[T]{s}, run: func() {
		ColumnSums(s.data(), x.data(), v.Outer, cols)
	}}
}

func shiftColumnsCall[T Float](v View) call[T] {
	cols := v.Channels * v.Inner
	x, b, y := input[T](v.Len()), input[T](cols), blank[T](v.Len())
	return call[T]{name: "ScaleColumns, shift only", in: []fence[T]{x, b}, out: []fence[T]{y}, run: func() {
		copy(y.data(), x.data())
		ScaleColumns(y.data(), y.data(), v.Outer, cols, nil, b.data())
	}}
}

// guardViews have odd sizes, below and above the size of parallel work.
var guardViews = []View{
	{3, 5, 1}, {1, 3, 7}, {65, 129, 1}, {130, 64, 1}, {5, 3, 13}, {1, 1, 4097}, {4097, 1, 1},
	{301, 131, 1}, {3, 2, 8191}, {70, 9, 61}, {2, 1, 20000}, {40000, 1, 1},
}

func TestGuardBands(t *testing.T) { both(t, guardBands[float32], guardBands[float64]) }

// Kernels write every element of their outputs, nothing around them, and none
// of their inputs; nor the shared ones and zeros that stand for absent
// parameters.
func guardBands[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, v := range guardViews {
		for _, affine := range []bool{true, false} {
			for _, c := range calls[T](v, affine) {
				c.run()
				what := label(c.name, v, affine)
				for _, f := range c.in {
					require.True(t, f.untouched(), what)
				}
				for _, f := range c.in64 {
					require.True(t, f.untouched(), what)
				}
				for _, f := range c.out {
					require.True(t, f.marginsUntouched(), what)
					require.True(t, f.written(), what)
				}
				for _, f := range c.out64 {
					require.True(t, f.marginsUntouched(), what)
					require.True(t, f.written(), what)
				}
			}
		}
	}
	for _, n := range []int{1, 100, 1 << 15} {
		require.NotContains(t, zeros[T](nil, n), T(1))
		require.Equal(t, n, int(sumGo(ones[T](nil, n))))
		require.Zero(t, sumGo(zeros[T](nil, n)))
	}
}
