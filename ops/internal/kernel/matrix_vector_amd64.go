//go:build amd64 && !purego && !noasm

package kernel

// rowProducts adds to each element of out the product of a row of w and x.
func rowProducts[T Float](out []float64, w []T, x []float64, stride int) {
	rows, n := len(out), len(x)
	_ = w[(rows-1)*stride+n-1]
	switch {
	case isa == generic:
		rowProductsGo(out, w, x, stride)
	case isa == avx2 && is32[T]():
		rowProductsF32AVX2(&out[0], f32(w), &x[0], rows, n, stride*4)
	case isa == avx2:
		rowProductsF64AVX2(&out[0], f64(w), &x[0], rows, n, stride*8)
	case is32[T]():
		rowProductsF32AVX512(&out[0], f32(w), &x[0], rows, n, stride*4)
	default:
		rowProductsF64AVX512(&out[0], f64(w), &x[0], rows, n, stride*8)
	}
}

// columnProducts adds to out each row of w, times its element of x.
func columnProducts[T Float](out []float64, w []T, x []float64, stride int) {
	rows, n := len(x), len(out)
	_ = w[(rows-1)*stride+n-1]
	switch {
	case isa == generic:
		columnProductsGo(out, w, x, stride)
	case isa == avx2 && is32[T]():
		columnProductsF32AVX2(&out[0], f32(w), &x[0], rows, n, stride*4)
	case isa == avx2:
		columnProductsF64AVX2(&out[0], f64(w), &x[0], rows, n, stride*8)
	case is32[T]():
		columnProductsF32AVX512(&out[0], f32(w), &x[0], rows, n, stride*4)
	default:
		columnProductsF64AVX512(&out[0], f64(w), &x[0], rows, n, stride*8)
	}
}

// addOuter sets out = scale·x + byY·y + along·u·vᵀ.
func addOuter[T Float](out, x, y []T, u, v []float64, scale, byY, along float64) {
	rows, n := len(u), len(v)
	all := rows * n
	out, x, y = out[:all], x[:all], y[:all]
	switch {
	case isa == generic:
		addOuterGo(out, x, y, u, v, scale, byY, along)
	case isa == avx2 && is32[T]():
		addOuterF32AVX2(f32(out), f32(x), f32(y), &u[0], &v[0], scale, byY, along, rows, n)
	case isa == avx2:
		addOuterF64AVX2(f64(out), f64(x), f64(y), &u[0], &v[0], scale, byY, along, rows, n)
	case is32[T]():
		addOuterF32AVX512(f32(out), f32(x), f32(y), &u[0], &v[0], scale, byY, along, rows, n)
	default:
		addOuterF64AVX512(f64(out), f64(x), f64(y), &u[0], &v[0], scale, byY, along, rows, n)
	}
}
