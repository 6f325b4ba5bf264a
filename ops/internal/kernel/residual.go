package kernel

// AddNormFwd sets sum = x + r and y to the layer norm of sum. Rows are normalized while
// the cache still has their sums.
func AddNormFwd[T Float](y, sum, x, r, gamma, beta []T, p Rows) {
	// The sum is made by the loop of a gradient: ((r·1 − 0) − (x − 0)·(−1))·1, of
	// which every step but the addition is exact.
	k := borrowConstants[T](5, 1)
	defer k.release()
	for i, v := range [...]float64{0, 1, 1, 0, -1} {
		k.of(i)[0], k.data(i)[0] = v, T(v)
	}
	split(p.tasks(), work[T](4, len(x)), addNormFwd[T]{y, sum, x, r, ones(gamma, p.Cols), zeros(beta, p.Cols), p, k})
}

type addNormFwd[T Float] struct {
	y, sum, x, r, gamma, beta []T
	p                         Rows
	k                         constants[T]
}

func (a *addNormFwd[T]) run(first, last int) {
	r0, _ := a.p.task(first)
	_, r1 := a.p.task(last - 1)
	few := max(1, taskLen/2/a.p.Cols) // rows
	for r := r0; r < r1; r += few {
		from, to := r*a.p.Cols, min(r+few, r1)*a.p.Cols
		normGrad(a.sum, a.x, a.r, a.k, block{at: from, channels: 1, rows: 1, stride: to - from, inner: to - from, pitch: len(a.x) + 1}, false)
		layerNormRows(a.y[from:to], a.sum[from:to], a.gamma, a.beta, a.p, len(a.x))
	}
}
