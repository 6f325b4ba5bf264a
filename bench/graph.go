package main

import (
	"strconv"

	"github.com/gorgonorm/norm/ops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

const (
	eps      = 1e-5
	momentum = 0.1
)

// program is a case that is ready to be timed.
type program struct {
	run   func() error
	check func() error // says whether what the first run gave is right
	close func()
}

// newProgram builds a pass of a case.
func newProgram(c benchCase, s system, pass string, d *data) (*program, error) {
	switch {
	case s.copies:
		return newCopy(c, d), nil
	case c.isModel():
		return newModel(c, s)
	case c.name == "linear" && s.raw:
		return newRawLinear(c, pass, d), nil
	case s.raw:
		return newRaw(c, s, pass, d)
	default:
		return newGraph(c, s, pass, d)
	}
}

// expression is a case as a graph.
type expression struct {
	g     *G.ExprGraph
	args  G.Nodes
	y     *G.Node
	grads G.Nodes // of the arguments, if asked for
	stats *ops.RunningStats

	vectors *ops.SingularVectors // spectral norm's
}

// express builds the graph of a case, with the gradients from a given gradient
// of the result, or without.
func express(c benchCase, d *data, s system, gradients bool) (e *expression, err error) {
	e = &expression{g: G.NewGraph()}
	for i, name := range d.names {
		e.args = append(e.args, input(e.g, name, d.args[i]))
	}
	if c.isBatchNorm() {
		if e.stats, err = ops.NewRunningStats(len(d.mean)); err != nil {
			return nil, err
		}
		if err := e.stats.Set(d.mean, d.variance, 0); err != nil {
			return nil, err
		}
	}
	if e.y, err = e.apply(c, s); err != nil {
		return nil, err
	}
	if gradients {
		dy := input(e.g, "dy", d.dy)
		e.grads, err = G.Backpropagate(G.Nodes{e.y}, G.Nodes{dy}, e.args)
	}
	return e, err
}

// apply applies the op of the case to the arguments.
func (e *expression) apply(c benchCase, s system) (*G.Node, error) {
	if s.today {
		return e.applyGorgonia(c)
	}
	a, reuse := e.args, s.reuse
	f, isFamily := c.family()
	switch {
	case isFamily:
		return f.apply(e, c.shape, reuse)
	case c.name == "layernorm":
		last := tensor.Shape{c.shape[len(c.shape)-1]}
		return ops.LayerNorm(a[0], a[1], a[2], last, ops.LayerNormConfig{Eps: eps, Reuse: reuse})
	case c.isBatchNorm():
		return ops.BatchNorm(a[0], a[1], a[2], e.stats, ops.BatchNormConfig{Eps: eps, Momentum: momentum, Reuse: reuse})
	case c.name == "weight_norm":
		return ops.WeightNorm(a[0], a[1], ops.WeightNormConfig{Reuse: reuse})
	case c.name == "weightnorm_linear":
		return ops.WeightNormLinear(a[0], a[1], a[2], a[3], ops.WeightNormConfig{Reuse: reuse})
	default:
		return affine(a[0], a[1], a[2])
	}
}

// affine is x·w + b by Gorgonia's own ops, with w of shape (in, out) and b of
// (1, out).
func affine(x, w, b *G.Node) (*G.Node, error) {
	y, err := G.Mul(x, w)
	if err != nil {
		return nil, err
	}
	return G.BroadcastAdd(y, b, nil, []byte{0})
}

func input(g *G.ExprGraph, name string, v *tensor.Dense) *G.Node {
	return G.NewTensor(g, v.Dtype(), v.Dims(), G.WithShape(v.Shape()...), G.WithName(name), G.WithValue(v))
}

// newGraph runs a case in a tape machine.
func newGraph(c benchCase, s system, pass string, d *data) (*program, error) {
	e, err := express(c, d, s, pass == fwdbwd)
	if err != nil {
		return nil, err
	}
	var opts []G.VMOpt
	if c.evaluates() {
		opts = append(opts, G.EvalMode())
	}
	vm := G.NewTapeMachine(e.g, opts...)
	return &program{
		run: func() error { return runOnce(vm) },
		check: func() error {
			o := outcome{y: vectorOf(e.y.Value()), stats: e.stats, vectors: e.vectors}
			for _, n := range e.grads {
				o.grads = append(o.grads, vectorOf(n.Value()))
			}
			if s.today && c.isBatchNorm() {
				if c.evaluates() { // the statistics that it used are not kept
					return nil
				}
				o.grads, o.stats = nil, nil // they are wrong
				o.slack = 1e-3              // float32 sums of 800,000 values are 2e-4 off
			}
			return verify(c, d, o)
		},
		close: func() { vm.Close() },
	}, nil
}

// runOnce runs a machine and makes it ready for the next run. The nodes keep
// their values.
func runOnce(vm G.VM) error {
	err := vm.RunAll()
	vm.Reset()
	return err
}

// numbered gives the nodes of a model names of their own.
func numbered(name string, i int) string { return name + strconv.Itoa(i) }
