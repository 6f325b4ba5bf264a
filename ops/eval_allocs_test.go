//go:build !race

// Under the race detector pools drop what they hold, so that they allocate.

package ops_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"
)

// Nothing is allocated if a destination is given, also if it is x or a view, and for
// inputs that are views.
func TestEvalAllocatesNothing(t *testing.T) {
	eachEval(t, func(t *testing.T, c evalCase, dt tensor.Dtype) {
		if strings.HasPrefix(c.name, "add") {
			return // it has two destinations; see below
		}
		in, s := c.values(dt, 0.4), c.stats(t)
		want, err := c.eval(nil, in, s)
		require.NoError(t, err)
		destinations := map[string]*tensor.Dense{"": poisoned(dt, want.Shape()...)}
		if c.activations > 0 && want.Shape().Eq(in[0].Shape()) {
			destinations["over x"] = in[0]
		}
		place(t, want, func(layout string, dst *slot) {
			if slices.Min(want.Shape()) > 1 { // else tensor may leave out strides
				destinations["as "+layout] = dst.view
			}
		})
		check := func(what string, dst *tensor.Dense, in []*tensor.Dense) {
			t.Helper()
			require.Zero(t, testing.AllocsPerRun(100, func() {
				if _, err := c.eval(dst, in, s); err != nil {
					t.Error(err)
				}
			}), what)
		}
		for what, dst := range destinations {
			check("the destination "+what, dst, in)
		}
		for i := range in {
			place(t, in[i], func(layout string, view *slot) {
				if slices.Min(in[i].Shape()) > 1 {
					vs := slices.Clone(in)
					vs[i] = view.view
					check(c.names[i]+" as "+layout, destinations[""], vs)
				}
			})
		}
	})
}

func TestEvalOfResidualsAllocatesNothing(t *testing.T) {
	layer, rms := ops.LayerNormConfig{Eps: 1e-3}, ops.RMSNormConfig{Eps: 1e-3, ScalePlusOne: true}
	for _, name := range []string{"addlayernorm", "addrmsnorm"} {
		for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			in, eval, y := evalResidual(name, 0).values(dt, 0.4), evalSum(name), poisoned(dt, 4, 6)
			check := func(what string, sum *tensor.Dense, in []*tensor.Dense) {
				t.Helper()
				require.Zero(t, testing.AllocsPerRun(100, func() {
					if _, _, err := eval(y, sum, in, layer, rms); err != nil {
						t.Error(err)
					}
				}), "%s %v, %s", name, dt, what)
			}
			own := poisoned(dt, 4, 6)
			check("the sum of its own", own, in)
			check("the sum over x", in[0], in)
			for i := range in {
				place(t, in[i], func(layout string, view *slot) {
					vs := slices.Clone(in)
					vs[i] = view.view
					check(fmt.Sprint("input ", i, " as ", layout), own, vs)
				})
			}
		}
	}
}
