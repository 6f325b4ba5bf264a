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
		// The four rows that float32 arithmetic is too coarse for, if it applies.
		done, coarse := 0, rows
		if singleApplies[T](p) {
			done = layerNormRowsSingle(y, x, gamma, beta, rows&^3, p)
			coarse = min(4, rows-done)
		}
		layerNormRowsDouble(y[done*p.Cols:], x[done*p.Cols:], gamma, beta, coarse, p)
		done += coarse
		y, x, rows = y[done*p.Cols:], x[done*p.Cols:], rows-done
	}
	return true
}

// In float32 arithmetic no lane adds up more than four squares: where one element
// is far from all others, each further addition costs up to half an ulp of the
// variance. AVX2 has two registers of eight lanes for it, AVX-512 four of sixteen.
const (
	singleColsAVX2   = 4 * 2 * 8
	singleColsAVX512 = 4 * 4 * 16
)

func singleApplies[T Float](p Rows) bool {
	most := singleColsAVX512
	if isa == avx2 {
		most = singleColsAVX2
	}
	return is32[T]() && p.Cols <= most && wholeVectors(p.Cols/2)*2 == p.Cols
}

// layerNormRowsSingle normalizes float32 rows, a multiple of 4, in float32
// arithmetic, as far as it goes, and returns how many it did.
func layerNormRowsSingle[T Float](y, x, gamma, beta []T, rows int, p Rows) (done int) {
	switch {
	case rows == 0:
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
