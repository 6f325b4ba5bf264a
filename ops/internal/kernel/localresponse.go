package kernel

import "math"

// LocalResponse is the denominator of a local response norm: for channel c
//
//	d = K + Alpha/Size·Σx²,  y = x/d^Beta
//
// over the channels c−Size/2 to c+(Size−1)/2 that exist, or where Mirrored is set
// c−(Size−1)/2 to c+Size/2.
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

// powers sets each element of d to base^−Beta, by roots where that is what Beta
// says: math.Pow takes several times as long as all the rest.
func (p LocalResponse) powers(d, base []float64) {
	base = base[:len(d)]
	switch p.Beta {
	case 0.5:
		for i, b := range base {
			d[i] = 1 / math.Sqrt(b)
		}
	case 0.75:
		for i, b := range base {
			r := math.Sqrt(b)
			d[i] = 1 / (r * math.Sqrt(r))
		}
	case 1:
		for i, b := range base {
			d[i] = 1 / b
		}
	default:
		for i, b := range base {
			d[i] = math.Pow(b, -p.Beta)
		}
	}
}

// LocalResponseNormFwd sets y = x/d^β with the d of each element.
func LocalResponseNormFwd[T Float](y, x []T, v View, p LocalResponse) {
	localResponse[T]{out: y, x: x, v: v, p: p}.do()
}

// LocalResponseNormBwd gives the gradient of LocalResponseNormFwd from dy, that
// of its output. An element is in its own d and in those of its neighbours:
//
//	dx = dy·d^−β − 2·αβ/size·x·Σ(dy·x·d^(−β−1))
//
// over the channels whose windows the element is in, which is the window turned
// around.
func LocalResponseNormBwd[T Float](dx, x, dy []T, v View, p LocalResponse) {
	localResponse[T]{out: dx, x: x, dy: dy, v: v, p: p}.do()
}

// localResponse is one of the two: without dy it goes forward.
type localResponse[T Float] struct {
	out, x, dy []T
	v          View
	p          LocalResponse
}

// windowLen is about how many elements a task has at once in each of its arrays,
// so that L1 and L2 keep them, and leastRun how many of them lie side by side at
// least, as far as there are.
const (
	windowLen = 1 << 12
	leastRun  = 16
)

// width is how many elements of a channel go together.
func (a *localResponse[T]) width() int {
	return min(a.v.Inner, max(leastRun, windowLen/a.v.Channels))
}

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

// window is a run of each channel of one sample, with memory for as many
// elements, channel by channel.
type window struct {
	block
	s [5][]float64
}

// row returns the elements of channel c.
func row[T any](x []T, b block, c int) []T { return x[b.at+c*b.pitch:][:b.inner] }

func (a *localResponse[T]) block(b window) {
	q, base, power, t, sum := b.s[0], b.s[1], b.s[2], b.s[3], b.s[4]
	before, after := a.p.reach()
	n := b.inner
	for c := range b.channels {
		q := q[c*n:][:n]
		for i, v := range row(a.x, b.block, c) {
			q[i] = float64(v) * float64(v)
		}
	}
	windowSums(base, q, t, n, before, after)
	share := a.p.share()
	for i, s := range base {
		base[i] = a.p.K + share*s
	}
	a.p.powers(power, base)
	if a.dy == nil {
		for c := range b.channels {
			power, y := power[c*n:][:n], row(a.out, b.block, c)
			for i, v := range row(a.x, b.block, c) {
				y[i] = T(float64(v) * power[i])
			}
		}
		return
	}
	// q becomes the terms of the sums.
	for c := range b.channels {
		power, base, q, dy := power[c*n:][:n], base[c*n:][:n], q[c*n:][:n], row(a.dy, b.block, c)
		for i, v := range row(a.x, b.block, c) {
			q[i] = float64(dy[i]) * float64(v) * power[i] / base[i]
		}
	}
	windowSums(sum, q, t, n, after, before)
	factor := 2 * share * a.p.Beta
	for c := range b.channels {
		power, sum := power[c*n:][:n], sum[c*n:][:n]
		dy, dx := row(a.dy, b.block, c), row(a.out, b.block, c)
		for i, v := range row(a.x, b.block, c) {
			dx[i] = T(float64(dy[i])*power[i] - factor*float64(v)*sum[i])
		}
	}
}

// windowSums sets row c of s to the sum of the rows c−before to c+after of q that
// exist. Rows have n elements. q and t are overwritten.
//
// Rows are added up in groups of the length of the window, forward into q and
// backward into t. A window is the end of one group and the beginning of the
// next. So each sum takes the same few additions for any length, and, other than
// a running sum, none of what is outside of the window: what is large there
// leaves no rounding error, and what is not finite nothing at all.
//
// Gil, Werman, "Computing 2-D min, median, and max filters", IEEE Transactions
// on Pattern Analysis and Machine Intelligence 15 (1993), have it for maxima.
func windowSums(s, q, t []float64, n, before, after int) {
	rows, length := len(q)/n, before+after+1
	copy(t, q)
	for c := rows - 2; c >= 0; c-- {
		if (c+1)%length != 0 {
			Accumulate(t[c*n:][:n], t[(c+1)*n:][:n])
		}
	}
	for c := 1; c < rows; c++ {
		if c%length != 0 {
			Accumulate(q[c*n:][:n], q[(c-1)*n:][:n])
		}
	}
	for c := range rows {
		from, to := max(0, c-before), min(rows-1, c+after)
		s, head, tail := s[c*n:][:n], t[from*n:][:n], q[to*n:][:n]
		switch {
		case from%length == 0: // within one group, from its beginning
			copy(s, tail)
		case from/length == to/length: // to its end, which is that of the rows
			copy(s, head)
		default:
			copy(s, head)
			Accumulate(s, tail)
		}
	}
}
