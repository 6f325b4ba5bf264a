package kernel

import "math"

// NormalizeSecond gives the second derivative of Normalize: the gradients of
// s = ⟨u, dx⟩ by x and dy, where dx is the result of NormalizeBwd. With n = ‖x‖,
// x̂ = x/n, q = ∂n/∂x, d = ⟨dy, x̂⟩ and h = ⟨u, q⟩,
//
//	s     = (⟨u, dy⟩ − d·h)/n
//	∂s/∂dy = (u − x̂·h)/n
//	∂s/∂x  = ((2·d·h − ⟨u, dy⟩)·q − dy·h − d·(p−1)·(u·|x̂|^(p−2) − q·h))/n²
//
// and where n < eps, ∂s/∂dy = u/eps and ∂s/∂x = 0. For p = 1 and p = +Inf q is constant;
// at x = 0 and p < 2 it has no derivative, and 0 is taken.
func NormalizeSecond[T Float](sx, sdy, x, dy, u []T, v View, p Lp) {
	split(v.mapGrid().tasks(), workInGo(v.Len()), lpSecond[T]{sx, sdy, x, dy, u, v, p})
}

type lpSecond[T Float] struct {
	sx, sdy, x, dy, u []T
	v                 View
	p                 Lp
}

func (a *lpSecond[T]) run(first, last int) {
	for at := range a.v.places(first, last) {
		a.group(at)
	}
}

// group does the elements that share a norm. at is the first.
func (a *lpSecond[T]) group(at int) {
	end, step := at+a.v.Channels*a.v.Inner, a.v.Inner
	var top, norm, ties float64
	for i := at; i < end; i += step {
		top = max(top, math.Abs(float64(a.x[i])))
	}
	for i := at; i < end; i += step {
		r := math.Abs(ratio(float64(a.x[i]), top))
		norm += a.p.power(r)
		if r == 1 {
			ties++
		}
	}
	if math.IsInf(a.p.P, 1) {
		norm = 1
	} else {
		norm = math.Pow(norm, 1/a.p.P)
	}
	n := top * norm
	if n < a.p.Eps {
		for i := at; i < end; i += step {
			a.sx[i], a.sdy[i] = 0, T(float64(a.u[i])/a.p.Eps)
		}
		return
	}
	var d, h, both float64
	for i := at; i < end; i += step {
		r, u, dy := ratio(float64(a.x[i]), top), float64(a.u[i]), float64(a.dy[i])
		d, h, both = d+dy*r/norm, h+u*a.p.slope(r, norm, ties), both+u*dy
	}
	for i := at; i < end; i += step {
		r, u, dy := ratio(float64(a.x[i]), top), float64(a.u[i]), float64(a.dy[i])
		q := a.p.slope(r, norm, ties)
		s := (2*d*h-both)*q - dy*h
		if bend := a.p.bend(math.Abs(r) / norm); bend != 0 {
			s -= d * (u*bend - (a.p.P-1)*q*h)
		}
		a.sx[i], a.sdy[i] = T(s/n/n), T((u-r/norm*h)/n)
	}
}

// bend returns (p−1)·|x̂|^(p−2), or 0 where that is not defined.
func (p Lp) bend(x float64) float64 {
	switch {
	case p.P == 2:
		return 1
	case p.P == 1 || math.IsInf(p.P, 1) || x == 0:
		return 0
	}
	return (p.P - 1) * math.Pow(x, p.P-2)
}
