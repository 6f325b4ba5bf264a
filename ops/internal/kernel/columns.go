package kernel

// The loops over columns: reductions over a block of rows with one
// accumulator for each column, and maps over one row with one constant for
// each column. As in runs.go these are the definitions.

// columnSumsGo adds to s[j] the elements of column j.
func columnSumsGo[T Float](s []float64, x []T, b block) {
	for i, at := 0, b.off; i < b.count; i, at = i+1, at+b.stride {
		row := x[at:][:len(s)]
		for j, v := range row {
			s[j] += float64(v)
		}
	}
}

// columnCentredGo adds to d[j] and q[j] the sums of x − m[j] and (x − m[j])².
func columnCentredGo[T Float](d, q []float64, x []T, b block, m []float64) {
	q, m = q[:len(d)], m[:len(d)]
	for i, at := 0, b.off; i < b.count; i, at = i+1, at+b.stride {
		row := x[at:][:len(d)]
		for j, v := range row {
			e := float64(v) - m[j]
			d[j] += e
			q[j] += e * e
		}
	}
}

// columnDotsGo adds to s[j] the products of column j of a and of c.
func columnDotsGo[T Float](s []float64, a, c []T, b block) {
	for i, at := 0, b.off; i < b.count; i, at = i+1, at+b.stride {
		ra, rc := a[at:][:len(s)], c[at:][:len(s)]
		for j, v := range ra {
			s[j] += float64(v) * float64(rc[j])
		}
	}
}

// columnNormGradSumsGo adds to s[j] the sum of dy and to p[j] that of
// dy·(x − mean) over column j.
func columnNormGradSumsGo[T Float](s, p []float64, x, dy []T, b block, hi, lo []float64) {
	p, hi, lo = p[:len(s)], hi[:len(s)], lo[:len(s)]
	for i, at := 0, b.off; i < b.count; i, at = i+1, at+b.stride {
		rx, rd := x[at:][:len(s)], dy[at:][:len(s)]
		for j, v := range rx {
			d := float64(rd[j])
			s[j] += d
			p[j] += d * ((float64(v) - hi[j]) - lo[j])
		}
	}
}

// normalizeRowGo sets y = (x − mean)·scale + shift with a mean, a scale and a
// shift for each element.
func normalizeRowGo[T Float](y, x []T, hi, lo, scale, shift []float64) {
	n := len(x)
	y, hi, lo, scale, shift = y[:n], hi[:n], lo[:n], scale[:n], shift[:n]
	for j, v := range x {
		y[j] = T(((float64(v)-hi[j])-lo[j])*scale[j] + shift[j])
	}
}

// normGradRowGo sets dx = scale·(dy − a − (x − mean)·b) with constants for each
// element.
func normGradRowGo[T Float](dx, x, dy []T, hi, lo, scale, a, b []float64) {
	n := len(x)
	dx, dy, hi, lo, scale, a, b = dx[:n], dy[:n], hi[:n], lo[:n], scale[:n], a[:n], b[:n]
	for j, v := range x {
		dx[j] = T(scale[j] * ((float64(dy[j]) - a[j]) - ((float64(v)-hi[j])-lo[j])*b[j]))
	}
}

// scaleRowGo sets w = v·a + c with an a and a c for each element.
func scaleRowGo[T Float](w, v []T, a, c []float64) {
	n := len(v)
	w, a, c = w[:n], a[:n], c[:n]
	for j, x := range v {
		w[j] = T(float64(x)*a[j] + c[j])
	}
}

// scaleGradRowGo sets dv = a·(dw − v·b) with an a and a b for each element. dv
// may be dw.
func scaleGradRowGo[T Float](dv, v, dw []T, a, b []float64) {
	n := len(v)
	dv, dw, a, b = dv[:n], dw[:n], a[:n], b[:n]
	for j, x := range v {
		dv[j] = T(a[j] * (float64(dw[j]) - float64(x)*b[j]))
	}
}
