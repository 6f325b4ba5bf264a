package kernel

// The definitions of the norm of columns, in float64 arithmetic, from the moments of the
// columns. They run where there is no assembly, and for columns in which dx mostly cancels.

func (a *columnNorm[T]) forwardGo(w *columnWork[T], b block) {
	m, scale, shift := w.k.of(0)[:b.channels], w.k.of(1)[:b.channels], w.k.of(2)[:b.channels]
	gammas, betas := a.affine.of(0), a.affine.of(1)
	for d := range b.rows {
		at := b.at + d*b.stride
		gamma, beta := gammas[d], betas[d]
		y := a.out[at:][:b.channels]
		for c, v := range a.x[at:][:b.channels] {
			y[c] = T(((float64(v)-m[c])*scale[c]+shift[c])*gamma + beta)
		}
	}
}

// backwardGo sets dx of some columns and, if grads is not nil, adds to the sums for dγ and
// dβ there.
func (a *columnNorm[T]) backwardGo(w *columnWork[T], b block, grads []float64) {
	from, to := b.channel, b.channel+b.channels
	m, r, lo, coefficient := w.k.of(0)[from:to], w.k.of(1)[from:to], w.stats.of(1)[from:to], w.stats.of(2)[from:to]
	s, q := w.sums.of(0)[from:to], w.sums.of(1)[from:to]
	clear(s)
	clear(q)
	gammas := a.affine.of(0)
	for d := range b.rows {
		at := b.at + d*b.stride
		gamma, dy := gammas[d], a.dy[at:][:b.channels]
		var dgamma, dbeta float64
		for c, v := range a.x[at:][:b.channels] {
			g := float64(dy[c])
			xhat := ((float64(v) - m[c]) - lo[c]) * r[c]
			s[c] += gamma * g
			q[c] += gamma * g * xhat
			dgamma += g * xhat
			dbeta += g
		}
		if grads != nil {
			grads[d] += dgamma
			grads[padded(a.p.Rows)+d] += dbeta
		}
	}
	n := float64(a.p.Rows)
	for c := range s {
		if s[c] /= n; a.p.Uncentred {
			s[c] = 0
		}
		q[c] *= coefficient[c]
	}
	for d := range b.rows {
		at := b.at + d*b.stride
		gamma, dx, dy := gammas[d], a.out[at:][:b.channels], a.dy[at:][:b.channels]
		for c, v := range a.x[at:][:b.channels] {
			xhat := ((float64(v) - m[c]) - lo[c]) * r[c]
			dx[c] = T(r[c] * ((gamma*float64(dy[c]) - s[c]) - xhat*q[c]))
		}
	}
}
