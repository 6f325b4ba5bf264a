package kernel

import "math"

// Lp says by what Normalize divides: the larger of the P-norm and Eps, with P ≥ 1
// or +Inf and Eps > 0.
type Lp struct{ P, Eps float64 }

// NormalizeFwd sets y = x/max(‖x‖, eps), with a norm for each group of elements
// along the axis of the channels of v.
func NormalizeFwd[T Float](y, x []T, v View, p Lp) {
	lpNormalize[T]{out: y, x: x, p: p}.over(v)
}

// NormalizeBwd gives the gradient of NormalizeFwd from dy, the gradient of its output.
// With n = ‖x‖,
//
//	dx = dy/n − Σ(dy·x)/n²·∂n/∂x,  ∂n/∂x = sign(x)·(|x|/n)^(p−1)   where n ≥ eps
//	dx = dy/eps                                                   where n < eps
//
// At x = 0 the derivative of |x| is taken for 0. Where p is +Inf and several elements have
// the largest |x|, they have equal shares of the derivative.
func NormalizeBwd[T Float](dx, x, dy []T, v View, p Lp) {
	lpNormalize[T]{out: dx, x: x, dy: dy, p: p}.over(v)
}

// lpNormalize is NormalizeFwd, or with dy NormalizeBwd. x is a number of slices, each a
// view whose channels are the groups.
type lpNormalize[T Float] struct {
	out, x, dy []T
	slices     int
	view       View // of a slice
	p          Lp
}

// over turns the view around. Tasks share the slices, unless each slice is enough work to
// be shared by itself.
func (a lpNormalize[T]) over(v View) {
	a.slices, a.view = v.Outer, View{v.Channels, v.Inner, 1} // columns
	if v.Inner == 1 {
		a.slices, a.view = 1, View{1, v.Outer, v.Channels} // runs
	}
	if !sharesMap(a.work(a.view.Len())) {
		split(ceilDiv(a.slices, a.slicesOfTask()), a.work(v.Len()), a)
		return
	}
	for i := range a.slices {
		a.slice(i)
	}
}

// work is the work on n elements.
func (a *lpNormalize[T]) work(n int) int {
	if a.p.P != 2 {
		return workInGo(n)
	}
	return passWork(n, a.dy)
}

func (a *lpNormalize[T]) slicesOfTask() int { return ceilDiv(taskLen, a.view.Len()) }

func (a *lpNormalize[T]) run(first, last int) {
	n := a.slicesOfTask()
	for i := first * n; i < min(last*n, a.slices); i++ {
		a.slice(i)
	}
}

func (a *lpNormalize[T]) slice(i int) {
	from, to := i*a.view.Len(), (i+1)*a.view.Len()
	out, x, dy := a.out[from:to], a.x[from:to], []T(nil)
	if a.dy != nil {
		dy = a.dy[from:to]
	}
	if a.p.P == 2 {
		weightNorm[T]{out: out, v: x, dw: dy, least: a.p.Eps, view: a.view}.do()
		return
	}
	g := a.view.bandGrid()
	split(g.tasks(), a.work(a.view.Len()), lpTasks[T]{out, x, dy, g, a.p})
}

// lpTasks normalizes by a norm other than the Euclidean one, in float64.
type lpTasks[T Float] struct {
	out, x, dy []T
	g          grid
	p          Lp
}

func (t *lpTasks[T]) run(first, last int) {
	for task := first; task < last; task++ {
		b := t.g.block(task)
		b.channel = 0 // of what is borrowed
		s := Borrow[float64](4 * b.channels)
		clear(s.Data)
		of := &lpSums{s.part(0, b.channels), s.part(1, b.channels), s.part(2, b.channels), s.part(3, b.channels)}
		t.tops(b, of)
		t.sums(b, of)
		t.roots(of)
		t.write(b, of)
		s.Release()
	}
}

// lpSums has for each channel top = max|x|, the norm of x/top, none of whose powers
// overflows, Σ dy·x/top, and how many |x| are top.
type lpSums struct{ top, norm, along, ties []float64 }

// tops sets top.
func (t *lpTasks[T]) tops(b block, s *lpSums) {
	top := s.top
	for l := range b.lines {
		x := t.x[l.at:][:l.n]
		if l.step == 0 {
			top[l.channel] = largest(x, top[l.channel])
			continue
		}
		for i, v := range x {
			c := l.channel + i
			top[c] = max(top[c], math.Abs(float64(v)))
		}
	}
}

