package kernel

// Products of the matrix W of a spectral norm, which has a row for each channel of a
// view, and the elements of a channel, in their order, in its columns. Vectors are
// float64, and so is the arithmetic.

// times sets out = W·x.
func times[T Float](out []float64, w []T, x []float64, v View) {
	if v.Inner == 1 && v.Channels > 1 {
		timesTransposed(out, w, x, v.turned())
		return
	}
	p := product[T]{out, w, x, v}
	split(ceilDiv(v.Channels, p.channelsOfTask()), work[T](1, v.Len()), productByRows[T](p))
}

// timesTransposed sets out = Wᵀ·x.
func timesTransposed[T Float](out []float64, w []T, x []float64, v View) {
	if v.Inner == 1 && v.Channels > 1 {
		times(out, w, x, v.turned())
		return
	}
	p := product[T]{out, w, x, v}
	split(v.Outer*p.pieces(), work[T](1, v.Len()), productByColumns[T](p))
}

// turned sees a view without inner elements as the transpose of its matrix, which
// has runs of them.
func (v View) turned() View { return View{1, v.Outer, v.Channels} }

type product[T Float] struct {
	out []float64
	w   []T
	x   []float64
	v   View
}

// rowsTogether is how many rows the assembly takes at once.
const rowsTogether = 4

func (p product[T]) channelsOfTask() int {
	return ceilDiv(taskLen, p.v.Count()*rowsTogether) * rowsTogether
}

// pieces is into how many a run is cut, for sums that the cache keeps from row to
// row.
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
	a.view = view
	if view.Inner == 1 {
		a.view, a.u, a.v = view.turned(), a.v, a.u
	}
	if a.y == nil {
		a.y = a.x
	}
	split(ceilDiv(a.runs(), a.runsOfTask()), work[T](3, len(a.out)), a)
}

func (a *outerSum[T]) runs() int       { return a.view.Outer * a.view.Channels }
func (a *outerSum[T]) runsOfTask() int { return ceilDiv(taskLen, a.view.Inner) }

func (a *outerSum[T]) run(first, last int) {
	n := a.view.Inner
	for r := first * a.runsOfTask(); r < min(last*a.runsOfTask(), a.runs()); r++ {
		along, v := a.along*a.u[r%a.view.Channels], a.v[r/a.view.Channels*n:][:n]
		addOuter(a.out[r*n:][:n], a.x[r*n:][:n], a.y[r*n:][:n], v, a.scale, a.byY, along)
	}
}

// addOuterGo sets out = scale·x + byY·y + along·v.
func addOuterGo[T Float](out, x, y []T, v []float64, scale, byY, along float64) {
	y, v = y[:len(x)], v[:len(x)]
	for i, x := range x {
		out[i] = T(float64(x)*scale + float64(y[i])*byY + along*v[i])
	}
}
