//go:build !race

// Under the race detector pools drop what they hold, so that they allocate.

package norm_test

import (
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestEvalAllocatesNothing(t *testing.T) {
	eachServed(t, func(t *testing.T, g *G.ExprGraph, l served, dt tensor.Dtype) {
		x := l.input(dt)
		dst := norm.Must(l.eval(nil, x))
		require.Zero(t, testing.AllocsPerRun(100, func() {
			if _, err := l.eval(dst, x); err != nil {
				t.Error(err)
			}
		}))
	})
}
