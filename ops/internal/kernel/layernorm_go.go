package kernel

// The definitions of the kernels over rows, in float64 arithmetic. They run where there
// is no assembly, and for rows that the assembly leaves out.

// layerNormRowsGo normalizes rows.
func layerNormRowsGo[T Float](y, x, gamma, beta []T, p Rows) {
	for i := range p.in(len(x)) {
		from, to := p.row(i)
		layerNormRowGo(y[from:to], x[from:to], gamma[:p.Cols], beta[:p.Cols], p)
	}
}

func layerNormRowGo[T Float](y, x, gamma, beta []T, p Rows) {
	m := momentsOfRow(x, p)
	rstd, _ := p.spread(m)
	for i, v := range x {
		y[i] = T(((float64(v)-m.hi)-m.lo)*rstd*float64(gamma[i]) + float64(beta[i]))
	}
}

// momentsOfRow returns the moments of a row, or if it is not centred its moments about 0.
func momentsOfRow[T Float](x []T, p Rows) moments {
	if p.Uncentred {
		return moments{n: float64(len(x)), m2: dotGo(x, x)}
	}
	return runMoments(x)
}

// layerNormGradRowsGo sets dx of rows and adds to grads, which is empty or has the sums
// for dγ and, in its second half, those for dβ.
func layerNormGradRowsGo[T Float](dx []T, grads []float64, x, gamma, dy []T, p Rows) {
	for i := range p.in(len(x)) {
		from, to := p.row(i)
		layerNormGradRowGo(dx[from:to], grads, x[from:to], gamma, dy[from:to], p)
	}
}

func layerNormGradRowGo[T Float](dx []T, grads []float64, x, gamma, dy []T, p Rows) {
	dx, dy, gamma = dx[:len(x)], dy[:len(x)], gamma[:len(x)]
	m := momentsOfRow(x, p)
	rstd, c := p.spread(m)
	var s, q float64 // Σu and Σu·x̂
	for i, v := range x {
		u := float64(gamma[i]) * float64(dy[i])
		s += u
		q += u * (((float64(v) - m.hi) - m.lo) * rstd)
	}
	if len(grads) != 0 {
		dgamma, dbeta := grads[:len(x)], grads[len(grads)/2:][:len(x)]
		for i, v := range x {
			d := float64(dy[i])
			dgamma[i] += d * (((float64(v) - m.hi) - m.lo) * rstd)
			dbeta[i] += d
		}
	}
	a, b := s/m.n, q*c
	if p.Uncentred {
		a = 0
	}
	for i, v := range x {
		u := float64(gamma[i]) * float64(dy[i])
		dx[i] = T(rstd * ((u - a) - ((float64(v)-m.hi)-m.lo)*rstd*b))
	}
}

// sumPartsGo sets out to the sums of the columns of parts, a matrix whose rows have stride
// elements.
func sumPartsGo[T Float](out []T, parts []float64, stride int) {
	for j := range out {
		var s float64
		for i := j; i < len(parts); i += stride {
			s += parts[i]
		}
		out[j] = T(s)
	}
}
