package kernel

import "math"

// The matrix W of a spectral norm has a row for each channel of a view, and the
// elements of a channel, in their order, in its columns. u has an element for
// each row and v for each column, both in float64.

// PowerIteration brings u and v closer to the singular vectors of the largest
// singular value, n times:
//
//	v = unit(Wᵀu),  u = unit(Wv),  unit(x) = x/max(‖x‖, eps)
//
// It returns false where a product is 0 or not finite, and u and v are of no use
// any more.
func PowerIteration[T Float](w []T, view View, u, v []float64, n int, eps float64) bool {
	for range n {
		timesTransposed(v, w, u, view)
		if !unit(v, eps) {
			return false
		}
		times(u, w, v, view)
		if !unit(u, eps) {
			return false
		}
	}
	return true
}

// unit divides x by its norm, or by eps where that is larger.
func unit(x []float64, eps float64) bool {
	norm := Borrow[float64](1)
	defer norm.Release()
	Norms(x, View{1, 1, len(x)}, norm.Data)
	n := norm.Data[0]
	for i := range x {
		x[i] /= max(n, eps)
	}
	return n > 0 && !math.IsInf(n, 1)
}

// Sigma returns u·Wv.
func Sigma[T Float](w []T, view View, u, v []float64) float64 {
	wv := Borrow[float64](view.Channels)
	defer wv.Release()
	times(wv.Data, w, v, view)
	return dotGo(u, wv.Data)
}

// SpectralNormFwd sets y = w/σ, and 0 where σ is 0.
func SpectralNormFwd[T Float](y, w []T, sigma float64) {
	k := borrowConstants[T](2, 1)
	defer k.release()
	k.of(0)[0], k.of(1)[0] = inverse(sigma), 0
	k.round()
	mapPass[T]{loop: scaledPass, out: y, x: w, k: k}.over(View{1, 1, len(w)})
}

// inverse is 1/σ, or 0 where σ is 0 or so small that 1/σ overflows.
func inverse(sigma float64) float64 {
	if math.Abs(sigma) < smallestNorm {
		return 0
	}
	return 1 / sigma
}

// SpectralNormBwd gives the gradient of SpectralNormFwd from dy, that of its
// output, where u and v are constants and σ = u·Wv:
//
//	dw = (dy − Σ(dy·w)/σ·u·vᵀ)/σ
//
// and 0 where σ is 0.
func SpectralNormBwd[T Float](dw, w, dy []T, view View, u, v []float64, sigma float64) {
	k := inverse(sigma)
	outerSum[T]{out: dw, x: dy, scale: k, along: -dot(w, dy) * k * k, u: u, v: v}.over(view)
}

// SpectralNormSecond gives the gradients of s = ⟨up, dw⟩ for the dw of
// SpectralNormBwd,
//
//	s = ⟨up, dy⟩/σ − ⟨dy, w⟩·⟨up, uvᵀ⟩/σ²
//	∂s/∂dy = (up − ⟨up, uvᵀ⟩/σ·w)/σ
//	∂s/∂w = −(⟨up, uvᵀ⟩/σ·dy + (⟨up, dy⟩ − 2·⟨dy, w⟩·⟨up, uvᵀ⟩/σ)/σ·u·vᵀ)/σ
func SpectralNormSecond[T Float](sw, sdy, w, dy, up []T, view View, u, v []float64, sigma float64) {
	k := inverse(sigma)
	p := Sigma(up, view, u, v) * k
	outerSum[T]{out: sdy, x: up, scale: k, y: w, byY: -p * k, u: u, v: v}.over(view)
	outerSum[T]{out: sw, x: dy, scale: -p * k, along: -(dot(up, dy) - 2*dot(dy, w)*p) * k * k, u: u, v: v}.over(view)
}

// dot returns Σ a·b.
func dot[T Float](a, b []T) float64 {
	s := sumPass[T]{loop: dotsPass, x: a, dy: b}.over(View{1, 1, len(a)})
	defer s.release()
	return s.of(1)[0]
}

