package ops_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A destination that shares memory with a parameter is an error.
func TestEvalRefusesToOverwriteParameters(t *testing.T) {
	eachEval(t, func(t *testing.T, c evalCase, dt tensor.Dtype) {
		want, err := c.eval(nil, c.values(dt, 0.4), c.stats(t))
		require.NoError(t, err)
		for i := c.activations; i < len(c.names); i++ {
			in := c.values(dt, 0.4)
			n := c.shapes[i].TotalSize()
			all := graphtest.Dense(dt, append(floats(in[i]), make([]float64, want.Shape().TotalSize())...), n+want.Shape().TotalSize())
			in[i] = part(all, 0, c.shapes[i])
			dst := part(all, n-1, want.Shape()) // over the last element
			_, err := c.eval(dst, in, c.stats(t))
			require.ErrorIs(t, err, ops.ErrValue, c.names[i])
			require.ErrorContains(t, err, "shares memory with "+argName(c, i))
			requireBits(t, c.values(dt, 0.4)[i], in[i], c.names[i])
		}
	})
}

// argName is what errors call an input.
func argName(c evalCase, i int) string {
	if strings.HasPrefix(c.name, "spectralnorm") {
		return "the weight"
	}
	return c.names[i]
}

// The error says what is wrong with a value, and the destination is unchanged.
func TestEvalRefusesUnfitValues(t *testing.T) {
	eachEval(t, func(t *testing.T, c evalCase, dt tensor.Dtype) {
		plain := c.values(dt, 0.4)
		want, err := c.eval(nil, plain, c.stats(t))
		require.NoError(t, err)
		op, _, _ := strings.Cut(c.name, " ")
		check := func(what string, kind error, dst *tensor.Dense, in []*tensor.Dense) (text string) {
			s := c.stats(t)
			before := bits(dst)
			got, err := c.eval(dst, in, s)
			require.ErrorIs(t, err, kind, what)
			require.Nil(t, got, what)
			require.True(t, strings.HasPrefix(err.Error(), "norm: "+op+": "), "%s: %v", what, err)
			require.NotContains(t, err.Error(), "internal fault", what)
			require.NotContains(t, err.Error(), "%!", what)
			require.Equal(t, before, bits(dst), what)
			require.Equal(t, snapshot(c.stats(t)), snapshot(s), what)
			return err.Error()
		}
		for _, u := range unfitValues(dt) {
			for i, v := range plain {
				if u.name == "nil" && slices.Contains([]string{"gamma", "beta", "b"}, c.names[i]) {
					continue // there is none
				}
				in := slices.Clone(plain)
				in[i] = u.of(v)
				if _, err := c.eval(nil, in, c.stats(t)); err == nil && u.kind == ops.ErrShape && isFree(c, i) {
					continue
				}
				kind := u.kind
				if op == "groupnorm" && i == 0 && u.name == "one more in each axis" {
					kind = ops.ErrOption // the groups have to divide the number of channels
				}
				text := check(c.names[i]+" "+u.name, kind, poisoned(dt, want.Shape()...), in)
				if slices.Contains([]string{"nil", "int", "masked"}, u.name) { // no other value can be to blame
					require.Contains(t, text, ": "+argName(c, i)+" is ", u.name)
				}
			}
			if u.name != "nil" && u.name != "the zero value" { // its elements can be compared
				check("dst "+u.name, u.kind, u.of(want), plain)
			}
		}
	})
}

// isFree says whether an input may have any shape, since no other input has to fit it.
func isFree(c evalCase, i int) bool {
	return i == 0 && slices.Contains([]string{"normalize", "localresponsenorm"}, strings.Fields(c.name)[0])
}

