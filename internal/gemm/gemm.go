// Package gemm multiplies row-major matrices without gaps, by the BLAS that was set by
// tensor.Use.
package gemm

import (
	"github.com/gorgonorm/norm/internal/dense"
	"gonum.org/v1/gonum/blas"
	"gorgonia.org/tensor"
)

// Set sets c = op(a)·op(b), m×n with k terms.
func Set[T dense.Float](transA, transB blas.Transpose, m, n, k int, a, b, c []T) {
	product(transA, transB, m, n, k, a, b, 0, c)
}

// Add is Set with c += op(a)·op(b).
func Add[T dense.Float](transA, transB blas.Transpose, m, n, k int, a, b, c []T) {
	product(transA, transB, m, n, k, a, b, 1, c)
}

func product[T dense.Float](transA, transB blas.Transpose, m, n, k int, a, b []T, beta T, c []T) {
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
		lib.Sgemm(transA, transB, m, n, k, 1, any(a).([]float32), lda, any(b).([]float32), ldb, float32(beta), c, n)
	case []float64:
		lib.Dgemm(transA, transB, m, n, k, 1, any(a).([]float64), lda, any(b).([]float64), ldb, float64(beta), c, n)
	}
}
