package ops

import (
	"iter"
	"sync"
	"sync/atomic"

	"github.com/gorgonorm/norm/internal/dense"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// stateful is embedded in the ops with state, which return the statistics to normalize
// by.
type stateful struct {
	base
	noGradient
	evaluating atomic.Bool
	holds      atomic.Int64
}

// statefulBase makes the base of an op on data of T whose result is statistics.
func statefulBase[T dense.Float](label string, inputs []inputSpec) base {
	b := newBase[T](label, 1, constants(inputs)...)
	b.result.Of = tensor.Float64
	return b
}

// SetTraining sets the mode and nothing else. Machines call it when they are built.
func (s *stateful) SetTraining(training bool) error {
	s.evaluating.Store(!training)
	return nil
}

// IsPart is for opname: the result is an input of the op that normalizes.
func (s *stateful) IsPart() bool { return true }

// trains says whether a run updates the state.
func (s *stateful) trains() bool { return !s.evaluating.Load() }

// Hold keeps the state from changing until release is called, for programs that run a
// graph only to look at it, such as a gradient check.
func (s *stateful) Hold() (release func()) {
	s.holds.Add(1)
	return sync.OnceFunc(func() { s.holds.Add(-1) })
}

func (s *stateful) held() bool { return s.holds.Load() > 0 }

// statefulOp is an op that embeds stateful.
type statefulOp interface {
	G.TrainModeOp
	state() any
	trains() bool
}

// withState returns the ops in a graph, which may be nil, that have this state.
func withState(g *G.ExprGraph, state any) iter.Seq[statefulOp] {
	return func(yield func(statefulOp) bool) {
		if g == nil {
			return
		}
		for _, n := range g.AllNodes() {
			if op, ok := n.Op().(statefulOp); ok && op.state() == state && !yield(op) {
				return
			}
		}
	}
}

// setTraining sets the mode of the ops in a graph that have this state.
func setTraining(g *G.ExprGraph, state any, training bool) {
	for op := range withState(g, state) {
		op.SetTraining(training) // never fails
	}
}

// trainingIn says whether an op in a graph that has this state is in training mode.
// applied says whether there is such an op.
func trainingIn(g *G.ExprGraph, state any) (training, applied bool) {
	for op := range withState(g, state) {
		training, applied = training || op.trains(), true
	}
	return training, applied
}
