package kernel

import "math"

// The matrix W of a spectral norm is that of matrix.go. u has an element for each row
// and v for each column, both in float64.

// PowerIteration brings u and v closer to the singular vectors of the largest
// singular value, n times:
//
//	v = unit(Wᵀu),  u = unit(Wv),  unit(x) = x/max(‖x‖, eps)
//
// It returns σ = u·Wv, or false where a product is 0 or not finite, after which u and v
// are of no use.
func PowerIteration[T Float](w []T, view View, u, v []float64, n int, eps float64) (sigma float64, ok bool) {
	for range n {
		timesTransposed(v, w, u, view)
		if _, ok = unit(v, eps); !ok {
			return 0, false
		}
		times(u, w, v, view)
		if sigma, ok = unit(u, eps); !ok {
			return 0, false
		}
	}
	return sigma, true
}

// unit divides x by its norm, or by eps where that is larger. It returns the product of
// the old x and the new one, and false if the norm is 0 or not finite.
func unit(x []float64, eps float64) (product float64, ok bool) {
	norm := Borrow[float64](1)
	defer norm.Release()
	Norms(x, View{1, 1, len(x)}, norm.Data)
	n := norm.Data[0]
	for i := range x {
		x[i] /= max(n, eps)
	}
	return n / max(n, eps) * n, n > 0 && !math.IsInf(n, 1)
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

// SpectralNormBwd gives the gradient of SpectralNormFwd from dy, the gradient of its
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
