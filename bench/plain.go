package main

import (
	"math"
	"slices"
	"strings"
)

// Plain float64 arithmetic, to compare with.

func moments(x []float64) (mean, variance float64) {
	for _, v := range x {
		mean += v
	}
	mean /= float64(len(x))
	for _, v := range x {
		variance += (v - mean) * (v - mean)
	}
	return mean, variance / float64(len(x))
}

func normalized(x []float64, mean, variance float64) (xhat []float64, rstd float64) {
	rstd = 1 / math.Sqrt(variance+eps)
	xhat = make([]float64, len(x))
	for i, v := range x {
		xhat[i] = (v - mean) * rstd
	}
	return xhat, rstd
}

// backThrough returns the gradient of what was normalized to x̂, for the
// gradient h of x̂, through the mean and the variance too.
func backThrough(xhat, h []float64, rstd float64) []float64 {
	n := float64(len(h))
	along, mean := dot(h, xhat)/n, dot(h, repeated(1, len(h)))/n
	dx := make([]float64, len(h))
	for i := range h {
		dx[i] = rstd * (h[i] - mean - xhat[i]*along)
	}
	return dx
}

// scaled returns x·scale + shift; shift may be nil.
func scaled(x, scale, shift []float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = v * scale[i]
		if shift != nil {
			out[i] += shift[i]
		}
	}
	return out
}

func dot(a, b []float64) (s float64) {
	for i, v := range a {
		s += v * b[i]
	}
	return s
}

func length(v []float64) float64 { return math.Sqrt(dot(v, v)) }

func repeated(v float64, n int) []float64 { return slices.Repeat([]float64{v}, n) }

// wantLoss computes the loss of a model, whose norms have γ = 1 and β = 0.
func (m *mlp) wantLoss() float64 {
	sizes, batch := m.c.shape[1:], m.c.shape[0]
	h := make([][]float64, batch)
	for r := range h {
		h[r] = vectorOf(m.x).pick(r*sizes[0], 1, sizes[0])
	}
	for i, in := range sizes[:len(sizes)-1] {
		out := sizes[i+1]
		w, b := vectorOf(m.weights[2*i]), vectorOf(m.weights[2*i+1]).all()
		next := make([][]float64, batch)
		for r := range next {
			next[r] = make([]float64, out)
		}
		for o := range out {
			column := w.pick(o, out, in)
			for r := range next {
				next[r][o] = dot(h[r], column) + b[o]
			}
		}
		h = next
		if i+2 < len(sizes) {
			m.plainNorm(h)
			rectify(h)
		}
	}
	loss := 0.0
	for r, label := range m.labels {
		loss += logSumExp(h[r]) - h[r][label]
	}
	return loss / float64(batch)
}

// plainNorm normalizes in place as the name of the model says.
func (m *mlp) plainNorm(h [][]float64) {
	switch {
	case strings.HasSuffix(m.c.name, "_nonorm"):
	case strings.HasSuffix(m.c.name, "_layernorm"):
		for r := range h {
			mean, variance := moments(h[r])
			h[r], _ = normalized(h[r], mean, variance)
		}
	default:
		column := make([]float64, len(h))
		for o := range h[0] {
			for r := range h {
				column[r] = h[r][o]
			}
			mean, variance := moments(column)
			xhat, _ := normalized(column, mean, variance)
			for r := range h {
				h[r][o] = xhat[r]
			}
		}
	}
}

func rectify(h [][]float64) {
	for _, row := range h {
		for i := range row {
			row[i] = max(row[i], 0)
		}
	}
}

func logSumExp(x []float64) float64 {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, v)
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum)
}
