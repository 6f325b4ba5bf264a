package kernel

import "math"

// grouping says how a tensor falls into groups that are normalized together, and
// which element of γ and β belongs to an element of the tensor: number
// (i/ParamInner) mod Params for element i. The groups are the channels of the
// View; there are Batches such views one after the other. A run of a channel is a single
// element, or begins with the first element of a parameter and, if ParamInner is 1, has no
// parameter twice.
type grouping struct {
	Batches int
	View
	Params, ParamInner int
}

// SecondArgs are the inputs of the second derivative: those of the gradient, and UX,
// UGamma and UBeta, by which its outputs dx, dγ and dβ are multiplied. A nil Gamma stands
// for ones, a nil UGamma or UBeta for zeros.
type SecondArgs[T Float] struct {
	X, Gamma, DY      []T
	UX, UGamma, UBeta []T
}

// SecondGrads are the gradients of ⟨ux, dx⟩ + ⟨uγ, dγ⟩ + ⟨uβ, dβ⟩. Gamma may be
// nil.
type SecondGrads[T Float] struct{ X, Gamma, DY []T }

// LayerNormSecond gives the second derivative of layer norm, see normSecond.
func LayerNormSecond[T Float](out SecondGrads[T], in SecondArgs[T], p Rows) {
	g := grouping{Batches: 1, View: View{1, p.Rows, p.Cols}, Params: p.Cols, ParamInner: 1}
	normSecond[T]{out: out, in: in, g: g, p: p}.do()
}

// ColumnNormSecond gives the second derivative of a norm of columns, see normSecond.
func ColumnNormSecond[T Float](out SecondGrads[T], in SecondArgs[T], p Columns) {
	if p.Cols == 1 {
		LayerNormSecond(out, in, p.asRows())
		return
	}
	g := grouping{Batches: p.Outer, View: View{p.Rows, p.Cols, 1}, Params: p.Rows, ParamInner: p.Cols}
	normSecond[T]{out: out, in: in, g: g, p: p.asRows()}.do()
}

// BatchNormSecond gives the second derivative of batch norm, see normSecond, over what the
// mask, which may be nil, says counts. batch says that the statistics are the batch's.
func BatchNormSecond[T Float](out SecondGrads[T], in SecondArgs[T], mask []T, v View, s Stats, batch bool) {
	a := validOf(mask, v)
	defer a.release()
	if a.spans != nil {
		clear(out.X)
		clear(out.DY)
	}
	g := grouping{Batches: 1, View: v, Params: v.Channels, ParamInner: v.Inner}
	normSecond[T]{out: out, in: in, g: g, valid: a, stats: s, given: true, batch: batch}.do()
}

// GroupNormSecond gives the second derivative of group norm, see normSecond, over what the
// mask, which may be nil, says counts.
func GroupNormSecond[T Float](out SecondGrads[T], in SecondArgs[T], mask []T, p GroupShape) {
	g := grouping{Batches: 1, View: p.groups(), Params: p.Channels, ParamInner: p.Inner}
	if mask == nil {
		normSecond[T]{out: out, in: in, g: g, p: Rows{Eps: p.Eps}}.do()
		return
	}
	clear(out.X)
	clear(out.DY)
	g.View = p.sample().groups()
	in.Gamma, in.UGamma, in.UBeta = ones(in.Gamma, p.Channels), zeros(in.UGamma, p.Channels), zeros(in.UBeta, p.Channels)
	n, tasks := padded(p.Channels), p.sampleTasks()
	a := maskedSecond[T]{normSecond[T]{out: out, in: in, g: g, p: Rows{Eps: p.Eps}, gamma: Borrow[float64](tasks * n)}, mask, p}
	defer a.of.gamma.Release()
	clear(a.of.gamma.Data)
	split(tasks, workInGo(len(in.X)), a)
	if out.Gamma != nil {
		sumParts(out.Gamma, a.of.gamma.Data, n)
	}
}

