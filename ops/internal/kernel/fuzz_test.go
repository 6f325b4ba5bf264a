package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The fuzz targets draw cases from numbers that the fuzzer mutates. They compare every path
// of this processor with the oracle, between guards, and then put a NaN or an infinity into
// the data, which must not spread.

// paths runs f with the Go definitions and with each instruction set.
func paths(f func(path string)) {
	best := isa
	for i := generic; i <= best; i++ {
		restore := useISA(i)
		f(isaNames[i])
		restore()
	}
}

// fuzzed are the choices that a fuzz target takes from the numbers that it gets.
type fuzzed struct {
	r *rand.Rand

	// values says how the data lie: three bits each for the scale and eps, two for the
	// mean, and then one each for an outlier, constant groups, zeros and −0, and an
	// element that is the largest of its type.
	values uint16
}

func newFuzzed(seed uint64, values uint16) *fuzzed {
	return &fuzzed{rand.New(rand.NewPCG(seed, 7)), values}
}

// fuzzSize is from 1 to limit, and one of the small ones as often as not.
func fuzzSize(n uint16, limit int) int {
	if n&1 == 0 {
		limit = min(limit, 40)
	}
	return 1 + int(n>>1)%limit
}

var (
	// fuzzScales has one that makes float32 denormal, and some whose squares leave its
	// range.
	fuzzScales = [8]float64{1, 1e-3, 1e3, 1e-30, 1e30, 1e-20, 1e20, 1e-42}
	fuzzEps    = [8]float64{1e-5, 1e-12, 1e-3, 1, 1e-30, 1e-5, 1e-8, 1e-20}
	fuzzMeans  = [4]float64{0, 1, 100, 1e4}
)

func (f *fuzzed) scale() float64  { return fuzzScales[f.values&7] }
func (f *fuzzed) eps() float64    { return fuzzEps[f.values>>3&7] }
func (f *fuzzed) is(bit int) bool { return f.values>>(8+bit)&1 == 1 }

func drawn[T Float](f *fuzzed) data[T] { return data[T]{f.r} }

// fuzzX draws the data of a view.
func fuzzX[T Float](f *fuzzed, v View) []T {
	x := drawn[T](f).view(v, condition{fuzzMeans[f.values>>6&3], f.scale(), f.is(0)})
	for c := range v.Channels {
		if constant := T(0.1 * f.scale()); f.is(1) && c%3 == 1 {
			for _, i := range indices(v, c) {
				x[i] = constant
			}
		}
	}
	if f.is(2) {
		for i := range x {
			switch f.r.IntN(4) {
			case 0:
				x[i] = 0
			case 1:
				x[i] = T(math.Copysign(0, -1))
			}
		}
	}
	if f.is(3) && is32[T]() {
		x[f.r.IntN(len(x))] = T(float32(math.MaxFloat32))
	}
	return x
}

// poison draws an element to spoil, and the value to do it with: NaN or, unless onlyNaN
// says that only that spoils the whole group, an infinity.
func (f *fuzzed) poison(n int, onlyNaN bool) (i int, bad float64) {
	bad = poisons[f.r.IntN(len(poisons))]
	if onlyNaN {
		bad = math.NaN()
	}
	return f.r.IntN(n), bad
}

// poisoned returns a copy of x with one element spoilt, and the index of that.
func poisoned[T Float](f *fuzzed, x []T, onlyNaN bool) (bad []T, at int) {
	at, v := f.poison(len(x), onlyNaN)
	bad = append([]T(nil), x...)
	bad[at] = T(v)
	return bad, at
}

// requireIsolated requires that the elements that are spoilt are NaN, and that the others
// have the bits that they have in clean.
func requireIsolated[T Float](t *testing.T, what string, clean, got []T, spoilt func(i int) bool) {
	for i := range got {
		if s := spoilt(i); s != (got[i] != got[i]) || !s && bits(got[i]) != bits(clean[i]) {
			t.Helper()
			t.Fatalf("%s[%d] is %v, without the poison %v; spoilt: %v", what, i, got[i], clean[i], s)
		}
	}
}

// addSeeds adds a corpus that has each choice of the values at least once, and each
// kind of size. The factor spreads the choices of the options, and is odd, so that half
// of the seeds have each type.
func addSeeds(f *testing.F) {
	for i := range uint16(24) {
		n := []uint16{0, 2, 14, 30, 62, 66, 131, 257, 515, 1027, 4001, 9001}
		a, b, c := n[i%12], n[(i*5+3)%12], n[(i*7+1)%4]
		f.Add(uint64(i), a, b, c, i&7|i%8<<3|i%4<<6|1<<(i%7)>>1<<8, i*2851)
	}
}

// eachType gives a target both types of data, by a bit of the options.
func eachType(t *testing.T, options uint16, f32, f64 func(t *testing.T, options uint16)) {
	if options&1 == 0 {
		f32(t, options>>1)
		return
	}
	f64(t, options>>1)
}

// fuzzAffine draws γ and β, each of which may be absent.
func fuzzAffine[T Float](f *fuzzed, n int, options uint16) (gamma, beta []T) {
	if options&1 == 0 {
		gamma = drawn[T](f).normal(n, 1, 1)
	}
	if options&2 == 0 {
		beta = drawn[T](f).normal(n, 0, 1)
	}
	return gamma, beta
}
