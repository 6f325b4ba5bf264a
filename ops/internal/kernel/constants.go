package kernel

// constants are the numbers that a map needs for each channel (see mapLoop): up to five
// arrays, in float64 and rounded to the type of the data. The assembly reads the latter.
type constants[T Float] struct {
	exact   *Scratch[float64]
	rounded *Scratch[T]
	padded  int // length of an array
}

// borrowConstants returns count arrays for the channels; give them back with
// release.
func borrowConstants[T Float](count, channels int) constants[T] {
	n := padded(channels)
	return constants[T]{Borrow[float64](count * n), Borrow[T](count * n), n}
}

// arrays is how many there are.
func (k constants[T]) arrays() int { return len(k.rounded.Data) / k.padded }

// of returns array number i in float64.
func (k constants[T]) of(i int) []float64 { return k.exact.part(i, k.padded) }

// data returns array number i in the type of the data.
func (k constants[T]) data(i int) []T { return k.rounded.part(i, k.padded) }

// round sets the rounded arrays from the exact ones.
func (k constants[T]) round() { store(k.rounded.Data, k.exact.Data) }

func (k constants[T]) release() {
	k.exact.Release()
	k.rounded.Release()
}

// totals are arrays of sums, each with one element for each channel of a view.
type totals struct {
	scratch *Scratch[float64]
	padded  int // length of an array
}

func (t totals) of(i int) []float64 { return t.scratch.part(i, t.padded) }

func (t totals) release() { t.scratch.Release() }

// centre splits mean + residual into m, a number that the type of the data has, and the
// rest.
func centre[T Float](mean, residual float64) (m, rest float64) {
	m = float64(T(mean))
	return m, (mean - m) + residual
}

// normalizeConstants returns the constants of normalizePass besides m, from the rest that
// centre returns with it.
func normalizeConstants(rest, rstd, gamma, beta float64) (scale, shift float64) {
	scale = rstd * gamma
	return scale, beta - rest*scale
}

// normGradConstants returns the last two constants of normGradPass, after m, rstd and γ.
// u and ux are the means of γ·dy and of γ·dy·x̂ over what is normalized together.
func normGradConstants(rest, rstd, u, ux float64) (a, b float64) {
	b = ux * rstd
	return u - rest*b, b
}