// normSecond gives the second derivative of a norm: the gradients of
// s = ⟨ux, dx⟩ + ⟨uγ, dγ⟩ + ⟨uβ, dβ⟩, where
//
//	dx = r·P(a),  dγ = Σ dy·x̂,  dβ = Σ dy,  a = γ·dy,  P(z) = z − mean(z) − x̂·c·Σ(x̂·z)
//
// with r and c of Rows.spread. x̂ has the derivative r·P, and r has −r²·c·x̂, so
//
//	∂s/∂dy = γ·r·P(ux) + uγ·x̂ + uβ
//	∂s/∂γ  = Σ dy·r·P(ux)
//	∂s/∂x  = r·P(dy·uγ) − r·c·⟨ux, dx⟩·x̂ − r²·c·(Σ(x̂·ux)·P(a) + Σ(x̂·a)·P(ux))
//
// and where the spread is σ + eps, c has the derivative −eps·c/((n−1)·σ²)·x̂,
// which adds r·Σ(x̂·ux)·Σ(x̂·a)·eps·c/((n−1)·σ²)·x̂ to the last.
//
// Uncentred, P(z) = z − x̂·c·Σ(x̂·z).
//
// If statistics are given, the mean and r are theirs. If these are not the batch's, they
// are constants, and P(z) = z.
type normSecond[T Float] struct {
	out          SecondGrads[T]
	in           SecondArgs[T]
	g            grouping
	valid        valid // of the channels of g; the groups have whole channels
	p            Rows
	stats        Stats
	given, batch bool // statistics are given, and they are the batch's
	tasks        int
	gamma        *Scratch[float64] // of [tasks, Params]
}

func (a normSecond[T]) do() {
	a.tasks = max(1, min(maxTasks, a.g.Batches*a.g.Channels, len(a.in.X)/(taskLen/8)))
	a.in.Gamma, a.in.UGamma, a.in.UBeta = ones(a.in.Gamma, a.g.Params), zeros(a.in.UGamma, a.g.Params), zeros(a.in.UBeta, a.g.Params)
	n := padded(a.g.Params)
	if a.out.Gamma != nil {
		a.gamma = Borrow[float64](a.tasks * n)
		defer a.gamma.Release()
		clear(a.gamma.Data)
	}
	split(a.tasks, workInGo(len(a.in.X)), a)
	if a.out.Gamma != nil {
		sumParts(a.out.Gamma, a.gamma.Data, n)
	}
}

func (a *normSecond[T]) run(first, last int) {
	groups := a.g.Batches * a.g.Channels
	for t := first; t < last; t++ {
		var dgamma []float64
		if a.gamma != nil {
			dgamma = a.gamma.part(t, padded(a.g.Params))[:a.g.Params]
		}
		from, to := t*groups/a.tasks, (t+1)*groups/a.tasks
		if a.columns() {
			for c := from; c < to; c += bandOfSecond {
				a.band(c, min(bandOfSecond, to-c), dgamma)
			}
			continue
		}
		for i := from; i < to; i++ {
			a.group(i/a.g.Channels, i%a.g.Channels, dgamma)
		}
	}
}

// spread returns what normalizes a group, c of Rows.spread, and slope: the derivative of
// −c is slope·c²·x̂. The whole factor of x̂ would overflow where σ is tiny.
func (a *normSecond[T]) spread(batch, c int) (by hat, coef, slope float64) {
	n := a.count()
	if a.given {
		return hat{a.stats.Mean[c], a.stats.Residual[c], a.stats.Rstd[c]}, 1 / n, 0
	}
	x := a.in.X[batch*a.g.Len():][:a.g.Len()]
	var m moments
	switch {
	case a.valid.spans != nil:
		for l := range a.groupOf(batch, c).lines {
			m.merge(runMoments(a.in.X[l.at:][:l.n]))
		}
	case a.p.Uncentred:
		m = channelSquares(x, a.g.View, c)
	default:
		m = channelMoments(x, a.g.View, c)
	}
	r, coef := a.p.spread(m)
	if sigma := math.Sqrt(m.m2 / (n - 1)); a.p.UnbiasedStd && sigma > 0 {
		slope = a.p.Eps * r / sigma
	}
	return hat{m.hi, m.lo, r}, coef, slope
}

