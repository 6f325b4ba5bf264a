package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func newWeightSecond[T Float](v View, scale float64) (in WeightSecondArgs[T], out WeightSecondGrads[T]) {
	d := newData[T]()
	n, c := v.Len(), v.Channels
	in = WeightSecondArgs[T]{d.normal(n, 0.3, scale), d.normal(c, 1, 1), d.normal(n, 0.2, 1), d.normal(n, -0.3, 1), d.normal(c, 0, 1)}
	return in, WeightSecondGrads[T]{make([]T, n), make([]T, c), make([]T, n)}
}

func TestWeightNormSecond(t *testing.T) {
	both(t, testWeightNormSecond[float32], testWeightNormSecond[float64])
}

func testWeightNormSecond[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, scale := range []float64{1, 1e-12, 1e12} {
		for _, view := range secondViews {
			in, out := newWeightSecond[T](view, scale)
			var guard guards[T]
			out.V, out.G, out.DW = guard.out(len(out.V)), guard.out(len(out.G)), guard.out(len(out.DW))
			WeightNormSecond(out, WeightSecondArgs[T]{guard.in(in.V), guard.in(in.G), guard.in(in.DW), guard.in(in.UV), guard.in(in.UG)}, view)
			guard.check()
			for c := range view.Channels {
				at := indices(view, c)
				v, dw, uv := wide(in.V, at), wide(in.DW, at), wide(in.UV, at)
				g, ug := wide(in.G, []int{c}), num(float64(in.UG[c]))
				s := func() (sum dd) {
					dv, dg := directionBwd(v, dw, g[0])
					for i := range v {
						sum = sum.add(dv[i].want.mul(uv[i]))
					}
					return sum.add(dg.want.mul(ug))
				}
				var u, d float64
				for i := range v {
					u, d = u+uv[i].abs(), d+dw[i].abs()
				}
				norm, rho := normOf(v).hi, math.Abs(float64(in.G[c]))/normOf(v).hi
				what := label("weight norm", view, scale)
				requireClose(t, what+" v", gather(out.V, at), slopes(s, v, scale), (ug.abs()*d+rho*u*d)/norm)
				requireClose(t, what+" dw", gather(out.DW, at), slopes(s, dw, 1), rho*u+ug.abs())
				requireClose(t, what+" g", out.G[c:c+1], slopes(s, g, 1), u*d/norm)
			}
		}
	}
}

// Zeros give zeros, and leave the other channels alone.
func TestWeightNormSecondOfZero(t *testing.T) {
	for _, view := range weightViews {
		in, want := newWeightSecond[float64](view, 1)
		WeightNormSecond(want, in, view)
		at := indices(view, 1)
		for _, i := range at {
			in.V[i], want.V[i], want.DW[i] = 0, 0, 0
		}
		want.G[1] = 0
		var guard guards[float64]
		got := WeightSecondGrads[float64]{guard.out(len(in.V)), guard.out(view.Channels), guard.out(len(in.V))}
		WeightNormSecond(got, in, view)
		require.Equal(t, want, got)
	}
}
