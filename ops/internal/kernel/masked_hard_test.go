package kernel

import (
	"math"
	"testing"
)

// What is hard without padding is as exact with it: data whose squares leave the range or
// whose mean is large, and gradients that mostly cancel.
func TestMaskedHard(t *testing.T) { both(t, maskedHard[float32], maskedHard[float64]) }

func maskedHard[T Float](t *testing.T) {
	for _, v := range []View{{40, 5, 1}, {3, 4, 50}} {
		for _, c := range conditions {
			d := newData[T]()
			m := newMaskedData[T](v, maskOf[T](v.Outer*v.Inner, 5, 0))
			m.x, m.dy = d.view(v, c), d.normal(v.Len(), 1e3, 1e-3) // dy is about 1 ± 0.001
			for _, x := range [][]T{m.x, m.dy, m.ux} {
				poison(x, m.mask, v, math.NaN())
			}
			all, what := []int{}, label("", v, c)
			for i := range v.Outer {
				all = append(all, i)
			}
			want := m.compact(all)
			want.runBatch(want.v.Inner, true)
			m.runBatch(want.v.Inner, true)
			relative(t, what+" mean", m.s.Mean, want.s.Mean)
			relative(t, what+" rstd", m.s.Rstd, want.s.Rstd)
			for ch := range v.Channels {
				relative(t, what+" dx", gather(m.dx, elementsAt(v, ch, m.positions(all))), want.dx[ch*want.v.Inner:][:want.v.Inner])
			}
			if v.Inner == 1 {
				continue // a sample of group norm is a channel
			}
			m.runGroups(v.Channels) // γ is one number, so that dx mostly cancels
			for sample := range v.Outer {
				want := m.compact([]int{sample})
				want.runGroups(v.Channels)
				for ch := range v.Channels {
					got := gather(m.dx, elementsAt(v, ch, m.positions([]int{sample})))
					relative(t, label(what+" dx of groups", sample), got, want.dx[ch*want.v.Inner:][:want.v.Inner])
				}
			}
		}
	}
}

// relative requires results that differ by little, relative to the largest.
func relative[T Float](t *testing.T, what string, got, want []T) {
	t.Helper()
	largest := 0.0
	for _, w := range want {
		largest = max(largest, math.Abs(float64(w)))
	}
	limit := map[bool]float64{true: 1e-6, false: 1e-9}[is32[T]()]
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - float64(w)); !(d <= limit*largest) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, got[i], w)
		}
	}
}
