package ops_test

import (
	"errors"
	"fmt"
	"hash"
	"math"
	"testing"

	"github.com/chewxy/hm"
	"github.com/gorgonorm/norm/gradcheck"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// gate is an op that returns its matrix if pass returns nil.
type gate struct{ pass func() error }

func (o *gate) Arity() int { return 1 }
func (o *gate) Type() hm.Type {
	m := G.TensorType{Dims: 2, Of: tensor.Float64}
	return hm.NewFnType(m, m)
}
func (o *gate) InferShape(in ...G.DimSizer) (tensor.Shape, error) { return in[0].(tensor.Shape), nil }
func (o *gate) Do(v ...G.Value) (G.Value, error) {
	if err := o.pass(); err != nil {
		return nil, err
	}
	return v[0].(*tensor.Dense).Clone().(*tensor.Dense), nil
}
func (o *gate) ReturnsPtr() bool      { return true }
func (o *gate) CallsExtern() bool     { return false }
func (o *gate) OverwritesInput() int  { return -1 }
func (o *gate) WriteHash(h hash.Hash) { h.Write([]byte(o.String())) }
func (o *gate) Hashcode() uint32      { return 11 }
func (o *gate) String() string        { return "gate" }

// gatedNet is a batch norm, a gate, and another batch norm.
type gatedNet struct {
	x             *G.Node
	vm            G.VM
	before, after *ops.RunningStats
}

func newGatedNet(t *testing.T, cfg ops.BatchNormConfig, pass func() error, opts ...G.VMOpt) *gatedNet {
	n := &gatedNet{before: statsOf(t, 3), after: statsOf(t, 3)}
	g := G.NewGraph()
	n.x = graphtest.Leaf(g, "x", wave(0.4, 5, 3))
	cfg.Eps = 1e-3
	y, err := ops.BatchNorm(n.x, nil, nil, n.before, cfg)
	require.NoError(t, err)
	if y, err = G.ApplyOp(&gate{pass}, y); err != nil {
		t.Fatal(err)
	}
	_, err = ops.BatchNorm(y, nil, nil, n.after, cfg)
	require.NoError(t, err)
	n.vm = G.NewTapeMachine(g, opts...)
	t.Cleanup(func() { n.vm.Close() })
	return n
}

var training = ops.BatchNormConfig{Momentum: 0.1}

// A run that fails between two batch norms has updated the statistics of the first by the
// batch, and not those of the second. A machine that goes on where it failed, as one does
// without Reset, updates nothing twice.
func TestStatisticsAfterAnError(t *testing.T) {
	shut := errors.New("shut")
	pass := func() error { return shut }
	n := newGatedNet(t, training, func() error { return pass() })
	before, after := snapshot(n.before), snapshot(n.after)
	once := moved(before, 0.1, n.x.Value().(*tensor.Dense))

	require.ErrorContains(t, n.vm.RunAll(), "shut")
	requireNear(t, once, snapshot(n.before), 1e-14, "the first")
	require.Equal(t, after, snapshot(n.after))
	require.ErrorContains(t, n.vm.RunAll(), "shut")
	requireNear(t, once, snapshot(n.before), 1e-14, "the first, without Reset")
	require.Equal(t, after, snapshot(n.after))

	pass = func() error { return nil }
	require.NoError(t, n.vm.RunAll())
	requireNear(t, once, snapshot(n.before), 1e-14, "the first, after the rest of the run")
	require.EqualValues(t, 4, batchesOf(n.after))
	n.vm.Reset()
	require.NoError(t, n.vm.RunAll())
	require.EqualValues(t, 5, batchesOf(n.before))
	require.EqualValues(t, 5, batchesOf(n.after))
}

// A run that stops in the middle and never ends holds no lock. Its updates can be read,
// and undone by Set.
func TestStatisticsDuringARun(t *testing.T) {
	arrived, leave := make(chan bool), make(chan bool)
	n := newGatedNet(t, training, func() error { arrived <- true; <-leave; return nil })
	before, after := snapshot(n.before), snapshot(n.after)
	done := make(chan error)
	go func() { done <- n.vm.RunAll() }()
	<-arrived
	requireNear(t, moved(before, 0.1, n.x.Value().(*tensor.Dense)), snapshot(n.before), 1e-14, "moved")
	require.Equal(t, after, snapshot(n.after))
	require.NoError(t, n.before.Set(before[:3], before[3:6], int64(before[6])))
	n.after.Reset()
	leave <- true
	require.NoError(t, <-done)
	require.Equal(t, before, snapshot(n.before))
	_, _, batches := n.after.Values()
	require.EqualValues(t, 1, batches)
}

// A fault inside the op leaves its statistics unchanged.
func TestStatisticsAfterAFault(t *testing.T) {
	n := newGatedNet(t, training, func() error { return nil })
	before, after := snapshot(n.before), snapshot(n.after)
	x := n.x.Value().(*tensor.Dense)
	whole := x.Raw
	x.Raw = whole[:8]
	require.True(t, ops.Is(n.vm.RunAll(), ops.ErrInternal))
	require.Equal(t, before, snapshot(n.before))
	require.Equal(t, after, snapshot(n.after))
	x.Raw = whole
	n.vm.Reset()
	require.NoError(t, n.vm.RunAll())
	requireNear(t, moved(before, 0.1, x), snapshot(n.before), 1e-14, "moved")
}

// A value that is not finite makes the statistics of its channel NaN for good, or the
// mean infinite, as in PyTorch. It does not change the bits of the other channels, for
// every way to average. Where nothing updates the statistics, it does not change them
// either.
func TestStatisticsAfterABatchThatIsNotFinite(t *testing.T) {
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		for _, poison := range []float64{nan, inf, -inf} {
			for name, row := range map[string]struct {
				cfg   ops.BatchNormConfig
				opts  []G.VMOpt
				stays bool
			}{
				"training":   {cfg: ops.BatchNormConfig{Momentum: 0.1}},
				"replaced":   {cfg: ops.BatchNormConfig{Momentum: 1}},
				"cumulative": {cfg: ops.BatchNormConfig{Cumulative: true}},
				"momentum 0": {cfg: ops.BatchNormConfig{Momentum: 0}, stays: true},
				"frozen":     {cfg: ops.BatchNormConfig{Momentum: 0.1, Frozen: true}, stays: true},
				"evaluation": {cfg: ops.BatchNormConfig{Momentum: 0.1}, opts: []G.VMOpt{G.EvalMode()}, stays: true},
			} {
				row.cfg.Eps = 1e-3
				clean, spoilt := statsOf(t, 3), statsOf(t, 3)
				values := floats(wave(0.4, 6, 3))
				run := func(s *ops.RunningStats) {
					vs := []*tensor.Dense{graphtest.Dense(dt, values, 6, 3)}
					_, err := graphtest.Tape(func(n G.Nodes) (*G.Node, error) {
						return ops.BatchNorm(n[0], nil, nil, s, row.cfg)
					}, vs, graphtest.Dense(dt, floats(wave(1, 6, 3)), 6, 3), row.opts...)
					require.NoError(t, err)
				}
				run(clean)
				kept := values[7] // of channel 1
				values[7] = poison
				run(spoilt)
				values[7] = kept
				run(clean)
				run(spoilt) // it does not repair the statistics
				want, got := snapshot(clean), snapshot(spoilt)
				for i := range want {
					switch {
					case row.stays || i%3 != 1 || i >= 6:
						require.Equal(t, want[i], got[i], "%s, %v", name, poison)
					case i == 1 && poison == poison && name != "replaced": // where 0·∞ is added
						require.Equal(t, poison, got[i], "%s, %v", name, poison)
					default:
						require.True(t, math.IsNaN(got[i]), "%s, %v: %v", name, poison, got)
					}
				}
			}
		}
	}
}