// count is how many elements of a group count.
func (a *normSecond[T]) count() float64 {
	if a.valid.spans != nil {
		return float64(a.valid.n * (a.valid.v.Channels / a.g.Channels))
	}
	return float64(a.g.Count())
}

func (a *normSecond[T]) groupOf(batch, c int) group { return group{a.g, batch, c, a.valid} }

// hat makes x̂ = ((x − hi) − lo)·r.
type hat struct{ hi, lo, r float64 }

func (h hat) of(x float64) float64 { return ((x - h.hi) - h.lo) * h.r }

// group adds one group's part of ∂s/∂γ to dgamma, and sets ∂s/∂x and ∂s/∂dy.
func (a *normSecond[T]) group(batch, c int, dgamma []float64) {
	by, coef, slope := a.spread(batch, c)
	g := a.groupOf(batch, c)
	var t secondSums
	for l := range g.lines {
		a.sum(&t, l, by)
	}
	p := [1]projected{a.project(t, by, coef, slope)}
	for l := range g.lines {
		a.write(l, p[:], dgamma)
	}
}

// bandOfSecond is how many columns are taken together: a cache line of float32.
const bandOfSecond = 16

// columns says whether the groups are the columns of a matrix.
func (a *normSecond[T]) columns() bool {
	return a.g.Inner == 1 && a.g.Batches == 1 && a.g.ParamInner == 1 && a.g.Params == a.g.Channels && a.valid.spans == nil
}

// band is group for n columns from c on, in the order of memory.
func (a *normSecond[T]) band(c, n int, dgamma []float64) {
	var by [bandOfSecond]hat
	var coef, slope [bandOfSecond]float64
	for i := range n {
		by[i], coef[i], slope[i] = a.spread(0, c+i)
	}
	var t [bandOfSecond]secondSums
	row := func(o int) line { return line{at: o*a.g.Channels + c, channel: c, n: n, step: 1} }
	for o := range a.g.Outer {
		a.sumEach(t[:n], row(o), by[:n])
	}
	var p [bandOfSecond]projected
	for i := range n {
		p[i] = a.project(t[i], by[i], coef[i], slope[i])
	}
	for o := range a.g.Outer {
		a.write(row(o), p[:n], dgamma)
	}
}

// project returns what the results of a group are made of.
func (a *normSecond[T]) project(t secondSums, by hat, coef, slope float64) projected {
	r, n := by.r, a.count()
	constant := a.given && !a.batch
	if constant || a.p.Uncentred { // no mean to subtract in P
		t.a, t.u, t.z = 0, 0, 0
	}
	if constant { // P(z) = z, and no derivative of r
		coef = 0
	}
	s := r * (t.ua - t.u*t.a/n - coef*t.xa*t.xu)
	xa, xu := coef*t.xa, coef*t.xu
	return projected{
		hat: by, meanA: t.a / n, meanU: t.u / n, meanZ: t.z / n, xa: xa, xu: xu, xz: coef * t.xz,
		along: r * (xu*xa*slope - coef*s),
	}
}

// secondSums are Σa, Σu, Σz, Σu·a, Σx̂·a, Σx̂·u and Σx̂·z of a group, with u = ux and
// z = dy·uγ.
type secondSums struct{ a, u, z, ua, xa, xu, xz float64 }

func (s *secondSums) add(xhat, u, aa, z float64) {
	s.a += aa
	s.u += u
	s.z += z
	s.ua += u * aa
	s.xa += xhat * aa
	s.xu += xhat * u
	s.xz += xhat * z
}

