package ops_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/gorgonorm/norm/internal/badcall"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// bench makes the nodes of a bad call.
type bench struct {
	g     *G.ExprGraph
	names int
}

func (b *bench) of(dt tensor.Dtype, shape ...int) *G.Node {
	b.names++
	return G.NewTensor(b.g, dt, len(shape), G.WithShape(shape...), G.WithName(fmt.Sprint("node ", b.names)))
}

func (b *bench) f(shape ...int) *G.Node { return b.of(tensor.Float64, shape...) }

func (b *bench) scalar() *G.Node { return G.NewScalar(b.g, tensor.Float64, G.WithName("scalar")) }

func (b *bench) shapeless() *G.Node {
	return G.NewMatrix(b.g, tensor.Float64, G.WithName("shapeless"))
}

// elsewhere returns a node of another graph.
func (b *bench) elsewhere(shape ...int) *G.Node {
	return (&bench{g: G.NewGraph()}).f(shape...)
}

// badCall is a call that must fail and change nothing.
type badCall struct {
	name string
	kind error
	call func(b *bench) error
}

// The functions under test, with what they need besides the bad argument.

func ln(x, gamma, beta *G.Node, shape tensor.Shape, eps float64) error {
	_, err := ops.LayerNorm(x, gamma, beta, shape, ops.LayerNormConfig{Eps: eps})
	return err
}

func bn(x, gamma, beta *G.Node, s *ops.RunningStats, cfg ops.BatchNormConfig) error {
	_, err := ops.BatchNorm(x, gamma, beta, s, cfg)
	return err
}

func wn(v, g *G.Node, axis int) error {
	_, err := ops.WeightNorm(v, g, ops.WeightNormConfig{Axis: axis})
	return err
}

func wnl(x, v, g, b *G.Node, axis int) error {
	_, err := ops.WeightNormLinear(x, v, g, b, ops.WeightNormConfig{Axis: axis})
	return err
}

func running(channels int) *ops.RunningStats {
	s, err := ops.NewRunningStats(channels)
	if err != nil {
		panic(err)
	}
	return s
}

func shape(s ...int) tensor.Shape { return s }

// cfg is a valid configuration of a batch norm.
var cfg = ops.BatchNormConfig{Eps: 1e-5, Momentum: 0.1}

// cfgWith returns cfg after a change.
func cfgWith(change func(*ops.BatchNormConfig)) ops.BatchNormConfig {
	c := cfg
	change(&c)
	return c
}

// Numbers that eps and momentum may not be.
var (
	nan, inf = math.NaN(), math.Inf(1)
)

// The texts of the errors are in testdata/errors.txt.
func TestBadInput(t *testing.T) {
	var calls []badcall.Call
	for _, c := range badCalls() {
		calls = append(calls, badcall.Call{Name: c.name, Kind: c.kind, Make: func(t *testing.T) error {
			return c.callAndCount(t, &bench{g: G.NewGraph()})
		}})
	}
	badcall.Check(t, "norm: ", true, calls)
}

// callAndCount makes the call twice: the first makes the nodes of the arguments,
// and the second, whose arguments are the same nodes, must add none.
func (c badCall) callAndCount(t *testing.T, b *bench) error {
	require.Error(t, c.call(b))
	nodes := len(b.g.AllNodes())
	b.names = 0
	err := c.call(b)
	require.Len(t, b.g.AllNodes(), nodes, "the failing call left nodes in the graph")
	for _, n := range b.g.AllNodes() {
		require.Nil(t, n.Op(), "the failing call left a node in the graph")
	}
	return err
}

// Statistics are unchanged after values that Set refuses.
func TestRunningStatsAfterBadSet(t *testing.T) {
	for _, c := range badStats() {
		t.Run(c.name, func(t *testing.T) {
			s := statsOf(t, 2)
			before := snapshot(s)
			require.ErrorIs(t, s.Set(c.mean, c.variance, c.batches), c.kind)
			require.Equal(t, before, snapshot(s))
		})
	}
}

// badSet are arguments that Set refuses for two channels.
type badSet struct {
	name           string
	kind           error
	mean, variance []float64
	batches        int64
}

func badStats() []badSet {
	two := []float64{1, 2}
	return []badSet{
		{"no means", ops.ErrShape, nil, two, 0},
		{"no variances", ops.ErrShape, two, nil, 0},
		{"too many means", ops.ErrShape, []float64{1, 2, 3}, two, 0},
		{"too few variances", ops.ErrShape, two, []float64{1}, 0},
		{"mean NaN", ops.ErrValue, []float64{1, nan}, two, 0},
		{"mean infinite", ops.ErrValue, []float64{-inf, 1}, two, 0},
		{"variance NaN", ops.ErrValue, two, []float64{nan, 1}, 0},
		{"variance negative", ops.ErrValue, two, []float64{1, -1e-9}, 0},
		{"variance infinite", ops.ErrValue, two, []float64{1, inf}, 0},
		{"batches negative", ops.ErrValue, two, two, -2},
	}
}