// The mean of values with an infinity is that infinity. With infinities of both signs it
// is NaN. In padding they do not count.
func TestMeansOfInfinities(t *testing.T) {
	for name, norm := range map[string]func(x, gamma, beta *G.Node, s *ops.RunningStats, cfg ops.BatchNormConfig) (*G.Node, error){
		"batch": ops.BatchNorm, "instance": ops.InstanceNorm,
	} {
		for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			for _, lengths := range [][]float64{nil, {4, 3}} {
				t.Run(fmt.Sprintf("%s/%v/%v", name, dt, lengths), func(t *testing.T) {
					v := floats(wave(0.4, 2, 5, 4))
					// The channels 0 to 3 have ∞, −∞, both, and ∞ and NaN.
					v[0], v[20+5], v[8], v[20+8], v[12], v[20+13] = inf, -inf, inf, -inf, inf, nan
					s, cfg, g := statsOf(t, 5), ops.BatchNormConfig{Eps: 1e-3, Momentum: 0.1}, G.NewGraph()
					if lengths != nil {
						v[20+19] = inf
						cfg.Mask = graphtest.Leaf(g, "lengths", graphtest.Dense(dt, lengths, 2))
					}
					_, err := norm(graphtest.Leaf(g, "x", graphtest.Dense(dt, v, 2, 5, 4)), nil, nil, s, cfg)
					require.NoError(t, err)
					vm := G.NewTapeMachine(g)
					defer vm.Close()
					require.NoError(t, vm.RunAll())
					mean, variance, _ := s.Values()
					require.Equal(t, []float64{inf, -inf}, mean[:2])
					for c := range 4 {
						require.True(t, c < 2 || math.IsNaN(mean[c]), "mean %v", mean)
						require.True(t, math.IsNaN(variance[c]), "variance %v", variance)
					}
					require.False(t, math.IsNaN(mean[4]+variance[4]) || math.IsInf(mean[4]+variance[4], 0), "channels do not mix: %v, %v", mean, variance)
				})
			}
		}
	}
}

