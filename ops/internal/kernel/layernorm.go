package kernel

import "math"

// Rows is the shape of a row-wise norm and how its spread is measured.
type Rows struct {
	Rows, Cols int
	Eps        float64

	// UnbiasedStd divides by σ + eps with the unbiased standard deviation
	// σ = √(m2/(n−1)), instead of by √(m2/n + eps).
	UnbiasedStd bool
}

// spread returns the factor that normalizes a row, r, and the coefficient c of
// its gradient
//
//	dx = r·(u − mean(u) − x̂·c·Σ(u·x̂)),  u = γ·dy,  x̂ = (x − mean)·r
//
// which is where the two ways to measure the spread differ: with
// r = 1/√(m2/n + eps), ∂r/∂x = −r³·(x−mean)/n and c = 1/n; with r = 1/(σ + eps),
// ∂r/∂x = −r²·(x−mean)/((n−1)·σ) and c = 1/((n−1)·σ·r). Where σ is 0 it has no
// derivative; 0 is taken.
func (p Rows) spread(m moments) (r, c float64) {
	if !p.UnbiasedStd {
		return m.rstd(p.Eps), 1 / m.n
	}
	sigma := math.Sqrt(m.m2 / (m.n - 1))
	r = 1 / (sigma + p.Eps)
	if sigma == 0 {
		return r, 0
	}
	return r, 1 / ((m.n - 1) * sigma * r)
}

// rowsPerTask is how many rows go to one task: enough to be worth it, and few
// enough tasks that their partial sums of dγ and dβ, two float64 a column, stay
// small beside the data.
func (p Rows) rowsPerTask() int {
	most := max(4, min(4*minTasks, partialCols/p.Cols)) // tasks
	return max(ceilDiv(taskLen, p.Cols), ceilDiv(p.Rows, most))
}

// partialCols bounds the columns of all partial sums together, 16 MiB.
const partialCols = 1 << 20

func (p Rows) tasks() int { return ceilDiv(p.Rows, p.rowsPerTask()) }

// task returns the rows [first, last) of task t.
func (p Rows) task(t int) (first, last int) {
	n := p.rowsPerTask()
	return t * n, min((t+1)*n, p.Rows)
}

func (p Rows) row(i int) (from, to int) { return i * p.Cols, (i + 1) * p.Cols }

// LayerNormFwd sets y = (x − mean)·r·gamma + beta for each row of x, with the
// row's mean and spread factor r.
func LayerNormFwd[T Float](y, x, gamma, beta []T, p Rows) {
	split(p.tasks(), len(x), layerNormFwd[T]{y, x, ones(gamma, p.Cols), zeros(beta, p.Cols), p})
}

type layerNormFwd[T Float] struct {
	y, x, gamma, beta []T
	p                 Rows
}

func (a *layerNormFwd[T]) run(first, last int) {
	r0, _ := a.p.task(first)
	_, r1 := a.p.task(last - 1)
	from, to := r0*a.p.Cols, r1*a.p.Cols
	if layerNormRows(a.y[from:to], a.x[from:to], a.gamma, a.beta, a.p) {
		return
	}
	for r := r0; r < r1; r++ {
		from, to := a.p.row(r)
		layerNormRow(a.y[from:to], a.x[from:to], a.gamma, a.beta, a.p)
	}
}

func layerNormRow[T Float](y, x, gamma, beta []T, p Rows) {
	m := runMoments(x)
	rstd, _ := p.spread(m)
	normalizeAffine(y, x, gamma, beta, m.hi, m.lo, rstd)
}

// LayerNormBwd gives the gradients of LayerNormFwd from dy, that of its
// output:
//
//	dx = r·(u − mean(u) − x̂·c·Σ(u·x̂)),  dγ = Σ_rows dy·x̂,  dβ = Σ_rows dy
//
// with the terms of Rows.spread. dgamma and dbeta may be nil.
func LayerNormBwd[T Float](dx, dgamma, dbeta, x, gamma, dy []T, p Rows) {
	if gamma == nil && dbeta == nil {
		split(p.tasks(), len(x), plainNormBwd[T]{dx, x, dy, p})
		return
	}
	tasks := p.tasks()
	part := Borrow[float64](2 * tasks * p.Cols)
	defer part.Release()
	clear(part.Data)
	split(tasks, len(x), layerNormBwd[T]{dx, x, ones(gamma, p.Cols), dy, part, p})
	for t := 1; t < tasks; t++ {
		accumulate(part.part(0, 2*p.Cols), part.part(t, 2*p.Cols))
	}
	store(dgamma, part.part(0, p.Cols))
	store(dbeta, part.part(1, p.Cols))
}

type layerNormBwd[T Float] struct {
	dx, x, gamma, dy []T
	part             *Scratch[float64] // of [tasks, 2, Cols]: the sums for dγ and dβ
	p                Rows
}

func (a *layerNormBwd[T]) run(first, last int) {
	for t := first; t < last; t++ {
		dgamma, dbeta := a.part.part(2*t, a.p.Cols), a.part.part(2*t+1, a.p.Cols)
		r0, r1 := a.p.task(t)
		for r := r0; r < r1; r++ {
			from, to := a.p.row(r)
			x, dy := a.x[from:to], a.dy[from:to]
			m := runMoments(x)
			rstd, c := a.p.spread(m)
			s, q := affineGradSums(dgamma, dbeta, x, a.gamma, dy, m.hi, m.lo, rstd)
			affineGrad(a.dx[from:to], x, a.gamma, dy, m.hi, m.lo, rstd, s/m.n, q*c)
		}
	}
}

// plainNormBwd is LayerNormBwd without gamma and beta.
type plainNormBwd[T Float] struct {
	dx, x, dy []T
	p         Rows
}

func (a *plainNormBwd[T]) run(first, last int) {
	r0, _ := a.p.task(first)
	_, r1 := a.p.task(last - 1)
	for r := r0; r < r1; r++ {
		from, to := a.p.row(r)
		x, dy := a.x[from:to], a.dy[from:to]
		m := runMoments(x)
		rstd, c := a.p.spread(m)
		s, q := normGradSums(x, dy, m.hi, m.lo)
		normGrad(a.dx[from:to], x, dy, m.hi, m.lo, rstd, s/m.n, q*rstd*c*rstd)
	}
}
