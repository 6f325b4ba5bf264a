//go:build !amd64 || purego || noasm

package kernel

// layerNormRows normalizes rows.
func layerNormRows[T Float](y, x, gamma, beta []T, p Rows, all int) {
	layerNormRowsGo(y, x, gamma, beta, p)
}

// layerNormGradRows gives dx of rows and adds to grads, which are dgamma and dbeta,
// padded, one behind the other, or nil.
func layerNormGradRows[T Float](dx []T, grads []float64, x, gamma, dy []T, p Rows, all int) {
	layerNormGradRowsGo(dx, grads, x, gamma, dy, p)
}

// sumParts sets out to the sums down the columns of a matrix, of which every row has
// stride elements.
func sumParts[T Float](out []T, parts []float64, stride int) { sumPartsGo(out, parts, stride) }
