//go:build openblas

package main

// #cgo LDFLAGS: -lopenblas
import "C"

import (
	"gonum.org/v1/netlib/blas/netlib"
	G "gorgonia.org/gorgonia"
)

// Matrix products are OpenBLAS's, in Gorgonia's ops and in those of package norm.
func init() { G.Use(netlib.Implementation{}) }
