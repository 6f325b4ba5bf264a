package kernel

import "math"

// Norms sets norm[c] = √Σv² over the elements of channel c, and 0 where that is
// below the normal range of float64.
func Norms[T Float](v []T, view View, norm []float64) {
	q := sumPass[T]{loop: squaresPass, x: v}.over(view)
	defer q.release()
	copy(norm, q.of(0))
	rootOfSquares(norm, v, view, 0)
}

// rootOfSquares replaces sums of squares by norms, for the channels from first on.
func rootOfSquares[T Float](norm []float64, v []T, view View, first int) {
	n := float64(view.Count())
	for i, q := range norm {
		if inRange[T](n, q) {
			norm[i] = math.Sqrt(q)
		} else if norm[i] = scaledNorm(v, view, first+i); norm[i] < smallestNorm {
			norm[i] = 0
		}
	}
}

// smallestNorm is the smallest norm that is divided by: below it 1/‖v‖ may overflow.
const smallestNorm = 0x1p-1022

// scaledNorm is the norm of channel c by way of v/max|v|, for values whose
// squares leave the range.
func scaledNorm[T Float](v []T, view View, c int) float64 {
	var top float64
	each := func(f func(x float64)) {
		for o := range view.Outer {
			at := (o*view.Channels + c) * view.Inner
			for _, x := range v[at : at+view.Inner] {
				f(float64(x))
			}
		}
	}
	each(func(x float64) { top = max(top, math.Abs(x)) })
	if top == 0 || top-top != 0 { // NaN or an infinity
		return top
	}
	var s float64
	each(func(x float64) { s += (x / top) * (x / top) })
	return top * math.Sqrt(s)
}

// WeightScales sets scale[c] = g[c]/‖v‖ for each channel of v, and 0 where the
// norm is 0.
func WeightScales[T Float](scale []float64, v, g []T, view View) {
	Norms(v, view, scale)
	ScalesOfNorms(scale, g, scale)
}

// ScalesOfNorms is WeightScales where the norms are known. scale may be norm.
func ScalesOfNorms[T Float](scale []float64, g []T, norm []float64) {
	for c, n := range norm {
		scale[c] = n
		if n != 0 {
			scale[c] = float64(g[c]) / n
		}
	}
}

// WeightNormFwd sets w = g·v/‖v‖, and 0 where ‖v‖ is 0, with a norm and a g for
// each channel.
func WeightNormFwd[T Float](w, v, g []T, view View) {
	weightNorm[T]{out: w, v: v, g: g, view: view}.do()
}

// WeightNormBwd gives the gradients of w = g·v/‖v‖ from dw. With ‖v‖ > 0 and
// v̂ = v/‖v‖,
//
//	dg = Σ dw·v̂,  dv = g/‖v‖·(dw − v̂·dg)
//
// and 0 for both where ‖v‖ is 0. dv may be dw.
func WeightNormBwd[T Float](dv, dg, v, g, dw []T, view View) {
	weightNorm[T]{out: dv, v: v, dw: dw, g: g, dg: dg, view: view}.do()
}

// weightNorm is WeightNormFwd, or with dw WeightNormBwd: sums for each channel, constants
// made of them, and a map.
type weightNorm[T Float] struct {
	out, v, dw    []T     // dw is nil in the forward pass
	g, dg         []T     // nil: g is 1
	least         float64 // stands for a ‖v‖ that is smaller
	view          View
	k             constants[T] // scale and shift; for the gradient scale, b, its low digits and a bound of |v·b|
	squares, dots []float64
}

// loops are those of the sums and of the map.
func (w *weightNorm[T]) loops() (sumLoop, mapLoop) {
	if w.dw == nil {
		return squaresPass, scaledPass
	}
	return dotsPass, scaleGradPass
}

func (w weightNorm[T]) do() {
	count := 2
	if w.dw != nil {
		count = 4
	}
	w.k = borrowConstants[T](count, w.view.Channels)
	defer w.k.release()
	if w.dw != nil && is32[T]() && w.view.Count() <= fewValues {
		w.ofFew()
		return
	}
	sum, mapped := w.loops()
	if g, ok := w.view.wholeGrid(); ok {
		defer w.borrowSums().release()
		g = g.finer()
		split(g.tasks(), passWork(len(w.v), w.dw), weightNormTasks[T]{w, g, streams(mapped, w.out, w.view)})
		return
	}
	s := sumPass[T]{loop: sum, x: w.v, dy: w.dw}.over(w.view)
	defer s.release()
	w.squares, w.dots = s.of(0), s.of(sum.results()-1)
	w.constants(0, w.view.Channels)
	mapPass[T]{loop: mapped, out: w.out, x: w.v, dy: w.dw, k: w.k}.over(w.view)
}

