package kernel

// Products of the matrix W of a spectral norm. A row of W is a channel of a view, with its
// elements in their order. Vectors are float64, and so is the arithmetic.

// times sets out = W·x.
func times[T Float](out []float64, w []T, x []float64, v View) {
	v, turned := v.inRuns()
	product[T]{out, w, x, v}.split(!turned)
}

// timesTransposed sets out = Wᵀ·x.
func timesTransposed[T Float](out []float64, w []T, x []float64, v View) {
	v, turned := v.inRuns()
	product[T]{out, w, x, v}.split(turned)
}

// inRuns returns a view of the same matrix in the longest runs there are. Where Inner is 1
// these are the columns of the matrix: then the view is of its transpose, which turned
// says.
func (v View) inRuns() (runs View, turned bool) {
	switch {
	case v.Channels == 1:
		return View{1, 1, v.Len()}, false
	case v.Inner == 1:
		return View{1, v.Outer, v.Channels}, true
	}
	return v, false
}

type product[T Float] struct {
	out []float64
	w   []T
	x   []float64
	v   View
}

func (p product[T]) split(byRows bool) {
	if byRows {
		split(ceilDiv(p.v.Channels, p.channelsOfTask()), work[T](1, p.v.Len()), productByRows[T](p))
		return
	}
	split(p.v.Outer*p.pieces(), work[T](1, p.v.Len()), productByColumns[T](p))
}

// rowsTogether is how many rows the assembly takes at once.
const rowsTogether = 4

func (p product[T]) channelsOfTask() int {
	return ceilDiv(taskLen, p.v.Count()*rowsTogether) * rowsTogether
}

// pieces is into how many pieces a run is cut, so that the cache keeps the sums from row
// to row.
func (p product[T]) pieces() int { return ceilDiv(p.v.Inner, bandLen) }

type productByRows[T Float] product[T]

func (p *productByRows[T]) run(first, last int) {
	n, few := p.v.Inner, product[T](*p).channelsOfTask()
	c, end := first*few, min(last*few, p.v.Channels)
	out := p.out[c:end]
	clear(out)
	for o := range p.v.Outer {
		rowProducts(out, p.w[(o*p.v.Channels+c)*n:], p.x[o*n:][:n], n)
	}
}

type productByColumns[T Float] product[T]

func (p *productByColumns[T]) run(first, last int) {
	n, pieces := p.v.Inner, product[T](*p).pieces()
	for task := first; task < last; task++ {
		o, at := task/pieces, task%pieces*bandLen
		out := p.out[o*n:][at:min(at+bandLen, n)]
		clear(out)
		columnProducts(out, p.w[o*p.v.Channels*n+at:], p.x[:p.v.Channels], n)
	}
}

// rowProductsGo adds to each element of out the product of a row of w and x. Rows begin
// stride elements apart.
func rowProductsGo[T Float](out []float64, w []T, x []float64, stride int) {
	for r := range out {
		out[r] += dotGo(w[r*stride:][:len(x)], x)
	}
}

// columnProductsGo adds to out each row of w, times its element of x. Rows begin stride
// elements apart.
func columnProductsGo[T Float](out []float64, w []T, x []float64, stride int) {
	for r, factor := range x {
		for i, v := range w[r*stride:][:len(out)] {
			out[i] += float64(v) * factor
		}
	}
}

// outerSum sets out = scale·x + byY·y + along·u·vᵀ. y may be nil.
type outerSum[T Float] struct {
	out, x, y         []T
	scale, byY, along float64
	u, v              []float64
	view              View
}

func (a outerSum[T]) over(view View) {
	var turned bool
	if a.view, turned = view.inRuns(); turned {
		a.u, a.v = a.v, a.u
	}
	if a.y == nil {
		a.y = a.x
	}
	split(ceilDiv(a.runs(), a.runsOfTask()), work[T](3, len(a.out)), a)
}

func (a *outerSum[T]) runs() int       { return a.view.Outer * a.view.Channels }
func (a *outerSum[T]) runsOfTask() int { return ceilDiv(taskLen, a.view.Inner) }

func (a *outerSum[T]) run(first, last int) {
	n, channels := a.view.Inner, a.view.Channels
	for r, end := first*a.runsOfTask(), min(last*a.runsOfTask(), a.runs()); r < end; {
		c := r % channels
		u, v := a.u[c:min(c+end-r, channels)], a.v[r/channels*n:][:n]
		addOuter(a.out[r*n:], a.x[r*n:], a.y[r*n:], u, v, a.scale, a.byY, a.along)
		r += len(u)
	}
}

// addOuterGo sets out = scale·x + byY·y + along·u·vᵀ.
func addOuterGo[T Float](out, x, y []T, u, v []float64, scale, byY, along float64) {
	n := len(v)
	for r, left := range u {
		factor := along * left
		out, y := out[r*n:][:n], y[r*n:][:n]
		for i, x := range x[r*n:][:n] {
			out[i] = T(float64(x)*scale + float64(y[i])*byY + factor*v[i])
		}
	}
}
