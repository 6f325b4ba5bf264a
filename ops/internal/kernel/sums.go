package kernel

// The loops that add up, for each channel of a block. These are their definitions, in
// float64 arithmetic, which run where there is no assembly. The functions without Go in
// their names choose between the two (loops_amd64.go). In runs, sums go to four
// accumulators in turn, which hides the latency of the addition and shortens the chains
// that rounding errors grow along.

// sumsGo adds Σ x.
func sumsGo[T Float](s []float64, x []T, b block) {
	for row := range b.eachRow {
		if b.columns() {
			s := s[b.channel:][:b.channels]
			for j, v := range x[row:][:b.channels] {
				s[j] += float64(v)
			}
			continue
		}
		for c := range b.channels {
			s[b.channel+c] += sumGo(x[row+c*b.pitch:][:b.inner])
		}
	}
}

// centredSumsGo adds Σ(x − m) and Σ(x − m)².
func centredSumsGo[T Float](d, q []float64, x, m []T, b block) {
	for row := range b.eachRow {
		if b.columns() {
			d, q, m := d[b.channel:][:b.channels], q[b.channel:][:b.channels], m[b.channel:][:b.channels]
			for j, v := range x[row:][:b.channels] {
				e := float64(v) - float64(m[j])
				d[j] += e
				q[j] += e * e
			}
			continue
		}
		for c := range b.channels {
			di, qi := centredGo(x[row+c*b.pitch:][:b.inner], float64(m[b.channel+c]))
			d[b.channel+c] += di
			q[b.channel+c] += qi
		}
	}
}

// gradSumsGo adds Σ dy, Σ dy·(x − m) and Σ dy².
func gradSumsGo[T Float](s, p, e []float64, x, dy, m []T, b block) {
	for row := range b.eachRow {
		if b.columns() {
			s, p, e, m := s[b.channel:][:b.channels], p[b.channel:][:b.channels], e[b.channel:][:b.channels], m[b.channel:][:b.channels]
			dy := dy[row:][:b.channels]
			for j, v := range x[row:][:b.channels] {
				d := float64(dy[j])
				s[j] += d
				p[j] += d * (float64(v) - float64(m[j]))
				e[j] += d * d
			}
			continue
		}
		for c := range b.channels {
			at := row + c*b.pitch
			m, dy := float64(m[b.channel+c]), dy[at:][:b.inner]
			var s4, p4, e4 [4]float64
			for i, v := range x[at:][:b.inner] {
				d := float64(dy[i])
				s4[i&3] += d
				p4[i&3] += d * (float64(v) - m)
				e4[i&3] += d * d
			}
			s[b.channel+c] += sumGo(s4[:])
			p[b.channel+c] += sumGo(p4[:])
			e[b.channel+c] += sumGo(e4[:])
		}
	}
}

// squaresGo adds Σ v².
func squaresGo[T Float](q []float64, v []T, b block) {
	for row := range b.eachRow {
		if b.columns() {
			q := q[b.channel:][:b.channels]
			for j, x := range v[row:][:b.channels] {
				q[j] += float64(x) * float64(x)
			}
			continue
		}
		for c := range b.channels {
			run := v[row+c*b.pitch:][:b.inner]
			q[b.channel+c] += dotGo(run, run)
		}
	}
}

// dotsGo adds Σ v² and Σ v·dw.
func dotsGo[T Float](q, p []float64, v, dw []T, b block) {
	squaresGo(q, v, b)
	for row := range b.eachRow {
		if b.columns() {
			p, dw := p[b.channel:][:b.channels], dw[row:][:b.channels]
			for j, x := range v[row:][:b.channels] {
				p[j] += float64(x) * float64(dw[j])
			}
			continue
		}
		for c := range b.channels {
			at := row + c*b.pitch
			p[b.channel+c] += dotGo(v[at:][:b.inner], dw[at:][:b.inner])
		}
	}
}

// eachRow gives where each row begins.
func (b block) eachRow(yield func(at int) bool) {
	for r := range b.rows {
		if !yield(b.at + r*b.stride) {
			return
		}
	}
}

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
func dotGo[A, B Float](a []A, b []B) float64 {
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
