package kernel

// LocalResponseNormSecond gives the second derivative of local response norm: the
// gradients of s = ⟨u, dx⟩ by x and dy, where dx is the result of LocalResponseNormBwd.
// With a = 2·αβ/size and t = Σ(x·u) over the window,
//
//	s      = Σ dy·(u·d^−β − a·x·t·d^(−β−1))
//	∂s/∂dy = u·d^−β − a·x·t·d^(−β−1)
//	∂s/∂x  = −a·dy·t·d^(−β−1) − a·u·Σ(dy·x·d^(−β−1))
//	         + 2·α/size·x·Σ(dy·(a·(β+1)·x·t·d^(−β−2) − β·u·d^(−β−1)))
//
// where the last two sums are over the channels whose windows the element is in.
func LocalResponseNormSecond[T Float](sx, sdy, x, dy, u []T, v View, p LocalResponse) {
	split(v.mapGrid().tasks(), workInGo(v.Len()), localResponseSecond[T]{sx, sdy, x, dy, u, v, p})
}

type localResponseSecond[T Float] struct {
	sx, sdy, x, dy, u []T
	v                 View
	p                 LocalResponse
}

func (a *localResponseSecond[T]) run(first, last int) {
	n := a.v.Channels
	s := Borrow[float64](5 * n)
	defer s.Release()
	terms := placeTerms{s.part(0, n), s.part(1, n), s.part(2, n), s.part(3, n), s.part(4, n)}
	for at := range a.v.places(first, last) {
		a.place(at, terms)
	}
}

// placeTerms has for each channel at one place d, d^−β, t, which then gives way to
// −a·dy·t·d^(−β−1), and the terms of the two sums.
type placeTerms struct{ base, power, own, byU, byX []float64 }

// place does all channels at one place. at is the element of the first.
func (a *localResponseSecond[T]) place(at int, p placeTerms) {
	before, after := a.p.reach()
	share, beta := a.p.share(), a.p.Beta
	k := 2 * beta * share
	window := func(c, before, after int) (from, to int) {
		return max(0, c-before), min(c+after, a.v.Channels-1)
	}
	for c := range p.own {
		var d, t float64
		from, to := window(c, before, after)
		for j := from; j <= to; j++ {
			x := float64(a.x[at+j*a.v.Inner])
			d, t = d+share*x*x, t+x*float64(a.u[at+j*a.v.Inner])
		}
		p.base[c], p.own[c] = d, t
	}
	a.p.powers(p.power, p.base)
	for c, t := range p.own {
		i := at + c*a.v.Inner
		x, u, dy := float64(a.x[i]), float64(a.u[i]), float64(a.dy[i])
		next := p.power[c] / p.base[c]
		a.sdy[i] = T(u*p.power[c] - k*x*t*next)
		p.own[c] = -k * dy * t * next
		p.byU[c] = -k * dy * x * next
		p.byX[c] = 2 * share * dy * (k*(beta+1)*x*t*next/p.base[c] - beta*u*next)
	}
	for c, s := range p.own {
		i := at + c*a.v.Inner
		x, u := float64(a.x[i]), float64(a.u[i])
		from, to := window(c, after, before)
		for j := from; j <= to; j++ {
			s += u*p.byU[j] + x*p.byX[j]
		}
		a.sx[i] = T(s)
	}
}
