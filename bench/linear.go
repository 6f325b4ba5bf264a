package main

import (
	"github.com/gorgonorm/norm/internal/gemm"
	"gonum.org/v1/gonum/blas"
	"gorgonia.org/tensor"
)

// newRawLinear is a plain linear map, y = x·wᵀ + b, by direct calls of the BLAS
// that is in use. The weight-norm linear layer is compared with it.
func newRawLinear(c benchCase, pass string, d *data) *program {
	if c.dtype == tensor.Float32 {
		return rawLinear[float32](c, pass, d)
	}
	return rawLinear[float64](c, pass, d)
}

func rawLinear[T float32 | float64](c benchCase, pass string, d *data) *program {
	batch, in, out := c.shape[0], c.shape[1], c.shape[2]
	x, w, b := d.args[0].Data().([]T), d.args[1].Data().([]T), d.args[2].Data().([]T)
	dy := d.dy.Data().([]T)
	y := make([]T, batch*out)
	dx, dw, db := make([]T, len(x)), make([]T, len(w)), make([]T, len(b))
	forward := func() {
		gemm.Set(blas.NoTrans, blas.Trans, batch, out, in, x, w, y)
		for r := range batch {
			row := y[r*out : (r+1)*out]
			for i, v := range b {
				row[i] += v
			}
		}
	}
	gradient := func() {
		gemm.Set(blas.NoTrans, blas.NoTrans, batch, in, out, dy, w, dx)
		gemm.Set(blas.Trans, blas.NoTrans, out, in, batch, dy, x, dw)
		clear(db)
		for r := range batch {
			row := dy[r*out : (r+1)*out]
			for i := range db {
				db[i] += row[i]
			}
		}
	}
	run := func() error {
		if pass != bwd {
			forward()
		}
		if pass != fwd {
			gradient()
		}
		return nil
	}
	check := func() error {
		var o outcome
		if pass != bwd {
			o.y = vectorOver(y)
		}
		if pass != fwd {
			o.grads = []vector{vectorOver(dx), vectorOver(dw), vectorOver(db)}
		}
		return verify(c, d, o)
	}
	return &program{run: run, check: check, close: func() {}}
}