// borrowSums sets squares and dots to zeros, for tasks that add those of whole channels.
func (w *weightNorm[T]) borrowSums() totals {
	s := totals{Borrow[float64](2 * w.k.padded), w.k.padded}
	clear(s.scratch.Data)
	w.squares, w.dots = s.of(0), s.of(1)
	return s
}

// fewValues is how many values a channel may have for the gradient to be computed by the
// definitions, in float64. dv is made of the part of dw across v: of a few values that is
// often only a little of dw, and of one value nothing.
const fewValues = 4

// ofFew is the gradient for few values of a channel.
func (w weightNorm[T]) ofFew() {
	defer w.borrowSums().release()
	g := w.view.bandGrid()
	split(g.tasks(), workInGo(w.view.Len()), gradOfFewTasks[T]{w, g})
}

// gradOfFewTasks does some channels at a time.
type gradOfFewTasks[T Float] struct {
	w weightNorm[T]
	g grid
}

func (t *gradOfFewTasks[T]) run(first, last int) {
	w := &t.w
	for task := first; task < last; task++ {
		b := t.g.block(task)
		if b.columns() || b.rows > 1 {
			dotsGo(w.squares, w.dots, w.v, w.dw, b)
			w.constants(b.channel, b.channel+b.channels)
			scaleGradGo(w.out, w.v, w.dw, w.k, b)
			continue
		}
		// The same, without the calls for each run, which would take most of the time.
		n := b.inner
		v, dw, out := w.v[b.at:][:b.channels*n], w.dw[b.at:][:b.channels*n], w.out[b.at:][:b.channels*n]
		for i, x := range v {
			c, x := b.channel+i/n, float64(x)
			w.squares[c] += x * x
			w.dots[c] += x * float64(dw[i])
		}
		w.constants(b.channel, b.channel+b.channels)
		scale, along := w.k.of(0)[b.channel:], w.k.of(1)[b.channel:]
		for i, x := range v {
			out[i] = T((float64(dw[i]) - float64(x)*along[i/n]) * scale[i/n])
		}
	}
}

// constants makes the constants of the channels [first, last).
func (w *weightNorm[T]) constants(first, last int) {
	norm := w.squares[first:last]
	rootOfSquares(norm, w.v, w.view, first)
	if w.dw == nil {
		clear(w.k.of(1)[first:last])
	} else {
		w.gradConstants(norm, first, last)
	}
	for i, n := range norm {
		norm[i] = max(n, w.least)
	}
	ScalesOfNorms(w.k.of(0)[first:last], ones(w.g, w.view.Channels)[first:last], norm)
	for i := range w.k.arrays() {
		store(w.k.data(i)[first:last], w.k.of(i)[first:last])
	}
}

// gradConstants makes those that the gradient alone has, and dg.
func (w *weightNorm[T]) gradConstants(norm []float64, first, last int) {
	b, low, bound := w.k.of(1)[first:last], w.k.of(2)[first:last], w.k.of(3)[first:last]
	for i, n := range norm {
		along := 0.0 // Σ dw·v̂
		b[i] = 0
		if n != 0 && !(n < w.least) {
			along = w.dots[first+i] / n
			b[i] = along / n
		}
		low[i] = b[i] - float64(T(b[i]))
		bound[i] = along // as |v| ≤ ‖v‖
		if w.dg != nil {
			w.dg[first+i] = T(along)
		}
	}
}

// weightNormTasks does a few channels at a time, so that the cache keeps them from the
// sums to the map. Each channel lies in one run.
type weightNormTasks[T Float] struct {
	w      weightNorm[T]
	g      grid
	stream bool
}

func (t *weightNormTasks[T]) run(first, last int) {
	_, mapped := t.w.loops()
	write := mapPass[T]{loop: mapped, out: t.w.out, x: t.w.v, dy: t.w.dw, k: t.w.k, stream: t.stream}
	for task := first; task < last; task++ {
		for b := range t.g.block(task).pieces(pieceLen(t.stream)) {
			if t.w.dw != nil {
				dots(t.w.squares, t.w.dots, t.w.v, t.w.dw, b)
			} else {
				squares(t.w.squares, t.w.v, b)
			}
			t.w.constants(b.channel, b.channel+b.channels)
			write.block(b)
		}
	}
}