// outerSum sets out = scale·x + byY·y + along·u·vᵀ. y may be nil.
type outerSum[T Float] struct {
	out, x, y         []T
	scale, byY, along float64
	u, v              []float64
	view              View
}

func (a outerSum[T]) over(view View) {
	a.view = view
	if view.Inner == 1 {
		a.view, a.u, a.v = view.turned(), a.v, a.u
	}
	if a.y == nil {
		a.y = a.x
	}
	split(ceilDiv(a.runs(), a.runsOfTask()), len(a.out), a)
}

func (a *outerSum[T]) runs() int       { return a.view.Outer * a.view.Channels }
func (a *outerSum[T]) runsOfTask() int { return ceilDiv(taskLen, a.view.Inner) }

func (a *outerSum[T]) run(first, last int) {
	n := a.view.Inner
	for r := first * a.runsOfTask(); r < min(last*a.runsOfTask(), a.runs()); r++ {
		along, v := a.along*a.u[r%a.view.Channels], a.v[r/a.view.Channels*n:][:n]
		out, y := a.out[r*n:][:n], a.y[r*n:][:n]
		for i, x := range a.x[r*n:][:n] {
			out[i] = T(float64(x)*a.scale + float64(y[i])*a.byY + along*v[i])
		}
	}
}

// turned sees a view without inner elements as the transpose of its matrix, which
// has runs of them.
func (v View) turned() View { return View{1, v.Outer, v.Channels} }

// times sets out = W·x.
func times[T Float](out []float64, w []T, x []float64, v View) {
	if v.Inner == 1 && v.Channels > 1 {
		timesTransposed(out, w, x, v.turned())
		return
	}
	p := product[T]{out, w, x, v}
	split(ceilDiv(v.Channels, p.channelsOfTask()), v.Len(), rowProducts[T](p))
}

// timesTransposed sets out = Wᵀ·x.
func timesTransposed[T Float](out []float64, w []T, x []float64, v View) {
	if v.Inner == 1 && v.Channels > 1 {
		times(out, w, x, v.turned())
		return
	}
	p := product[T]{out, w, x, v}
	split(v.Outer*p.pieces(), v.Len(), columnProducts[T](p))
}

type product[T Float] struct {
	out []float64
	w   []T
	x   []float64
	v   View
}

func (p product[T]) channelsOfTask() int { return ceilDiv(taskLen, p.v.Count()) }

// pieces is into how many a run is cut, for sums that the cache keeps from row to
// row.
func (p product[T]) pieces() int { return ceilDiv(p.v.Inner, bandLen) }

type rowProducts[T Float] product[T]

func (p *rowProducts[T]) run(first, last int) {
	n, few := p.v.Inner, product[T](*p).channelsOfTask()
	for c := first * few; c < min(last*few, p.v.Channels); c++ {
		var s float64
		for o := range p.v.Outer {
			s += mixedDot(p.w[(o*p.v.Channels+c)*n:][:n], p.x[o*n:][:n])
		}
		p.out[c] = s
	}
}

type columnProducts[T Float] product[T]

func (p *columnProducts[T]) run(first, last int) {
	pieces := product[T](*p).pieces()
	for task := first; task < last; task++ {
		o, at := task/pieces, task%pieces*bandLen
		n := min(bandLen, p.v.Inner-at)
		out := p.out[o*p.v.Inner+at:][:n]
		clear(out)
		for c := range p.v.Channels {
			x := p.x[c]
			for i, w := range p.w[(o*p.v.Channels+c)*p.v.Inner+at:][:n] {
				out[i] += float64(w) * x
			}
		}
	}
}

// mixedDot returns Σ a·b.
func mixedDot[T Float](a []T, b []float64) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	for ; len(a) >= 4 && len(b) >= 4; a, b = a[4:], b[4:] {
		s0 += float64(a[0]) * b[0]
		s1 += float64(a[1]) * b[1]
		s2 += float64(a[2]) * b[2]
		s3 += float64(a[3]) * b[3]
	}
	for i, v := range a {
		s0 += float64(v) * b[i]
	}
	return (s0 + s1) + (s2 + s3)
}
