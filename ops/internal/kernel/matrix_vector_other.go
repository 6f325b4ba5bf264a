//go:build !amd64 || purego || noasm

package kernel

// rowProducts adds to each element of out the product of a row of w and x.
func rowProducts[T Float](out []float64, w []T, x []float64, stride int) {
	rowProductsGo(out, w, x, stride)
}

// columnProducts adds to out each row of w, times its element of x.
func columnProducts[T Float](out []float64, w []T, x []float64, stride int) {
	columnProductsGo(out, w, x, stride)
}

// addOuter sets out = scale·x + byY·y + along·u·vᵀ.
func addOuter[T Float](out, x, y []T, u, v []float64, scale, byY, along float64) {
	addOuterGo(out, x, y, u, v, scale, byY, along)
}
