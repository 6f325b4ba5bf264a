package main

import (
	"math"

	"gorgonia.org/tensor"
)

// partition says which elements are normalized together, and which parameter
// belongs to an element.
type partition struct {
	groups, params int
	group, param   func(i int) int
	uncentred      bool
	counts         func(i int) bool // nil: every element
}

// rowsOf makes groups of the rows along the last axis.
func rowsOf(shape []int, uncentred bool) partition {
	n := last(shape)
	return partition{
		groups: tensor.Shape(shape).TotalSize() / n, group: func(i int) int { return i / n },
		params: n, param: func(i int) int { return i % n }, uncentred: uncentred,
	}
}

// channelsOf makes groups of per channels of a sample.
func channelsOf(shape []int, per int) partition {
	c, inner := shape[1], tensor.Shape(shape[2:]).TotalSize()
	return partition{
		groups: shape[0] * c / per, group: func(i int) int { return i / (per * inner) },
		params: c, param: func(i int) int { return i / inner % c },
	}
}

// partitioned checks every element of a norm by its definition. The arguments are x, then
// those that the norm has of r, which is added to x, γ and β.
func (k *checker) partitioned(p partition) {
	x, dy := k.arg(0).all(), vectorOf(k.dy).all()
	gamma, beta := repeated(1, p.params), make([]float64, p.params)
	at := map[string]int{}
	for i, name := range k.names {
		at[name] = i
		switch v := k.arg(i).all(); name {
		case "r":
			for j := range x {
				x[j] += v[j]
			}
		case "gamma":
			gamma = v
		case "beta":
			beta = v
		}
	}
	each := func(f func(i, group, param int)) {
		for i := range x {
			if p.counts == nil || p.counts(i) {
				f(i, p.group(i), p.param(i))
			}
		}
	}
	n, mean, rstd := make([]float64, p.groups), make([]float64, p.groups), make([]float64, p.groups)
	each(func(i, g, _ int) { n[g]++; mean[g] += x[i] })
	for g := range mean {
		mean[g] /= n[g]
		if p.uncentred {
			mean[g] = 0
		}
	}
	each(func(i, g, _ int) { rstd[g] += (x[i] - mean[g]) * (x[i] - mean[g]) })
	for g := range rstd {
		rstd[g] = 1 / math.Sqrt(rstd[g]/n[g]+eps)
	}
	xhat := func(i, g int) float64 { return (x[i] - mean[g]) * rstd[g] }

	want := make([]float64, len(x))
	each(func(i, g, c int) { want[i] = xhat(i, g)*gamma[c] + beta[c] })
	k.result("y", 0, want)

	u, along := make([]float64, p.groups), make([]float64, p.groups)
	dgamma, dbeta := make([]float64, p.params), make([]float64, p.params)
	each(func(i, g, c int) {
		u[g] += dy[i] * gamma[c]
		along[g] += dy[i] * gamma[c] * xhat(i, g)
		dgamma[c] += dy[i] * xhat(i, g)
		dbeta[c] += dy[i]
	})
	each(func(i, g, c int) {
		d := dy[i]*gamma[c] - xhat(i, g)*along[g]/n[g]
		if !p.uncentred {
			d -= u[g] / n[g]
		}
		want[i] = d * rstd[g]
	})
	for name, w := range map[string][]float64{"x": want, "r": want, "gamma": dgamma, "beta": dbeta} {
		if i, ok := at[name]; ok {
			k.gradient(i, 0, 1, w)
		}
	}
}

// normalize checks y = x/‖x‖ along axis 1, the last one.
func (k *checker) normalize(shape []int) {
	x, dy := k.arg(0).all(), vectorOf(k.dy).all()
	y, dx := make([]float64, len(x)), make([]float64, len(x))
	cols := last(shape)
	for r := 0; r < len(x); r += cols {
		row, n := x[r:r+cols], length(x[r:r+cols])
		along := dot(dy[r:r+cols], row) / (n * n)
		for i, v := range row {
			y[r+i] = v / n
			dx[r+i] = (dy[r+i] - along*v) / n
		}
	}
	k.result("y", 0, y)
	k.gradient(0, 0, 1, dx)
}

// localResponse checks y = x/s^β with s = k + α/n·Σx² over the window of a channel.
func (k *checker) localResponse(shape []int) {
	x, dy := k.arg(0).all(), vectorOf(k.dy).all()
	c, inner := shape[1], tensor.Shape(shape[2:]).TotalSize()
	p := localResponse
	share := p.Alpha / float64(p.Size)
	s, y, dx := make([]float64, len(x)), make([]float64, len(x)), make([]float64, len(x))
	window := func(i int, f func(j int)) { // the channels around that of i, by PyTorch's rule
		at := i / inner % c
		for ch := max(0, at-p.Size/2); ch <= min(c-1, at+(p.Size-1)/2); ch++ {
			f(i + (ch-at)*inner)
		}
	}
	for i := range x {
		s[i] = p.K
		window(i, func(j int) { s[i] += share * x[j] * x[j] })
		y[i] = x[i] * math.Pow(s[i], -p.Beta)
		dx[i] += dy[i] * math.Pow(s[i], -p.Beta)
		d := -2 * p.Beta * share * dy[i] * x[i] * math.Pow(s[i], -p.Beta-1)
		window(i, func(j int) { dx[j] += d * x[j] })
	}
	k.result("y", 0, y)
	k.gradient(0, 0, 1, dx)
}

// spectralNorm checks W/σ for the vectors u and v of the run, and that u is what the
// iteration makes of v.
func (k *checker) spectralNorm(shape []int) {
	w, dy := k.arg(0).all(), vectorOf(k.dy).all()
	u, v := k.vectors.Values()
	wv := make([]float64, shape[0])
	for i := range wv {
		wv[i] = dot(w[i*shape[1]:(i+1)*shape[1]], v)
	}
	sigma := dot(u, wv)
	if k.err == nil {
		k.err = compare("u", u, scaled(wv, repeated(1/length(wv), len(wv)), nil), k.tolerance)
	}
	y, dw, along := make([]float64, len(w)), make([]float64, len(w)), dot(dy, w)/sigma
	for i := range w {
		y[i] = w[i] / sigma
		dw[i] = (dy[i] - along*u[i/shape[1]]*v[i%shape[1]]) / sigma
	}
	k.result("w", 0, y)
	k.gradient(0, 0, 1, dw)
}
