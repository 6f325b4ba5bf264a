//go:build amd64 && !purego && !noasm

package kernel

import "unsafe"

// layerNormRows normalizes rows in the assembly, many in a call, and says
// whether it did: not if rows end with part of a vector, or are longer than a
// block.
func layerNormRows[T Float](y, x, gamma, beta []T, p Rows) bool {
	if len(x) == 0 || p.UnbiasedStd || p.Cols > blockLen || wholeVectors(p.Cols) != p.Cols {
		return false
	}
	_, _, _ = y[len(x)-1], gamma[p.Cols-1], beta[p.Cols-1]
	for rows := len(x) / p.Cols; rows > 0; {
		// What float32 arithmetic is too coarse for is done four by four.
		done := layerNormRowsSingle(y, x, gamma, beta, rows&^3, p)
		layerNormRowsDouble(y[done*p.Cols:], x[done*p.Cols:], gamma, beta, min(4, rows-done), p)
		done = min(done+4, rows)
		y, x, rows = y[done*p.Cols:], x[done*p.Cols:], rows-done
	}
	return true
}

// layerNormRowsSingle normalizes float32 rows in float32 arithmetic, as far as
// it goes, and returns how many it did.
func layerNormRowsSingle[T Float](y, x, gamma, beta []T, rows int, p Rows) (done int) {
	switch {
	case rows == 0 || !is32[T]() || wholeVectors(p.Cols/2)*2 != p.Cols:
		return 0
	case isa == avx2:
		return layerNormRowsSingleAVX2(f32(y), f32(x), f32(gamma), f32(beta), rows, p.Cols, p.Eps)
	default:
		return layerNormRowsSingleAVX512(f32(y), f32(x), f32(gamma), f32(beta), rows, p.Cols, p.Eps)
	}
}

// layerNormRowsDouble normalizes rows in float64 arithmetic.
func layerNormRowsDouble[T Float](y, x, gamma, beta []T, rows int, p Rows) {
	switch {
	case rows == 0:
	case isa == avx2 && is32[T]():
		layerNormRowsF32AVX2(f32(y), f32(x), f32(gamma), f32(beta), rows, p.Cols, p.Eps)
	case isa == avx2:
		layerNormRowsF64AVX2(f64(y), f64(x), f64(gamma), f64(beta), rows, p.Cols, p.Eps)
	case is32[T]():
		layerNormRowsF32AVX512(f32(y), f32(x), f32(gamma), f32(beta), rows, p.Cols, p.Eps)
	default:
		layerNormRowsF64AVX512(f64(y), f64(x), f64(gamma), f64(beta), rows, p.Cols, p.Eps)
	}
}

// f32 and f64 point to the elements of data of that type.
func f32[T Float](x []T) *float32 { return (*float32)(unsafe.Pointer(unsafe.SliceData(x))) }
func f64[T Float](x []T) *float64 { return (*float64)(unsafe.Pointer(unsafe.SliceData(x))) }
