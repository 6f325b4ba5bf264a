package norm_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// mostChannels is the largest number of channels. It is smaller where an int has 32 bits.
const mostChannels = min(1<<31-1, math.MaxInt/16)

func TestGroupAndInstanceNormRefuse(t *testing.T) {
	f64 := tensor.Float64
	for name, c := range map[string]struct {
		make func(g *G.ExprGraph) (any, error)
		kind error
		text string
	}{
		"groups": {func(g *G.ExprGraph) (any, error) { return norm.NewGroupNorm(g, f64, 4, 6) }, norm.ErrOption,
			"norm: groupnorm: 4 groups of 6 channels, want a number that divides that of the channels"},
		"no groups": {func(g *G.ExprGraph) (any, error) { return norm.NewGroupNorm(g, f64, 0, 6) }, norm.ErrOption,
			"norm: groupnorm: 0 groups of 6 channels, want a number that divides that of the channels"},
		"no channels": {func(g *G.ExprGraph) (any, error) { return norm.NewGroupNorm(g, f64, 1, 0) }, norm.ErrShape,
			fmt.Sprint("norm: groupnorm: 0 channels, want 1 to ", mostChannels)},
		"eps": {func(g *G.ExprGraph) (any, error) { return norm.NewGroupNorm(g, f64, 2, 6, norm.WithEps(0)) }, norm.ErrOption,
			"norm: groupnorm: eps is 0, want a positive finite number"},
		"instance norm, no channels": {func(g *G.ExprGraph) (any, error) { return norm.NewInstanceNorm(g, f64, 0) }, norm.ErrShape,
			fmt.Sprint("norm: instancenorm: 0 channels, want 1 to ", mostChannels)},
		"instance norm, momentum": {func(g *G.ExprGraph) (any, error) { return norm.NewInstanceNorm(g, f64, 3, norm.WithMomentum(2)) }, norm.ErrOption,
			"norm: instancenorm: momentum is 2, want a number in [0, 1]"},
	} {
		g := G.NewGraph()
		_, err := c.make(g)
		require.ErrorIs(t, err, c.kind, name)
		require.EqualError(t, err, c.text, name)
		require.Empty(t, g.AllNodes(), name)
	}

	g := G.NewGraph()
	gn := norm.Must(norm.NewGroupNorm(g, f64, 2, 4, norm.WithoutAffine()))
	in := norm.Must(norm.NewInstanceNorm(g, f64, 4))
	node := func(shape ...int) *G.Node {
		return G.NewTensor(g, f64, len(shape), G.WithShape(shape...), G.WithName(fmt.Sprint(shape)))
	}
	_, err := gn.Fwd(node(2, 6, 3))
	require.EqualError(t, err, "norm: groupnorm: x is (2, 6, 3), want (N, 4, ...)")
	_, err = in.Fwd(node(2, 6, 3))
	require.EqualError(t, err, "norm: instancenorm: x is (2, 6, 3), want (N, 4, ...)")
	_, err = in.FwdFrozen(node(2, 4, 3))
	require.EqualError(t, err, "norm: instancenorm: the layer has no running statistics, want WithRunningStats")
	_, err = gn.Fwd(nil)
	require.ErrorIs(t, err, norm.ErrGraph)
}
