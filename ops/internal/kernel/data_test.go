package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// data draws the inputs of a test.
type data[T Float] struct{ r *rand.Rand }

func newData[T Float]() data[T] { return data[T]{rand.New(rand.NewPCG(5, 6))} }

// normal draws n elements scale·(shift + N(0, 1)).
func (d data[T]) normal(n int, shift, scale float64) []T {
	x := make([]T, n)
	for i := range x {
		x[i] = T(scale * (shift + d.r.NormFloat64()))
	}
	return x
}

// condition is how the elements of a row or channel lie: ratio is the mean in
// units of the spread.
type condition struct {
	ratio, scale float64
	outlier      bool // one element is 10⁶ times the spread off
}

// easy is for tests of sizes: the mean is 100 times the spread, which costs float32 two of its
// seven digits if it is not taken out first.
var easy = condition{ratio: 100, scale: 1}

var conditions = []condition{
	{0, 1, false}, {1e2, 1, false}, {1e4, 1, false}, {1e6, 1, false},
	{0, 1e-30, false}, {0, 1e30, false}, {1e4, 1e-30, false}, {1e6, 1e30, false},
	{0, 1, true}, {1e2, 1e30, true},
}

func (d data[T]) view(v View, c condition) []T {
	x := d.normal(v.Len(), c.ratio, c.scale)
	if c.outlier {
		for ch := range v.Channels {
			at := indices(v, ch)
			x[at[d.r.IntN(len(at))]] += T(1e6 * c.scale)
		}
	}
	return x
}

// lengths are around the unrolling of the loops, the powers of two that an
// assembly loop may step by, and the length of a block.
func lengths() []int {
	var n []int
	for i := 1; i <= 70; i++ {
		n = append(n, i)
	}
	return append(n, 127, 128, 129, 255, 256, 257, 383, 384, 385, 511, 512, 513,
		1000, 1023, 1025, 4095, 4096, 4097, 5000)
}

// views are around the tiles of columns, the blocks and the cuts of runs.
func views() []View {
	vs := []View{
		{65, 129, 1}, {130, 64, 1}, {64, 65, 1}, {63, 63, 1}, {1, 5, 1}, {1, 1, 1}, {1, 70, 1},
		{1, 20000, 1}, {3, 16385, 1}, {600, 200, 1}, {4097, 1, 1}, {5000, 2, 1}, {66000, 3, 1},
		{3, 2, 4097}, {70, 3, 61}, {2, 3, 20000}, {1, 2, 8192}, {1, 2, 8193}, {1, 1, 40000},
		{5, 3, 2}, {2049, 2, 2}, {17, 5, 1000}, {1, 66000, 3}, {3, 100, 200}, {2, 1, 32768},
	}
	for _, n := range lengths() {
		vs = append(vs, View{1, 1, n}, View{n, 1, 1}, View{n, 3, 1}, View{2, 3, n}, View{1, n, 1}, View{2, n, 1})
	}
	return vs
}

// short are the views for tests that vary something else.
var short = []View{
	{1, 3, 3}, {1, 2, 64}, {1, 2, 129}, {2, 2, 1000}, {1, 2, 5000}, {4, 3, 5},
	{3, 3, 1}, {64, 3, 1}, {129, 2, 1}, {1000, 2, 1}, {5000, 2, 1},
}

// indices are the elements of channel c, by the definition of a View.
func indices(v View, c int) []int {
	at := make([]int, 0, v.Count())
	for o := range v.Outer {
		for i := range v.Inner {
			at = append(at, (o*v.Channels+c)*v.Inner+i)
		}
	}
	return at
}

// wide returns the elements of x at the indices.
func wide[T Float](x []T, at []int) []dd {
	w := make([]dd, len(at))
	for i, j := range at {
		w[i] = num(float64(x[j]))
	}
	return w
}

func gather[T any](x []T, at []int) []T {
	y := make([]T, len(at))
	for i, j := range at {
		y[i] = x[j]
	}
	return y
}

// constantDD returns n times p[c], or n times def where p is nil.
func constantDD[T Float](p []T, c int, def float64, n int) []dd {
	v := make([]dd, n)
	for i := range v {
		v[i] = num(def)
		if p != nil {
			v[i] = num(float64(p[c]))
		}
	}
	return v
}

// rowDD returns p, or n times def where p is nil.
func rowDD[T Float](p []T, def float64, n int) []dd {
	if p == nil {
		return constantDD(p, 0, def, n)
	}
	v := make([]dd, n)
	for i, x := range p {
		v[i] = num(float64(x))
	}
	return v
}

