package kernel

import "math"

// Norms sets norm[c] = √Σv² over the elements of channel c, and 0 where that is
// below the normal range of float64.
func Norms[T Float](v []T, view View, norm []float64) {
	channelDots(norm, v, v, view)
	for c, s := range norm {
		if safeSquares(s) {
			norm[c] = math.Sqrt(s)
		} else if norm[c] = scaledNorm(v, view, c); norm[c] < smallestNorm {
			norm[c] = 0
		}
	}
}

// smallestNorm is the smallest that can be divided by: g/‖v‖ overflows below.
const smallestNorm = 0x1p-1022

// safeSquares says whether a sum of squares has its digits: none of the terms
// that matter overflowed or fell below the normal range.
func safeSquares(s float64) bool { return s > 0x1p-960 && s < math.MaxFloat64 }

// scaledNorm is the norm of channel c by way of v/max|v|, for values whose
// squares leave the range of float64.
func scaledNorm[T Float](v []T, view View, c int) float64 {
	var top float64
	var bad bool
	each := func(f func(x float64)) {
		for o := range view.Outer {
			at := (o*view.Channels + c) * view.Inner
			for _, x := range v[at : at+view.Inner] {
				f(float64(x))
			}
		}
	}
	each(func(x float64) {
		top = max(top, math.Abs(x))
		bad = bad || x != x
	})
	switch {
	case bad:
		return math.NaN()
	case top == 0 || math.IsInf(top, 1):
		return top
	}
	var s float64
	each(func(x float64) { s += (x / top) * (x / top) })
	return top * math.Sqrt(s)
}

// channelDots sets s[c] = Σ a·b over the elements of channel c.
func channelDots[T Float](s []float64, a, b []T, v View) {
	segs := v.segments()
	part := Borrow[float64](segs * v.Channels)
	defer part.Release()
	split(v.units()*segs, v.Len(), dotsOfView[T]{a, b, v, segs, part})
	copy(s, part.part(0, v.Channels))
	for t := 1; t < segs; t++ {
		accumulate(s, part.part(t, v.Channels))
	}
}

type dotsOfView[T Float] struct {
	a, b []T
	v    View
	segs int
	part *Scratch[float64] // of [segs, Channels]
}

func (d *dotsOfView[T]) run(first, last int) {
	for task := first; task < last; task++ {
		u, seg := task/d.segs, task%d.segs
		c0, c1 := d.v.unit(u)
		s := d.part.part(seg, d.v.Channels)[c0:c1]
		clear(s)
		b0, b1 := d.v.segment(seg, d.segs)
		for i := b0; i < b1; i++ {
			b := d.v.block(u, i)
			if d.v.columns() {
				columnDots(s, d.a, d.b, b)
				continue
			}
			var t float64
			for j, at := 0, b.off; j < b.count; j, at = j+1, at+b.stride {
				t += dot(d.a[at:at+b.length], d.b[at:at+b.length])
			}
			s[0] += t
		}
	}
}

// WeightNormFwd sets w = g·v/‖v‖, and 0 where ‖v‖ is 0, with a norm and a g for
// each channel.
func WeightNormFwd[T Float](w, v, g []T, view View) {
	scale := Borrow[float64](view.Channels)
	defer scale.Release()
	WeightScales(scale.Data, v, g, view)
	scaleChannels(w, v, view, scale.Data)
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

// scaleChannels sets w = v·scale with one scale for each channel. w may be v.
func scaleChannels[T Float](w, v []T, view View, scale []float64) {
	shift := zeros[float64](nil, view.Channels)
	split(view.lineup().tasks(), view.Len(), scaled[T]{w, v, view, scale, shift})
}

type scaled[T Float] struct {
	w, v         []T
	view         View
	scale, shift []float64
}

func (a *scaled[T]) run(first, last int) {
	l := a.view.lineup()
	for i, end := l.span(first, last); i < end; i++ {
		from, to, c := l.at(i)
		w, v := a.w[from:to], a.v[from:to]
		if a.view.columns() {
			scaleRow(w, v, a.scale, a.shift)
		} else {
			scaleRun(w, v, a.scale[c])
		}
	}
}

// WeightNormBwd gives the gradients of w = g·v/‖v‖ from dw. With ‖v‖ > 0 and
// v̂ = v/‖v‖,
//
//	dg = Σ dw·v̂,  dv = g/‖v‖·(dw − v̂·dg)
//
// and 0 for both where ‖v‖ is 0. dv may be dw.
func WeightNormBwd[T Float](dv, dg, v, g, dw []T, view View) {
	norm := Borrow[float64](view.Channels)
	defer norm.Release()
	Norms(v, view, norm.Data)
	WeightNormBwdOfNorms(dv, dg, v, g, dw, norm.Data, view)
}

// WeightNormBwdOfNorms is WeightNormBwd where the norms are known.
func WeightNormBwdOfNorms[T Float](dv, dg, v, g, dw []T, norm []float64, view View) {
	k := Borrow[float64](2 * view.Channels)
	defer k.Release()
	a, b := k.part(0, view.Channels), k.part(1, view.Channels)
	channelDots(b, dw, v, view)
	for c, n := range norm {
		if n == 0 {
			a[c], b[c], dg[c] = 0, 0, 0
			continue
		}
		along := b[c] / n
		a[c], b[c], dg[c] = float64(g[c])/n, along/n, T(along)
	}
	split(view.lineup().tasks(), view.Len(), scaledGrad[T]{dv, v, dw, view, a, b})
}

type scaledGrad[T Float] struct {
	dv, v, dw []T
	view      View
	a, b      []float64
}

func (g *scaledGrad[T]) run(first, last int) {
	l := g.view.lineup()
	for i, end := l.span(first, last); i < end; i++ {
		from, to, c := l.at(i)
		dv, v, dw := g.dv[from:to], g.v[from:to], g.dw[from:to]
		if g.view.columns() {
			scaleGradRow(dv, v, dw, g.a, g.b)
		} else {
			scaleGrad(dv, v, dw, g.a[c], g.b[c])
		}
	}
}
