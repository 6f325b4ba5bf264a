package main

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/gorgonorm/norm/ops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Wrong results are not timed: the first result of a case is compared with plain float64
// arithmetic, in its first and its last row or channel.

// outcome has the results of a run: y, and the gradients of the arguments if the pass has
// them.
type outcome struct {
	y     vector // empty where the pass has none
	grads []vector
	stats *ops.RunningStats // batch norm's, or nil
	slack float64           // the tolerance is at least this

	vectors *ops.SingularVectors // spectral norm's
}

// vector are the elements of a tensor of either dtype.
type vector struct {
	f32 []float32
	f64 []float64
}

// vectorOf returns the elements of a value, none if there is no value.
func vectorOf(v G.Value) vector {
	if v == nil {
		return vector{}
	}
	switch d := v.Data().(type) {
	case []float32:
		return vector{f32: d}
	case []float64:
		return vector{f64: d}
	case float32:
		return vector{f32: []float32{d}}
	case float64:
		return vector{f64: []float64{d}}
	}
	return vector{}
}

func vectorOver[T float32 | float64](s []T) vector {
	switch s := any(s).(type) {
	case []float32:
		return vector{f32: s}
	case []float64:
		return vector{f64: s}
	}
	return vector{}
}

func (v vector) len() int { return len(v.f32) + len(v.f64) }

func (v vector) slice(from, to int) vector {
	if v.f32 != nil {
		return vector{f32: v.f32[from:to]}
	}
	return vector{f64: v.f64[from:to]}
}

// pick returns n elements, every step-th.
func (v vector) pick(from, step, n int) []float64 {
	out := make([]float64, n)
	if v.f32 != nil {
		for i := range out {
			out[i] = float64(v.f32[from+i*step])
		}
		return out
	}
	for i := range out {
		out[i] = v.f64[from+i*step]
	}
	return out
}

// all returns all elements.
func (v vector) all() []float64 { return v.pick(0, 1, v.len()) }

// verify compares an outcome with the reference.
func verify(c benchCase, d *data, o outcome) error {
	k := checker{data: d, outcome: o, tolerance: max(o.slack, tolerance(c.dtype))}
	if o.y.len() == 0 && o.grads == nil {
		return errors.New("there is no value")
	}
	f, isFamily := c.family()
	switch {
	case isFamily:
		f.check(&k, c.shape)
	case c.name == "layernorm":
		k.layerNorm(c.shape)
	case c.isBatchNorm():
		k.batchNorm(c.shape, !c.evaluates())
	case c.name == "weight_norm":
		k.weightNorm(c.shape)
	default:
		k.linear(c.shape)
	}
	return k.err
}

// tolerance is relative to the largest value of a row. It must allow for products that are
// computed in the dtype itself.
func tolerance(dt tensor.Dtype) float64 {
	if dt == tensor.Float32 {
		return 2e-5
	}
	return 1e-12
}

// checker compares, and keeps the first difference.
type checker struct {
	*data
	outcome
	tolerance float64
	err       error
}

// result compares a stretch of the result, if the pass has one.
func (k *checker) result(what string, at int, want []float64) {
	if k.y.len() > 0 {
		k.compare(what, k.y, at, 1, want)
	}
}

// gradient compares a piece of the gradient of an argument, if the pass has
// gradients.
func (k *checker) gradient(arg, at, step int, want []float64) {
	if k.grads != nil {
		k.compare("the gradient of "+k.names[arg], k.grads[arg], at, step, want)
	}
}

func (k *checker) compare(what string, got vector, at, step int, want []float64) {
	if k.err != nil {
		return
	}
	if last := at + step*(len(want)-1); last >= got.len() {
		k.err = fmt.Errorf("%s has %d elements, want more than %d", what, got.len(), last)
		return
	}
	k.err = compare(fmt.Sprintf("%s from %d by %d", what, at, step), got.pick(at, step, len(want)), want, k.tolerance)
}

func compare(what string, got, want []float64, tolerance float64) error {
	scale := 1.0
	for _, w := range want {
		scale = max(scale, math.Abs(w))
	}
	for i, w := range want {
		if !(math.Abs(got[i]-w) <= tolerance*scale) {
			return fmt.Errorf("%s: element %d is %g, want %g", what, i, got[i], w)
		}
	}
	return nil
}

func (k *checker) arg(i int) vector { return vectorOf(k.args[i]) }

func (k *checker) layerNorm(shape []int) {
	x, dy := k.arg(0), vectorOf(k.dy)
	cols := shape[len(shape)-1]
	rows := x.len() / cols
	gamma, beta := k.arg(1).all(), k.arg(2).all()
	dgamma, dbeta := make([]float64, 2), make([]float64, 2) // of the first and the last column
	for r := range rows {
		xs, dys := x.pick(r*cols, 1, cols), dy.pick(r*cols, 1, cols)
		mean, variance := moments(xs)
		xhat, rstd := normalized(xs, mean, variance)
		for i, c := range []int{0, cols - 1} {
			dgamma[i] += dys[c] * xhat[c]
			dbeta[i] += dys[c]
		}
		if r > 0 && r < rows-1 {
			continue
		}
		k.result("y", r*cols, scaled(xhat, gamma, beta))
		k.gradient(0, r*cols, 1, backThrough(xhat, scaled(dys, gamma, nil), rstd))
	}
	k.gradient(1, 0, cols-1, dgamma)
	k.gradient(2, 0, cols-1, dbeta)
}

