package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gorgonorm/norm/ops"
	G "gorgonia.org/gorgonia"
)

// rawOps are the ops of a graph, called without it. They keep the memory of
// their results.
type rawOps struct {
	stats, forward, gradient *rawCall // stats only for batch norm
	running                  *ops.RunningStats

	y, packed G.Value // the results
}

// rawCall is an op with its arguments.
type rawCall struct {
	op      G.Op
	in      []G.Value
	statsAt int // where the statistics of the forward run belong, or -1
}

func (r *rawCall) do(stats G.Value) (G.Value, error) {
	if r.statsAt >= 0 {
		r.in[r.statsAt] = stats
	}
	return r.op.Do(r.in...)
}

// newRaw takes the ops of a case out of its graph.
func newRaw(c benchCase, s system, pass string, d *data) (*program, error) {
	e, err := express(c, d, s, pass != fwd)
	if err != nil {
		return nil, err
	}
	r, err := opsOf(e)
	if err != nil {
		return nil, err
	}
	if c.evaluates() {
		mode, ok := r.stats.op.(G.TrainModeOp)
		if !ok {
			return nil, fmt.Errorf("%v has no mode", r.stats.op)
		}
		if err := mode.SetTraining(false); err != nil {
			return nil, err
		}
	}
	run := map[string]func() error{fwd: r.runForward, bwd: r.runGradient, fwdbwd: r.runBoth}[pass]
	if pass == bwd { // it needs the statistics, which do not change
		if err := r.runForward(); err != nil {
			return nil, err
		}
	}
	return &program{
		run: run,
		check: func() error {
			o := outcome{y: vectorOf(r.y), stats: r.running}
			if pass != fwd {
				o.grads = unpack(vectorOf(r.packed), d)
			}
			return verify(c, d, o)
		},
		close: func() {},
	}, nil
}

// opsOf finds the ops among the nodes of a graph.
func opsOf(e *expression) (*rawOps, error) {
	r := &rawOps{running: e.stats}
	for _, n := range e.g.AllNodes() {
		if n.Op() == nil {
			continue
		}
		label := n.Op().String()
		kind, _, _ := strings.Cut(label, "(")
		switch {
		case kind == "norm.BatchStats":
			r.stats = callOf(e.g, n)
		case n == e.y:
			r.forward = callOf(e.g, n)
		case strings.HasPrefix(kind, "norm.") && strings.HasSuffix(kind, "Grad"):
			r.gradient = callOf(e.g, n)
		}
	}
	switch {
	case r.forward == nil:
		return nil, errors.New("no forward op in the graph")
	case r.gradient == nil && e.grads != nil:
		return nil, errors.New("no gradient op in the graph")
	}
	return r, nil
}

// callOf returns the op of a node with the values of its children. A child that is
// computed has none yet: it is the statistics.
func callOf(g *G.ExprGraph, n *G.Node) *rawCall {
	r := &rawCall{op: n.Op(), statsAt: -1}
	for it := g.From(n.ID()); it.Next(); {
		child := it.Node().(*G.Node)
		if child.Op() != nil {
			r.statsAt = len(r.in)
		}
		r.in = append(r.in, child.Value())
	}
	return r
}

func (r *rawOps) runForward() (err error) {
	var stats G.Value
	if r.stats != nil {
		if stats, err = r.stats.do(nil); err != nil {
			return err
		}
		if r.gradient != nil {
			r.gradient.in[r.gradient.statsAt] = stats
		}
	}
	r.y, err = r.forward.do(stats)
	return err
}

func (r *rawOps) runGradient() (err error) {
	r.packed, err = r.gradient.op.Do(r.gradient.in...)
	return err
}

func (r *rawOps) runBoth() error {
	if err := r.runForward(); err != nil {
		return err
	}
	return r.runGradient()
}

// unpack takes the gradients of the arguments out of the vector that a gradient
// op returns.
func unpack(packed vector, d *data) (grads []vector) {
	at := 0
	for _, a := range d.args {
		n := a.Shape().TotalSize()
		grads = append(grads, packed.slice(at, at+n))
		at += n
	}
	return grads
}
