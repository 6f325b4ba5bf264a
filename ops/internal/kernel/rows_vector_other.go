//go:build !amd64 || purego || noasm

package kernel

// byDefinition says whether rows are left to the definitions altogether.
func byDefinition[T Float](p Rows) bool { return true }

// layerNormRows normalizes rows.
func layerNormRows[T Float](y, x, gamma, beta []T, p Rows, all int) {
	layerNormRowsGo(y, x, gamma, beta, p)
}

// layerNormGradRows gives dx of rows and adds to the sums for dγ and dβ, if there are any.
func layerNormGradRows[T Float](dx []T, grads rowSums, x, gamma, dy []T, p Rows, all int) {
	layerNormGradRowsGo(dx, grads.sums, x, gamma, dy, p)
}

// sumParts sets out to the sums of the columns of parts, a matrix whose rows have stride
// elements.
func sumParts[T Float](out []T, parts []float64, stride int) { sumPartsGo(out, parts, stride) }
