package kernel

import "math"

// Rows is the shape of a row-wise norm, and says how the spread of a row is measured.
type Rows struct {
	Rows, Cols int
	Eps        float64

	// UnbiasedStd divides by σ + eps with the unbiased standard deviation
	// σ = √(m2/(n−1)), instead of by √(m2/n + eps).
	UnbiasedStd bool

	// Uncentred takes the mean for 0, as RMS norm does: x is divided by
	// √(Σx²/n + eps).
	Uncentred bool

	pitch int // elements from row to row, if not Cols
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

// rowsPerTask is how many rows a task has: enough to be worth its hand-over, and so many
// that the partial sums of all tasks for dγ and dβ, two float64 for each column, stay small
// beside the data.
func (p Rows) rowsPerTask() int {
	most := max(4, min(4*maxTasks, partialCols/p.Cols)) // tasks
	n := max(ceilDiv(taskLen, p.Cols), ceilDiv(p.Rows, most))
	if n > 2 { // whole packs, see _asm/rows_norm.go
		n = (n + 3) &^ 3
	}
	return n
}

// partialCols bounds the columns of all partial sums together: 16 MiB for dγ and dβ.
const partialCols = 1 << 20

func (p Rows) tasks() int { return ceilDiv(p.Rows, p.rowsPerTask()) }

// task returns the rows [first, last) of task t.
func (p Rows) task(t int) (first, last int) {
	n := p.rowsPerTask()
	return t * n, min((t+1)*n, p.Rows)
}

// apart is the distance from row to row, in elements.
func (p Rows) apart() int { return max(p.pitch, p.Cols) }

func (p Rows) row(i int) (from, to int) { return i * p.apart(), i*p.apart() + p.Cols }

// in is how many rows there are in n elements that end where a row does.
func (p Rows) in(n int) int { return (n + p.apart() - p.Cols) / p.apart() }

// LayerNormFwd sets y = (x − mean)·r·gamma + beta for each row of x, with the
// row's mean and spread factor r.
func LayerNormFwd[T Float](y, x, gamma, beta []T, p Rows) {
	split(p.tasks(), passWork[T](len(x), nil), layerNormFwd[T]{y, x, ones(gamma, p.Cols), zeros(beta, p.Cols), p})
}

type layerNormFwd[T Float] struct {
	y, x, gamma, beta []T
	p                 Rows
}

func (a *layerNormFwd[T]) run(first, last int) {
	r0, _ := a.p.task(first)
	_, r1 := a.p.task(last - 1)
	from, to := r0*a.p.Cols, r1*a.p.Cols
	layerNormRows(a.y[from:to], a.x[from:to], a.gamma, a.beta, a.p, len(a.x))
}

// LayerNormBwd gives the gradients of LayerNormFwd from dy, the gradient of its
// output:
//
//	dx = r·(u − mean(u) − x̂·c·Σ(u·x̂)),  dγ = Σ_rows dy·x̂,  dβ = Σ_rows dy
//
// with the terms of Rows.spread. With Uncentred there is no mean(u). dgamma and dbeta may
// be nil.
func LayerNormBwd[T Float](dx, dgamma, dbeta, x, gamma, dy []T, p Rows) {
	a := layerNormBwd[T]{dx: dx, x: x, gamma: ones(gamma, p.Cols), dy: dy, p: p}
	if dgamma == nil && dbeta == nil {
		split(p.tasks(), passWork(len(x), dy), a)
		return
	}
	a.grads = borrowRowGrads(p.tasks(), p.Cols)
	defer a.grads.release()
	split(p.tasks(), passWork(len(x), dy), a)
	addUpRowGrads(dgamma, dbeta, a.grads)
	if p.Rows == 1 {
		return // no sums, which might overflow
	}
	mendOverflown(dgamma, dbeta, dx, func(dgamma, dbeta, dx []T) {
		a.dx, a.plain = dx, true
		split(p.tasks(), passWork(len(x), dy), a)
		addUpRowGrads(dgamma, dbeta, a.grads)
	})
}

type layerNormBwd[T Float] struct {
	dx, x, gamma, dy []T
	grads            rowGrads
	p                Rows
	plain            bool // by the definitions
}

func (a *layerNormBwd[T]) run(first, last int) {
	for t := first; t < last; t++ {
		grads := a.grads.of(t)
		r0, r1 := a.p.task(t)
		from, to := r0*a.p.Cols, r1*a.p.Cols
		if a.plain {
			layerNormGradRowsGo(a.dx[from:to], grads.sums, a.x[from:to], a.gamma, a.dy[from:to], a.p)
			continue
		}
		layerNormGradRows(a.dx[from:to], grads, a.x[from:to], a.gamma, a.dy[from:to], a.p, len(a.x))
	}
}
