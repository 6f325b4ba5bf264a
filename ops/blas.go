package ops

import (
	"github.com/gorgonorm/norm/internal/dense"
	"gonum.org/v1/gonum/blas"
	"gorgonia.org/tensor"
)

// gemm sets c = op(a)·op(b), m×n with k terms, for row-major matrices without
// gaps, by the BLAS that tensor.Use has set.
func gemm[T dense.Float](transA, transB blas.Transpose, m, n, k int, a, b, c []T) {
	lda, ldb := k, n
	if transA == blas.Trans {
		lda = m
	}
	if transB == blas.Trans {
		ldb = k
	}
	lib := tensor.WhichBLAS()
	switch c := any(c).(type) {
	case []float32:
		lib.Sgemm(transA, transB, m, n, k, 1, any(a).([]float32), lda, any(b).([]float32), ldb, 0, c, n)
	case []float64:
		lib.Dgemm(transA, transB, m, n, k, 1, any(a).([]float64), lda, any(b).([]float64), ldb, 0, c, n)
	}
}
