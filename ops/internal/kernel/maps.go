package kernel

// The loops that set each element of a block from others and from the constants
// of its channel. As in sums.go these are the definitions.

// A line is a run of n elements, of which element i has the constants of
// channel + i·step.
type line struct{ at, n, channel, step int }

// lines gives the lines of a block: runs of one channel, or rows where each
// element is of a channel of its own.
func (b block) lines(yield func(line) bool) {
	for row := range b.eachRow {
		if b.columns() {
			if !yield(line{row, b.channels, b.channel, 1}) {
				return
			}
			continue
		}
		for c := range b.channels {
			if !yield(line{row + c*b.pitch, b.inner, b.channel + c, 0}) {
				return
			}
		}
	}
}

// normalizeGo sets y = (x − m)·scale + shift.
func normalizeGo[T Float](y, x []T, k constants[T], b block) {
	m, scale, shift := k.of(0), k.of(1), k.of(2)
	for l := range b.lines {
		y := y[l.at:][:l.n]
		for i, v := range x[l.at:][:l.n] {
			c := l.channel + i*l.step
			y[i] = T((float64(v)-m[c])*scale[c] + shift[c])
		}
	}
}

// normGradGo sets dx = ((dy·gamma − a) − (x − m)·b)·scale.
func normGradGo[T Float](dx, x, dy []T, k constants[T], b block) {
	m, scale, gamma, ka, kb := k.of(0), k.of(1), k.of(2), k.of(3), k.of(4)
	for l := range b.lines {
		dx, dy := dx[l.at:][:l.n], dy[l.at:][:l.n]
		for i, v := range x[l.at:][:l.n] {
			c := l.channel + i*l.step
			dx[i] = T(((float64(dy[i])*gamma[c] - ka[c]) - (float64(v)-m[c])*kb[c]) * scale[c])
		}
	}
}

// scaledGo sets w = v·scale + shift. w may be v.
func scaledGo[T Float](w, v []T, k constants[T], b block) {
	scale, shift := k.of(0), k.of(1)
	for l := range b.lines {
		w := w[l.at:][:l.n]
		for i, x := range v[l.at:][:l.n] {
			c := l.channel + i*l.step
			w[i] = T(float64(x)*scale[c] + shift[c])
		}
	}
}

// scaleGradGo sets dv = (dw − v·b)·scale. dv may be dw.
func scaleGradGo[T Float](dv, v, dw []T, k constants[T], b block) {
	scale, kb := k.of(0), k.of(1)
	for l := range b.lines {
		dv, dw := dv[l.at:][:l.n], dw[l.at:][:l.n]
		for i, x := range v[l.at:][:l.n] {
			c := l.channel + i*l.step
			dv[i] = T((float64(dw[i]) - float64(x)*kb[c]) * scale[c])
		}
	}
}