// sum adds the sums over a line to t.
func (a *normSecond[T]) sum(t *secondSums, l line, by hat) {
	var s secondSums
	gamma, ugamma := a.in.Gamma[l.channel:], a.in.UGamma[l.channel:]
	dy, ux := a.in.DY[l.at:][:l.n], a.in.UX[l.at:][:l.n]
	for i, v := range a.in.X[l.at:][:l.n] {
		d := float64(dy[i])
		s.add(by.of(float64(v)), float64(ux[i]), float64(gamma[i*l.step])*d, d*float64(ugamma[i*l.step]))
	}
	t.a, t.u, t.z, t.ua = t.a+s.a, t.u+s.u, t.z+s.z, t.ua+s.ua
	t.xa, t.xu, t.xz = t.xa+s.xa, t.xu+s.xu, t.xz+s.xz
}

// sumEach adds each element of a line to sums of its own.
func (a *normSecond[T]) sumEach(t []secondSums, l line, by []hat) {
	gamma, ugamma := a.in.Gamma[l.channel:][:l.n], a.in.UGamma[l.channel:][:l.n]
	dy, ux := a.in.DY[l.at:][:l.n], a.in.UX[l.at:][:l.n]
	for i, v := range a.in.X[l.at:][:l.n] {
		d := float64(dy[i])
		t[i].add(by[i].of(float64(v)), float64(ux[i]), float64(gamma[i])*d, d*float64(ugamma[i]))
	}
}

// projected has what P and ∂s/∂x need of a group: means, c·Σx̂·a and so on, and along, the
// factor of x̂ in ∂s/∂x.
type projected struct {
	hat
	meanA, meanU, meanZ, xa, xu, xz float64
	along                           float64
}

// write sets the results of a line, which is of one group, or has one element of each of
// the groups.
func (a *normSecond[T]) write(l line, groups []projected, dgamma []float64) {
	gamma, ugamma, ubeta := a.in.Gamma[l.channel:], a.in.UGamma[l.channel:], a.in.UBeta[l.channel:]
	dy, ux, outX, outDY := a.in.DY[l.at:][:l.n], a.in.UX[l.at:][:l.n], a.out.X[l.at:][:l.n], a.out.DY[l.at:][:l.n]
	if dgamma != nil {
		dgamma = dgamma[l.channel:]
	}
	for i, v := range a.in.X[l.at:][:l.n] {
		p, k := i*l.step, &groups[min(i, len(groups)-1)]
		xhat, g, d, ug := k.of(float64(v)), float64(gamma[p]), float64(dy[i]), float64(ugamma[p])
		pa, pu, pz := g*d-k.meanA-xhat*k.xa, float64(ux[i])-k.meanU-xhat*k.xu, d*ug-k.meanZ-xhat*k.xz
		outX[i] = T(k.r*pz + k.along*xhat - k.r*k.r*(k.xu*pa+k.xa*pu))
		outDY[i] = T(g*k.r*pu + ug*xhat + float64(ubeta[p]))
		if dgamma != nil {
			dgamma[p] += d * k.r * pu
		}
	}
}

// group is a channel of one of the views.
type group struct {
	grouping
	batch, channel int
	valid          valid
}

// lines gives the elements of a group as lines, in which the parameters are the same or
// lie one after the other.
func (g group) lines(yield func(line) bool) {
	if g.valid.spans != nil {
		g.validLines(yield)
		return
	}
	for o := range g.Outer {
		at := g.batch*g.Len() + (o*g.Channels+g.channel)*g.Inner
		for end := at + g.Inner; at < end; {
			l := line{at: at, channel: at / g.ParamInner % g.Params, n: min(g.ParamInner, end-at)}
			if g.ParamInner == 1 {
				l.step, l.n = 1, end-at
			}
			if !yield(l) {
				return
			}
			at += l.n
		}
	}
}

// validLines is lines for the elements that count.
func (g group) validLines(yield func(line) bool) {
	per := g.valid.v.Channels / g.Channels
	for c := g.channel * per; c < (g.channel+1)*per; c++ {
		for part := range (parts{g.valid, g.valid.v.channel(c)}).each {
			for l := range part.lines {
				if !yield(l) {
					return
				}
			}
		}
	}
}