func (k *checker) batchNorm(shape []int, training bool) {
	x, dy := k.arg(0), vectorOf(k.dy)
	inner := tensor.Shape(shape[2:]).TotalSize()
	gammas, betas := k.arg(1).all(), k.arg(2).all()
	for _, c := range []int{0, shape[1] - 1} {
		xs, dys := channel(x, shape, c), channel(dy, shape, c)
		mean, variance := k.mean[c], k.variance[c]
		if training {
			mean, variance = moments(xs)
			k.running(c, mean, variance*float64(len(xs))/float64(len(xs)-1))
		}
		gamma, beta := repeated(gammas[c], len(xs)), repeated(betas[c], len(xs))
		xhat, rstd := normalized(xs, mean, variance)
		dx := backThrough(xhat, scaled(dys, gamma, nil), rstd)
		y := scaled(xhat, gamma, beta)
		for n := range shape[0] {
			at := (n*shape[1] + c) * inner
			k.result("y", at, y[n*inner:(n+1)*inner])
			k.gradient(0, at, 1, dx[n*inner:(n+1)*inner])
		}
		k.gradient(1, c, 1, []float64{dot(dys, xhat)})
		k.gradient(2, c, 1, []float64{dot(dys, repeated(1, len(dys)))})
	}
}

// running compares the running statistics of a channel after one batch.
func (k *checker) running(c int, mean, variance float64) {
	if k.err != nil || k.stats == nil {
		return
	}
	m, v, _ := k.stats.Values()
	want := []float64{(1-momentum)*k.mean[c] + momentum*mean, (1-momentum)*k.variance[c] + momentum*variance}
	k.err = compare(fmt.Sprintf("running statistics of channel %d", c), []float64{m[c], v[c]}, want, k.tolerance)
}

// channel returns the elements of a channel, over the batch and the space.
func channel(v vector, shape []int, c int) (out []float64) {
	inner := tensor.Shape(shape[2:]).TotalSize()
	for n := range shape[0] {
		out = append(out, v.pick((n*shape[1]+c)*inner, 1, inner)...)
	}
	return out
}

func (k *checker) weightNorm(shape []int) {
	v, dw := k.arg(0), vectorOf(k.dy)
	rows, cols := shape[0], shape[1]
	gains := k.arg(1).all()
	for _, r := range []int{0, rows - 1} {
		row := v.pick(r*cols, 1, cols)
		k.result("w", r*cols, scaled(row, repeated(gains[r]/length(row), cols), nil))
		dv, dg := weightGradient(row, gains[r], dw.pick(r*cols, 1, cols))
		k.gradient(0, r*cols, 1, dv)
		k.gradient(1, r, 1, []float64{dg})
	}
}

// weightGradient returns the gradients of a row v and of its g from dw, the gradient of
// w = g·v/‖v‖.
func weightGradient(v []float64, g float64, dw []float64) (dv []float64, dg float64) {
	n := length(v)
	dg = dot(dw, v) / n
	dv = make([]float64, len(v))
	for i := range v {
		dv[i] = g / n * (dw[i] - dg*v[i]/n)
	}
	return dv, dg
}

// linear checks linear maps with a normalized weight and with a plain one.
func (k *checker) linear(shape []int) {
	batch, in, out := shape[0], shape[1], shape[2]
	normed := strings.Join(k.names, "") == "xvgb"
	bias := k.arg(len(k.args) - 1).all()
	rows := []int{0, batch - 1}
	var x, y, dx, dy [2][]float64
	for i, r := range rows {
		x[i], dy[i] = k.arg(0).pick(r*in, 1, in), vectorOf(k.dy).pick(r*out, 1, out)
		y[i], dx[i] = make([]float64, out), make([]float64, in)
	}
	for o := range out {
		at, by := k.weightRow(o, in, out)
		w := k.arg(1).pick(at, by, in)
		if normed {
			g := k.arg(2).pick(o, 1, 1)[0]
			w = scaled(w, repeated(g/length(w), in), nil)
		}
		for i := range rows {
			y[i][o] = dot(x[i], w) + bias[o]
			for j, v := range w {
				dx[i][j] += dy[i][o] * v
			}
		}
		if o == 0 || o == out-1 {
			k.linearParameters(o, batch, in, out, normed)
		}
	}
	for i, r := range rows {
		k.result("y", r*out, y[i])
		k.gradient(0, r*in, 1, dx[i])
	}
}

// linearParameters checks the gradients of the parameters that output o has.
func (k *checker) linearParameters(o, batch, in, out int, normed bool) {
	dy := vectorOf(k.dy).pick(o, out, batch)
	dw := make([]float64, in)
	for b := range batch {
		for i, v := range k.arg(0).pick(b*in, 1, in) {
			dw[i] += dy[b] * v
		}
	}
	at, by := k.weightRow(o, in, out)
	if normed {
		dv, dg := weightGradient(k.arg(1).pick(at, by, in), k.arg(2).pick(o, 1, 1)[0], dw)
		k.gradient(1, at, by, dv)
		k.gradient(2, o, 1, []float64{dg})
	} else {
		k.gradient(1, at, by, dw)
	}
	k.gradient(len(k.args)-1, o, 1, []float64{dot(dy, repeated(1, batch))})
}

// weightRow says where the weights of an output lie. A weight is (out, in), or (in, out)
// if the bias has two axes.
func (k *checker) weightRow(o, in, out int) (at, step int) {
	if k.args[len(k.args)-1].Dims() == 2 {
		return o, out
	}
	return o * in, 1
}
