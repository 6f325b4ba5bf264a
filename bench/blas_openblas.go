//go:build openblas

package main

// #cgo LDFLAGS: -lopenblas
// void openblas_set_num_threads(int);
import "C"

import (
	"gonum.org/v1/netlib/blas/netlib"
	G "gorgonia.org/gorgonia"
)

func init() {
	G.Use(netlib.Implementation{}) // also sets the BLAS of package tensor
	systemSuffix += "-openblas"
	setBLASThreads = func(n int) { C.openblas_set_num_threads(C.int(n)) }
}
