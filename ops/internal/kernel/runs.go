package kernel

// The loops over one run of contiguous elements. These are their definitions,
// and what runs where there is no assembly; the functions without Go in their
// names choose (vector_amd64.go). Sums go to four accumulators in turn, which
// hides the latency of the addition and shortens the chains that rounding errors
// grow along.

// sumGo returns Σ x.
func sumGo[T Float](x []T) float64 {
	var s0, s1, s2, s3 float64
	for ; len(x) >= 4; x = x[4:] {
		s0 += float64(x[0])
		s1 += float64(x[1])
		s2 += float64(x[2])
		s3 += float64(x[3])
	}
	for _, v := range x {
		s0 += float64(v)
	}
	return (s0 + s1) + (s2 + s3)
}

// centredGo returns Σ(x − m) and Σ(x − m)².
func centredGo[T Float](x []T, m float64) (d, q float64) {
	var d0, d1, d2, d3, q0, q1, q2, q3 float64
	for ; len(x) >= 4; x = x[4:] {
		a, b, c, e := float64(x[0])-m, float64(x[1])-m, float64(x[2])-m, float64(x[3])-m
		d0, d1, d2, d3 = d0+a, d1+b, d2+c, d3+e
		q0, q1, q2, q3 = q0+a*a, q1+b*b, q2+c*c, q3+e*e
	}
	for _, v := range x {
		a := float64(v) - m
		d0, q0 = d0+a, q0+a*a
	}
	return (d0 + d1) + (d2 + d3), (q0 + q1) + (q2 + q3)
}

// dotGo returns Σ a·b.
func dotGo[T Float](a, b []T) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	for ; len(a) >= 4 && len(b) >= 4; a, b = a[4:], b[4:] {
		s0 += float64(a[0]) * float64(b[0])
		s1 += float64(a[1]) * float64(b[1])
		s2 += float64(a[2]) * float64(b[2])
		s3 += float64(a[3]) * float64(b[3])
	}
	for i, v := range a {
		s0 += float64(v) * float64(b[i])
	}
	return (s0 + s1) + (s2 + s3)
}

// normalizeGo sets y = (x − mean)·scale + shift for one mean, scale and shift.
func normalizeGo[T Float](y, x []T, hi, lo, scale, shift float64) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] = T(((float64(v)-hi)-lo)*scale + shift)
	}
}

// normalizeAffineGo sets y = (x − mean)·rstd·gamma + beta for one mean and rstd
// and a gamma and beta for each element.
func normalizeAffineGo[T Float](y, x, gamma, beta []T, hi, lo, rstd float64) {
	y, gamma, beta = y[:len(x)], gamma[:len(x)], beta[:len(x)]
	for i, v := range x {
		y[i] = T(((float64(v)-hi)-lo)*rstd*float64(gamma[i]) + float64(beta[i]))
	}
}

// normGradSumsGo returns Σ dy and Σ dy·(x − mean).
func normGradSumsGo[T Float](x, dy []T, hi, lo float64) (s, p float64) {
	dy = dy[:len(x)]
	var s0, s1, p0, p1 float64
	for ; len(x) >= 2 && len(dy) >= 2; x, dy = x[2:], dy[2:] {
		a, b := float64(dy[0]), float64(dy[1])
		s0, s1 = s0+a, s1+b
		p0, p1 = p0+a*((float64(x[0])-hi)-lo), p1+b*((float64(x[1])-hi)-lo)
	}
	for i, v := range dy {
		a := float64(v)
		s0, p0 = s0+a, p0+a*((float64(x[i])-hi)-lo)
	}
	return s0 + s1, p0 + p1
}

// normGradGo sets dx = scale·(dy − a − (x − mean)·b).
func normGradGo[T Float](dx, x, dy []T, hi, lo, scale, a, b float64) {
	dx, dy = dx[:len(x)], dy[:len(x)]
	for i, v := range x {
		dx[i] = T(scale * ((float64(dy[i]) - a) - ((float64(v)-hi)-lo)*b))
	}
}

// affineGradSumsGo adds dy·x̂ to dgamma and dy to dbeta, element by element, and
// returns Σ u and Σ u·x̂ with u = gamma·dy and x̂ = (x − mean)·rstd.
func affineGradSumsGo[T Float](dgamma, dbeta []float64, x, gamma, dy []T, hi, lo, rstd float64) (s, p float64) {
	dgamma, dbeta, gamma, dy = dgamma[:len(x)], dbeta[:len(x)], gamma[:len(x)], dy[:len(x)]
	for i, v := range x {
		xhat := ((float64(v) - hi) - lo) * rstd
		d := float64(dy[i])
		dgamma[i] += d * xhat
		dbeta[i] += d
		u := d * float64(gamma[i])
		s += u
		p += u * xhat
	}
	return s, p
}

// affineGradGo sets dx = rstd·(gamma·dy − a − x̂·b).
func affineGradGo[T Float](dx, x, gamma, dy []T, hi, lo, rstd, a, b float64) {
	dx, gamma, dy = dx[:len(x)], gamma[:len(x)], dy[:len(x)]
	for i, v := range x {
		xhat := ((float64(v) - hi) - lo) * rstd
		dx[i] = T(rstd * ((float64(dy[i])*float64(gamma[i]) - a) - xhat*b))
	}
}

// scaleRunGo sets w = v·a.
func scaleRunGo[T Float](w, v []T, a float64) {
	w = w[:len(v)]
	for i, x := range v {
		w[i] = T(float64(x) * a)
	}
}

// scaleGradGo sets dv = a·(dw − v·b). dv may be dw.
func scaleGradGo[T Float](dv, v, dw []T, a, b float64) {
	dv, dw = dv[:len(v)], dw[:len(v)]
	for i, x := range v {
		dv[i] = T(a * (float64(dw[i]) - float64(x)*b))
	}
}