// halfUlp is the largest error of rounding x to T.
func halfUlp[T Float](x float64) float64 {
	if any(T(0)) == any(float32(0)) {
		f := min(float32(min(math.Abs(x), math.MaxFloat32)), math.Nextafter32(math.MaxFloat32, 0))
		return float64(math.Nextafter32(f, math.MaxFloat32)-f) / 2
	}
	f := min(math.Abs(x), math.Nextafter(math.MaxFloat64, 0))
	return (math.Nextafter(f, math.MaxFloat64) - f) / 2
}

// growth bounds the error of float64 arithmetic in units of the size of the
// terms. Sums of n terms err by less than λ·√n·u with the unit roundoff
// u = 2⁻⁵³, but for a chance of 2·n·exp(−λ²/2) (Higham and Mary, "A new
// approach to probabilistic rounding error analysis", SIAM J. Sci. Comput. 41
// (2019)), which λ = 8 makes nil; 16 covers the operations on each element.
func growth(n int) float64 { return (16 + 8*math.Sqrt(float64(n))) * 0x1p-53 }

// slack bounds, in units of the size of the terms, the errors of arithmetic in
// the type of the data, which is that of the assembly: a difference, a constant
// and two operations that are rounded to float32, or sums of a few rounded terms.
func slack[T Float]() float64 {
	if isa == generic || !is32[T]() {
		return 0
	}
	return 4 * 0x1p-24
}

// compare checks that got is want rounded once to T, but for the errors of
// float64 sums of n terms and those of arithmetic in float32. In float64
// arithmetic on float32 data the former are below an ulp of the result by a
// factor of 10⁶ or more, unless terms cancel.
//
// It is called hundreds of thousands of times. So it calls t.Helper, which walks the stack,
// only where it fails.
func compare[T Float](t *testing.T, what string, got []T, want []value, n int) {
	if fault := differs(what, got, want, n, slack[T]()); fault != "" {
		t.Helper()
		t.Fatal(fault)
	}
}

// compareSums is compare for float64 results of arithmetic on data of type T.
func compareSums[T Float](t *testing.T, what string, got []float64, want []value, n int) {
	if fault := differs(what, got, want, n, slack[T]()); fault != "" {
		t.Helper()
		t.Fatal(fault)
	}
}

// smallest32 is the smallest float32. Below 2⁻¹²⁶ float32 are multiples of it, so the
// assembly loses up to half of it wherever it rounds a product or a constant; sums and
// differences of such numbers are exact.
const smallest32 = 0x1p-149

// lost32 bounds, in units of smallest32, what elements of a result may lose in that way
// before the last rounding, which halfUlp is for. The assembly works with factors that
// are normal numbers only (fits), so what is lost matters where small data make a small
// result. The most is lost in γ·((x − m)·r + s) + β: half a unit in s and half in x̂,
// times γ, for which tests draw numbers below 8. The maps that are a single sum of
// products lose half a unit in their constant. What gradients of data lose is negligible
// beside their other terms, as no test draws all of dy below the range.
const lost32 = 8

// lostInProducts is lost32 for Σ dy·x̂ of n terms where x̂ is a float32. dy is Σ|dy|: half
// a unit is lost in each product, and a unit in each x̂, times dy.
func lostInProducts(n int, dy float64) float64 { return (float64(n)/2 + dy) * smallest32 }

func differs[T Float](what string, got []T, want []value, n int, slack float64) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%s: %d results, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		diff := math.Abs(w.want.minus(float64(got[i])))
		before := (growth(n) + slack) * w.size // errors before the last rounding
		if isa != generic && is32[T]() {
			before += lost32 * smallest32
		}
		limit := before + halfUlp[T](w.want.hi)
		if !(diff <= limit) && !overflows(got[i], w.want.hi, before) {
			return fmt.Sprintf("%s[%d] is %v, want %v: error %.3g, limit %.3g", what, i, got[i], w.want.hi, diff, limit)
		}
	}
	return ""
}

// overflows says that got is the infinity of the sign of want, and that a number within
// some distance of want is rounded to it. Numbers are from half an ulp above the largest T
// on.
func overflows[T Float](got T, want, distance float64) bool {
	top := math.MaxFloat64
	if is32[T]() {
		top = math.MaxFloat32
	}
	beyond := math.Abs(want) - top
	return math.IsInf(float64(got), int(math.Copysign(1, want))) && beyond+distance >= halfUlp[T](top)
}

// both runs a test for each type of data.
func both(t *testing.T, f32, f64 func(t *testing.T)) {
	t.Helper()
	t.Run("f32", f32)
	t.Run("f64", f64)
}

// skipUnderRace skips a test of numbers only under the race detector, which makes it ten
// times slower. The tests of parallel work are the ones for the detector.
func skipUnderRace(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("a test of numbers")
	}
}

// label names one of many cases of a test in its messages. A subtest for each case would
// take longer.
func label(what string, args ...any) string { return what + fmt.Sprintf("%+v", args) }
