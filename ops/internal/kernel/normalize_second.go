package kernel

import "math"

// NormalizeSecond gives the second derivative of Normalize, that is the gradients
// of s = ⟨u, dx⟩ by x and dy, dx being what NormalizeBwd gives. With n = ‖x‖,
// x̂ = x/n, q = ∂n/∂x, d = ⟨dy, x̂⟩ and h = ⟨u, q⟩,
//
//	s     = (⟨u, dy⟩ − d·h)/n
//	∂s/∂dy = (u − x̂·h)/n
//	∂s/∂x  = ((2·d·h − ⟨u, dy⟩)·q − dy·h − d·(p−1)·(u·|x̂|^(p−2) − q·h))/n²
//
// and where n < eps, u/eps and 0. For p = 1 and p = +Inf q is constant; at x = 0 and
// p < 2 it has no derivative, and 0 is taken.
func NormalizeSecond[T Float](sx, sdy, x, dy, u []T, v View, p Lp) {
	split(v.mapGrid().tasks(), v.Len(), lpSecond[T]{sx, sdy, x, dy, u, v, p})
}

type lpSecond[T Float] struct {
	sx, sdy, x, dy, u []T
	v                 View
	p                 Lp
}

func (a *lpSecond[T]) run(first, last int) {
	groups, tasks := a.v.Outer*a.v.Inner, a.v.mapGrid().tasks()
	for i := first * groups / tasks; i < last*groups/tasks; i++ {
		a.group(i/a.v.Inner*a.v.Channels*a.v.Inner + i%a.v.Inner)
	}
}

// group does the elements of one norm, from at on.
func (a *lpSecond[T]) group(at int) {
	end, step := at+a.v.Channels*a.v.Inner, a.v.Inner
	t := lpTasks[T]{p: a.p}
	var top, norm, ties float64
	for i := at; i < end; i += step {
		top = max(top, math.Abs(float64(a.x[i])))
	}
	for i := at; i < end; i += step {
		r := math.Abs(ratio(float64(a.x[i]), top))
		norm += t.power(r)
		if r == 1 {
			ties++
		}
	}
	if math.IsInf(a.p.P, 1) || math.IsInf(top, 1) {
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
		d, h, both = d+dy*r/norm, h+u*t.slope(r, norm, ties), both+u*dy
	}
	for i := at; i < end; i += step {
		r, u, dy := ratio(float64(a.x[i]), top), float64(a.u[i]), float64(a.dy[i])
		q := t.slope(r, norm, ties)
		s := (2*d*h-both)*q - dy*h
		if bend := a.p.bend(math.Abs(r) / norm); bend != 0 {
			s -= d * (u*bend - (a.p.P-1)*q*h)
		}
		a.sx[i], a.sdy[i] = T(s/n/n), T((u-r/norm*h)/n)
	}
}

// bend returns (p−1)·|x̂|^(p−2), 0 where that is not defined.
func (p Lp) bend(x float64) float64 {
	switch {
	case p.P == 2:
		return 1
	case p.P == 1 || math.IsInf(p.P, 1) || x == 0:
		return 0
	}
	return (p.P - 1) * math.Pow(x, p.P-2)
}

// LocalResponseNormSecond gives the second derivative of local response norm, that
// is the gradients of s = ⟨u, dx⟩ by x and dy, dx being what LocalResponseNormBwd
// gives. With a = 2·αβ/size and t = Σ(x·u) over the window,
//
//	s      = Σ dy·(u·d^−β − a·x·t·d^(−β−1))
//	∂s/∂dy = u·d^−β − a·x·t·d^(−β−1)
//	∂s/∂x  = −a·dy·t·d^(−β−1) − a·u·Σ(dy·x·d^(−β−1))
//	         + 2·α/size·x·Σ(dy·(a·(β+1)·x·t·d^(−β−2) − β·u·d^(−β−1)))
//
// where the last two sums are over the channels whose windows the element is in.
func LocalResponseNormSecond[T Float](sx, sdy, x, dy, u []T, v View, p LocalResponse) {
	split(v.mapGrid().tasks(), v.Len(), localResponseSecond[T]{sx, sdy, x, dy, u, v, p})
}

type localResponseSecond[T Float] struct {
	sx, sdy, x, dy, u []T
	v                 View
	p                 LocalResponse
}

func (a *localResponseSecond[T]) run(first, last int) {
	places, tasks := a.v.Outer*a.v.Inner, a.v.mapGrid().tasks()
	s := Borrow[float64](3 * a.v.Channels)
	defer s.Release()
	for i := first * places / tasks; i < last*places/tasks; i++ {
		at := i/a.v.Inner*a.v.Channels*a.v.Inner + i%a.v.Inner
		a.place(at, s.part(0, a.v.Channels), s.part(1, a.v.Channels), s.part(2, a.v.Channels))
	}
}

// place does one place of all channels, the first of which is at. own, byU and byX are
// scratch: −a·dy·t·d^(−β−1), and the terms of the two sums.
func (a *localResponseSecond[T]) place(at int, own, byU, byX []float64) {
	before, after := a.p.reach()
	share, beta := a.p.share(), a.p.Beta
	k := 2 * beta * share
	window := func(c, before, after int) (from, to int) {
		return max(0, c-before), min(c+after, a.v.Channels-1)
	}
	for c := range own {
		d, t := a.p.K, 0.0
		from, to := window(c, before, after)
		for j := from; j <= to; j++ {
			x := float64(a.x[at+j*a.v.Inner])
			d, t = d+share*x*x, t+x*float64(a.u[at+j*a.v.Inner])
		}
		i := at + c*a.v.Inner
		x, u, dy := float64(a.x[i]), float64(a.u[i]), float64(a.dy[i])
		power := a.p.power(d)
		next := power / d
		a.sdy[i] = T(u*power - k*x*t*next)
		own[c] = -k * dy * t * next
		byU[c] = -k * dy * x * next
		byX[c] = 2 * share * dy * (k*(beta+1)*x*t*next/d - beta*u*next)
	}
	for c := range own {
		i := at + c*a.v.Inner
		x, u, s := float64(a.x[i]), float64(a.u[i]), own[c]
		from, to := window(c, after, before)
		for j := from; j <= to; j++ {
			s += u*byU[j] + x*byX[j]
		}
		a.sx[i] = T(s)
	}
}