// unfitValues are values that must not replace a tensor, with the kind of the error.
func unfitValues(dt tensor.Dtype) []unfitValue {
	other := map[tensor.Dtype]tensor.Dtype{tensor.Float32: tensor.Float64, tensor.Float64: tensor.Float32}[dt]
	return []unfitValue{
		{"nil", ops.ErrValue, func(*tensor.Dense) *tensor.Dense { return nil }},
		{"int", ops.ErrDtype, func(d *tensor.Dense) *tensor.Dense {
			return tensor.New(tensor.WithShape(d.Shape()...), tensor.Of(tensor.Int))
		}},
		{"the zero value", ops.ErrDtype, func(*tensor.Dense) *tensor.Dense { return &tensor.Dense{} }},
		{"other float", ops.ErrDtype, func(d *tensor.Dense) *tensor.Dense {
			return graphtest.Dense(other, floats(d), d.Shape()...)
		}},
		{"masked", ops.ErrValue, func(d *tensor.Dense) *tensor.Dense {
			return tensor.New(tensor.WithShape(d.Shape()...), tensor.WithBacking(d.Clone().(*tensor.Dense).Data(), make([]bool, d.Size())))
		}},
		{"of rank 0", ops.ErrShape, func(*tensor.Dense) *tensor.Dense {
			if dt == tensor.Float32 {
				return tensor.New(tensor.FromScalar(float32(1)))
			}
			return tensor.New(tensor.FromScalar(1.0))
		}},
		{"one more in each axis", ops.ErrShape, func(d *tensor.Dense) *tensor.Dense {
			s := d.Shape().Clone()
			for i := range s {
				s[i]++
			}
			return tensor.New(tensor.WithShape(s...), tensor.Of(dt))
		}},
		{"of one more axis", ops.ErrShape, func(d *tensor.Dense) *tensor.Dense {
			return graphtest.Dense(dt, floats(d), append([]int{1, 1, 1, 1}, d.Shape()...)...)
		}},
	}
}

type unfitValue struct {
	name string
	kind error
	of   func(d *tensor.Dense) *tensor.Dense
}

// A mask is a node, which has no value without a graph.
func TestEvalRefusesMasks(t *testing.T) {
	x := graphtest.Dense(tensor.Float64, make([]float64, 12), 2, 2, 3)
	mask := G.NewMatrix(G.NewGraph(), tensor.Float64, G.WithShape(2, 3), G.WithName("mask"))
	_, err := ops.EvalBatchNorm(nil, x, nil, nil, nil, ops.BatchNormConfig{Eps: 1e-5, Mask: mask})
	require.ErrorIs(t, err, ops.ErrOption)
	_, err = ops.EvalInstanceNorm(nil, x, nil, nil, nil, ops.InstanceNormConfig{Eps: 1e-5, Mask: mask})
	require.ErrorIs(t, err, ops.ErrOption)
	_, err = ops.EvalGroupNorm(nil, x, nil, nil, ops.GroupNormConfig{Groups: 1, Eps: 1e-5, Mask: mask})
	require.ErrorIs(t, err, ops.ErrOption)
}

// 1 + γ needs a γ.
func TestEvalRefusesScalePlusOneWithoutGamma(t *testing.T) {
	x, r := graphtest.Wave(tensor.Float64, 0, 2, 3, 4), graphtest.Wave(tensor.Float64, 1, 2, 3, 4)
	cfg := ops.RMSNormConfig{Eps: 1e-5, ScalePlusOne: true}
	_, rows := ops.EvalRMSNorm(nil, x, nil, nil, tensor.Shape{4}, cfg)
	_, axes := ops.EvalRMSNormAxes(nil, x, nil, nil, []int{1}, cfg)
	_, trailing := ops.EvalRMSNormAxes(nil, x, nil, nil, []int{-1}, cfg)
	_, _, sum := ops.EvalAddRMSNorm(nil, nil, x, r, nil, nil, tensor.Shape{4}, cfg)
	for _, err := range []error{rows, axes, trailing, sum} {
		require.ErrorIs(t, err, ops.ErrOption)
		require.ErrorContains(t, err, "ScalePlusOne without gamma, want gamma")
	}
}