// sums adds up dy·x/top and, in norm, powers of |x|/top, and counts ties.
func (t *lpTasks[T]) sums(b block, s *lpSums) {
	top, norm, along, ties := s.top, s.norm, s.along, s.ties
	for l := range b.lines {
		x := t.x[l.at:][:l.n]
		if l.step == 0 {
			c := l.channel
			norm[c] = addPowers(norm[c], x, top[c], t.p)
			if t.dy != nil {
				along[c], ties[c] = addAlong(along[c], ties[c], x, t.dy[l.at:][:l.n], top[c])
			}
			continue
		}
		for i, v := range x {
			c := l.channel + i
			r := ratio(float64(v), top[c])
			norm[c] += t.p.power(math.Abs(r))
			if r == 1 || r == -1 {
				ties[c]++
			}
		}
		if t.dy == nil {
			continue
		}
		for i, d := range t.dy[l.at:][:l.n] {
			c := l.channel + i
			along[c] += float64(d) * ratio(float64(x[i]), top[c])
		}
	}
}

// roots makes norms of the sums of powers.
func (t *lpTasks[T]) roots(s *lpSums) {
	for c, sum := range s.norm {
		if math.IsInf(t.p.P, 1) || math.IsInf(s.top[c], 1) {
			s.norm[c] = 1
		} else if t.p.P != 1 {
			s.norm[c] = math.Pow(sum, 1/t.p.P)
		}
	}
}

// write sets the result.
func (t *lpTasks[T]) write(b block, s *lpSums) {
	top, norm, along, ties := s.top, s.norm, s.along, s.ties
	for l := range b.lines {
		x, out := t.x[l.at:][:l.n], t.out[l.at:][:l.n]
		if l.step == 0 && t.dy == nil {
			divide(out, x, top[l.channel], norm[l.channel], t.p.Eps)
			continue
		}
		for i, v := range x {
			c := l.channel + i*l.step
			r, below := ratio(float64(v), top[c]), top[c]*norm[c] < t.p.Eps
			switch {
			case t.dy == nil && below:
				out[i] = T(float64(v) / t.p.Eps)
			case t.dy == nil:
				out[i] = T(r / norm[c])
			case below:
				out[i] = T(float64(t.dy[l.at+i]) / t.p.Eps)
			default:
				slope := t.p.slope(r, norm[c], ties[c])
				out[i] = T((float64(t.dy[l.at+i]) - slope*along[c]/norm[c]) / norm[c] / top[c])
			}
		}
	}
}

// The next four are loops over a run of one channel, whose numbers stay in
// registers.

// largest returns the larger of top and max|x|, or NaN if any of them is.
func largest[T Float](x []T, top float64) float64 {
	for _, v := range x {
		if a := math.Abs(float64(v)); a > top || a != a {
			top = a
		}
	}
	return top
}

// addPowers adds the powers of |x|/top. Where p is +Inf they are not used, and it adds none.
func addPowers[T Float](sum float64, x []T, top float64, p Lp) float64 {
	if top == 0 || math.IsInf(p.P, 1) {
		return sum
	}
	if p.P == 1 {
		for _, v := range x {
			sum += math.Abs(float64(v)) / top
		}
		return sum
	}
	for _, v := range x {
		sum += p.power(math.Abs(float64(v)) / top)
	}
	return sum
}

// addAlong adds Σ dy·x/top, and how many |x| are top.
func addAlong[T Float](sum, ties float64, x, dy []T, top float64) (float64, float64) {
	for i, v := range x {
		r := ratio(float64(v), top)
		sum += float64(dy[i]) * r
		if r == 1 || r == -1 {
			ties++
		}
	}
	return sum, ties
}

// divide sets y = x/max(norm·top, eps).
func divide[T Float](y, x []T, top, norm, eps float64) {
	if top*norm < eps {
		for i, v := range x {
			y[i] = T(float64(v) / eps)
		}
		return
	}
	for i, v := range x {
		y[i] = T(ratio(float64(v), top) / norm)
	}
}

// ratio is x/top, or 0 where top is 0.
func ratio(x, top float64) float64 {
	if top == 0 {
		return 0
	}
	return x / top
}

// power returns r^p, r ≥ 0. What it returns where p is +Inf is not used.
func (p Lp) power(r float64) float64 {
	switch p.P {
	case 1:
		return r
	case 3:
		return r * r * r
	case 4:
		return (r * r) * (r * r)
	}
	if math.IsInf(p.P, 1) {
		return r
	}
	return math.Pow(r, p.P)
}

// slope returns ∂n/∂x at x = r·top, where n = norm·top and ties is how many |x| are top.
func (p Lp) slope(r, norm, ties float64) float64 {
	switch {
	case r == 0:
		return 0
	case p.P == 1:
		return math.Copysign(1, r)
	case math.IsInf(p.P, 1) && math.Abs(r) < 1:
		return 0
	case math.IsInf(p.P, 1):
		return math.Copysign(1/ties, r)
	}
	q := math.Abs(r) / norm
	switch p.P {
	case 3:
		q *= q
	case 4:
		q *= q * q
	default:
		q = math.Pow(q, p.P-1)
	}
	return math.Copysign(q, r)
}
