package kernel

import "math"

// LocalResponse has the parameters of a local response norm: for channel c
//
//	d = K + Alpha/Size·Σx²,  y = x/d^Beta
//
// with the sum over those of the channels c−Size/2 to c+(Size−1)/2 that exist, or, if
// Mirrored is set, of c−(Size−1)/2 to c+Size/2.
type LocalResponse struct {
	Size           int
	Alpha, Beta, K float64
	Mirrored       bool
}

// reach returns how many channels before and after its own a window has.
func (p LocalResponse) reach() (before, after int) {
	if p.Mirrored {
		return (p.Size - 1) / 2, p.Size / 2
	}
	return p.Size / 2, (p.Size - 1) / 2
}

func (p LocalResponse) share() float64 { return p.Alpha / float64(p.Size) }

// powers adds K to the elements of base and sets those of power to base^−Beta, by roots
// and quotients for the usual values of Beta: math.Pow takes several times as long as all
// the rest.
func (p LocalResponse) powers(power, base []float64) {
	switch p.Beta {
	case 0.5:
		halfPowers(power, base, p.K)
	case 0.75:
		threeQuarterPowers(power, base, p.K)
	case 1:
		for i := range base {
			base[i] += p.K
			power[i] = 1 / base[i]
		}
	default:
		for i := range base {
			base[i] += p.K
			power[i] = math.Pow(base[i], -p.Beta)
		}
	}
}

// LocalResponseNormFwd sets y = x/d^β with the d of each element.
func LocalResponseNormFwd[T Float](y, x []T, v View, p LocalResponse) {
	localResponse[T]{out: y, x: x, v: v, p: p}.do()
}

// LocalResponseNormBwd gives the gradient of LocalResponseNormFwd from dy, the
// gradient of its output. An element is in its own d and in those of its neighbours:
//
//	dx = dy·d^−β − 2·αβ/size·x·Σ(dy·x·d^(−β−1))
//
// with the sum over the channels whose windows the element is in: the window turned
// around.
func LocalResponseNormBwd[T Float](dx, x, dy []T, v View, p LocalResponse) {
	localResponse[T]{out: dx, x: x, dy: dy, v: v, p: p}.do()
}

// localResponse is LocalResponseNormFwd, or with dy LocalResponseNormBwd.
type localResponse[T Float] struct {
	out, x, dy []T
	v          View
	p          LocalResponse
}

// windowLen is about how many elements a task has at once in each of its arrays, few
// enough that the caches keep them. At least leastRun of these lie side by side, if a
// channel has as many.
const (
	windowLen = 1 << 15
	leastRun  = 16
)

// width is how many elements of a channel a task takes.
func (a *localResponse[T]) width() int {
	return min(a.v.Inner, max(leastRun, windowLen/a.v.Channels))
}

// do counts the work as that of a loop in Go: with two roots and a division an element
// takes as long.
func (a localResponse[T]) do() {
	split(a.v.Outer*ceilDiv(a.v.Inner, a.width()), workInGo(a.v.Len()), a)
}

func (a *localResponse[T]) run(first, last int) {
	w := a.width()
	s := Borrow[float64](len(window{}.s) * a.v.Channels * w)
	defer s.Release()
	pieces := ceilDiv(a.v.Inner, w)
	for task := first; task < last; task++ {
		at := task % pieces * w
		n := min(w, a.v.Inner-at)
		b := window{
			block: block{
				at: task/pieces*a.v.Channels*a.v.Inner + at, channels: a.v.Channels,
				rows: 1, inner: n, pitch: a.v.Inner,
			},
		}
		for i := range b.s {
			b.s[i] = s.part(i, a.v.Channels*w)[:a.v.Channels*n]
		}
		a.block(b)
	}
}

// window is a run of each channel of one sample, with four arrays of memory for as many
// elements, channel by channel.
type window struct {
	block
	s [4][]float64
}

// strips gives the pieces of a window that lie side by side in the tensors too.
func (b window) strips(yield func(strip) bool) {
	channels, n := b.channels, b.inner
	if b.inner == b.pitch {
		channels, n = 1, b.channels*b.inner
	}
	for c := range channels {
		if !yield(strip{b.at + c*b.pitch, c * n, n}) {
			return
		}
	}
}

// A strip has n elements. It begins at at in the tensors and at own in a window's memory.
type strip struct{ at, own, n int }

func cut[T any](x []T, s strip) []T           { return x[s.at:][:s.n] }
func (s strip) of(memory []float64) []float64 { return memory[s.own:][:s.n] }

func (a *localResponse[T]) block(b window) {
	q, base, power, t := b.s[0], b.s[1], b.s[2], b.s[3]
	before, after := a.p.reach()
	share := a.p.share()
	for s := range b.strips {
		squareTerms(s.of(q), cut(a.x, s), share)
	}
	windowSums(base, q, t, b.inner, before, after)
	a.p.powers(power, base)
	if a.dy == nil {
		for s := range b.strips {
			localScale(cut(a.out, s), cut(a.x, s), s.of(power))
		}
		return
	}
	for s := range b.strips {
		localTerms(s.of(q), cut(a.x, s), cut(a.dy, s), s.of(power), s.of(base))
	}
	sum := base
	windowSums(sum, q, t, b.inner, after, before)
	for s := range b.strips {
		localGrad(cut(a.out, s), cut(a.x, s), cut(a.dy, s), s.of(power), s.of(sum), 2*share*a.p.Beta)
	}
}

// windowSums sets row c of s to the sum of the rows c−before to c+after of q that
// exist. Rows have n elements. q and t are overwritten.
//
// Rows are added up in groups of the length of the window, forward into q and
// backward into t. A window is the end of one group and the beginning of the
// next. So each sum takes the same few additions for any length. Unlike a running
// sum, it has no trace of what is outside of the window: neither the rounding errors
// of large numbers nor a NaN or an infinity.
//
// Gil, Werman, "Computing 2-D min, median, and max filters", IEEE Transactions
// on Pattern Analysis and Machine Intelligence 15 (1993), do the same for maxima.
func windowSums(s, q, t []float64, n, before, after int) {
	rows, length := len(q)/n, before+after+1
	row := func(x []float64, c int) []float64 { return x[c*n:][:n] }
	for c := rows - 1; c >= 0; c-- {
		if c == rows-1 || (c+1)%length == 0 {
			copy(row(t, c), row(q, c))
		} else {
			addTerms(row(t, c), row(q, c), row(t, c+1))
		}
	}
	for c := 1; c < rows; c++ {
		if c%length != 0 {
			addTerms(row(q, c), row(q, c), row(q, c-1))
		}
	}
	for c := range rows {
		from, to := max(0, c-before), min(rows-1, c+after)
		head, tail := row(t, from), row(q, to)
		switch {
		case from%length == 0: // within one group, from its beginning
			copy(row(s, c), tail)
		case from/length == to/length: // to its end, which is that of the rows
			copy(row(s, c), head)
		default:
			addTerms(row(s, c), head, tail)
		}
	}
}