// A nil graph has no ops.
func TestTrainingOfNoGraph(t *testing.T) {
	s, err := ops.NewRunningStats(3)
	require.NoError(t, err)
	v, err := ops.NewSingularVectors(graphtest.Dense(tensor.Float64, make([]float64, 6), 2, 3), 0)
	require.NoError(t, err)
	for _, state := range []interface {
		SetTraining(g *G.ExprGraph, training bool)
		Training(g *G.ExprGraph) (training, applied bool)
	}{s, v} {
		state.SetTraining(nil, true)
		training, applied := state.Training(nil)
		require.False(t, training)
		require.False(t, applied)
	}
}

// Statistics are in training mode if one of the ops that have them is.
func TestTrainingOfOneOpOfTwo(t *testing.T) {
	g := G.NewGraph()
	s, other := statsOf(t, 3), statsOf(t, 3)
	G.Must(ops.BatchNorm(graphtest.Leaf(g, "x", wave(0.4, 4, 3)), nil, nil, other, cfg))
	before := len(g.AllNodes())
	var modes []G.TrainModeOp
	for i := range 2 {
		_, err := ops.BatchNorm(graphtest.Leaf(g, fmt.Sprint("x", i), wave(float64(i), 4, 3)), nil, nil, s, cfg)
		require.NoError(t, err)
	}
	for _, n := range g.AllNodes()[before:] {
		if op, ok := n.Op().(G.TrainModeOp); ok {
			modes = append(modes, op)
		}
	}
	require.Len(t, modes, 2)
	for _, op := range modes {
		s.SetTraining(g, false)
		training, applied := s.Training(g)
		require.False(t, training)
		require.True(t, applied)
		training, _ = other.Training(g)
		require.True(t, training, "other statistics")
		require.NoError(t, op.SetTraining(true))
		training, _ = s.Training(g)
		require.True(t, training)
	}
}

// Set accepts a variance of 0, which a channel may have, and KeepBatches.
func TestSetOfAVarianceOf0(t *testing.T) {
	s := statsOf(t, 2)
	require.NoError(t, s.Set([]float64{1, -2}, []float64{0, 4}, ops.KeepBatches))
	require.Equal(t, []float64{1, -2, 0, 4, 3}, snapshot(s))
	require.NoError(t, s.Set([]float64{1, -2}, []float64{0, 4}, 0))
	require.EqualValues(t, 0, batchesOf(s))
}

// Without running statistics the settings for averaging make no difference, and Momentum
// is not checked.
func TestCumulativeWithoutStatistics(t *testing.T) {
	g := G.NewGraph()
	x := graphtest.Leaf(g, "x", wave(0.4, 4, 3))
	y, err := ops.BatchNorm(x, nil, nil, nil, ops.BatchNormConfig{Eps: 1e-3, Cumulative: true, Momentum: -1})
	require.NoError(t, err)
	require.Same(t, G.Must(ops.BatchNorm(x, nil, nil, nil, ops.BatchNormConfig{Eps: 1e-3})), y)
}

// Held statistics do not change until every hold is released.
func TestHeldStatistics(t *testing.T) {
	g, s := G.NewGraph(), statsOf(t, 3)
	G.Must(ops.BatchNorm(graphtest.Leaf(g, "x", wave(0.4, 4, 3)), nil, nil, s, cfg))
	var op gradcheck.Holder
	for _, n := range g.AllNodes() {
		if h, ok := n.Op().(gradcheck.Holder); ok {
			op = h
		}
	}
	m := G.NewTapeMachine(g)
	defer m.Close()
	run := func() []float64 {
		m.Reset()
		require.NoError(t, m.RunAll())
		return snapshot(s)
	}
	before := snapshot(s)
	first, second := op.Hold(), op.Hold()
	require.Equal(t, before, run())
	first()
	first()
	require.Equal(t, before, run(), "released twice by one")
	second()
	require.NotEqual(t, before, run())
}
