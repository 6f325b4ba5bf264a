package norm_test

import (
	"fmt"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func ExampleGroupNorm() {
	g := G.NewGraph()
	x := G.NewTensor(g, tensor.Float64, 3, G.WithName("x"), G.WithShape(1, 4, 2),
		G.WithValue(tensor.New(tensor.WithShape(1, 4, 2), tensor.WithBacking([]float64{1, 2, 3, 4, -30, -10, 10, 30}))))
	gn := norm.Must(norm.NewGroupNorm(g, tensor.Float64, 2, 4)) // 2 groups of 2 channels
	y := norm.Must(gn.Fwd(x))
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%.3f\n", y.Value().Data())
	for _, p := range gn.Learnables() {
		fmt.Println(p.Name(), p.Value())
	}
	// Output:
	// [-1.342 -0.447 0.447 1.342 -1.342 -0.447 0.447 1.342]
	// groupnorm.gamma [1  1  1  1]
	// groupnorm.beta [0  0  0  0]
}

func ExampleInstanceNorm() {
	g := G.NewGraph()
	x := G.NewTensor(g, tensor.Float64, 3, G.WithName("x"), G.WithShape(2, 1, 4),
		G.WithValue(tensor.New(tensor.WithShape(2, 1, 4), tensor.WithBacking([]float64{1, 2, 3, 4, -30, -10, 10, 30}))))
	in := norm.Must(norm.NewInstanceNorm(g, tensor.Float64, 1, norm.WithRunningStats(), norm.WithMomentum(1)))
	y := norm.Must(in.Fwd(x))
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%.3f\n", y.Value().Data())
	mean, variance := in.Stats()
	fmt.Printf("mean %.2f, variance %.2f\n", mean, variance)
	// Output:
	// [-1.342 -0.447 0.447 1.342 -1.342 -0.447 0.447 1.342]
	// mean [1.25], variance [334.17]
}

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
			"norm: groupnorm: 0 channels, want 1 to 2147483647"},
		"eps": {func(g *G.ExprGraph) (any, error) { return norm.NewGroupNorm(g, f64, 2, 6, norm.WithEps(0)) }, norm.ErrOption,
			"norm: groupnorm: eps is 0, want a positive finite number"},
		"instance norm, no channels": {func(g *G.ExprGraph) (any, error) { return norm.NewInstanceNorm(g, f64, 0) }, norm.ErrShape,
			"norm: instancenorm: 0 channels, want 1 to 2147483647"},
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
	require.EqualError(t, err, "norm: instancenorm: the layer has no running statistics (want WithRunningStats)")
	_, err = gn.Fwd(nil)
	require.ErrorIs(t, err, norm.ErrGraph)
}

func TestInstanceNormParameters(t *testing.T) {
	count := func(opts ...norm.InstanceNormOption) int {
		return len(norm.Must(norm.NewInstanceNorm(G.NewGraph(), tensor.Float64, 3, opts...)).Learnables())
	}
	require.Equal(t, 0, count())
	require.Equal(t, 2, count(norm.WithAffine()))
	require.Equal(t, 1, count(norm.WithAffine(), norm.WithoutBias()))
	require.Equal(t, 1, count(norm.WithAffine(), norm.WithoutScale()))
	require.Equal(t, 1, count(norm.WithoutBias(), norm.WithAffine()), "in any order")
	require.Equal(t, 1, count(norm.WithoutScale(), norm.WithAffine()))

	l := norm.Must(norm.NewInstanceNorm(G.NewGraph(), tensor.Float64, 3))
	require.Nil(t, l.Running())
	mean, variance := l.Stats()
	require.Nil(t, mean)
	require.Nil(t, variance)
	require.ErrorIs(t, l.SetStats(nil, nil), norm.ErrOption)
}

// The layer trains in one graph and evaluates, by the running statistics, in
// another with another batch size.
func TestInstanceNormTrainAndEvaluate(t *testing.T) {
	g, g2 := G.NewGraph(), G.NewGraph()
	in := norm.Must(norm.NewInstanceNorm(g, tensor.Float64, 3, norm.WithRunningStats(), norm.WithAffine(), norm.WithMomentum(0.5)))
	run(t, norm.Must(in.Fwd(input(g, wave(tensor.Float64, 2, 4, 3, 5)))))
	mean, variance := in.Stats()
	require.NotEqual(t, []float64{0, 0, 0}, mean)

	in2 := norm.Must(in.In(g2))
	require.Same(t, in.Running(), in2.Running())
	require.Same(t, in.Learnables()[0].Value(), in2.Learnables()[0].Value())
	v := wave(tensor.Float64, 5, 1, 3, 7)
	x := input(g2, v)
	got := run(t, norm.Must(in2.Fwd(x)), G.EvalMode())

	bn := norm.Must(norm.NewBatchNorm(g2, tensor.Float64, 3))
	require.NoError(t, bn.SetStats(mean, variance))
	require.Equal(t, run(t, norm.Must(bn.Fwd(x)), G.EvalMode()), got, "batch norm's evaluation")
	after, _ := in.Stats()
	require.Equal(t, mean, after)
}
