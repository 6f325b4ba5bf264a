// Package gradcheck checks the gradients of Gorgonia expressions against
// central differences, in float64. It does so in both of Gorgonia's machines: the
// TapeMachine with gradients from gorgonia.Grad (the SymDiff methods of the ops) and
// the LispMachine (their DoDiff methods). It depends only on Gorgonia's interfaces, so
// it works with built-in ops, custom ops and whole layers alike.
//
// A check in a test:
//
//	func TestSwishGradient(t *testing.T) {
//		x := tensor.New(tensor.WithShape(3, 4), tensor.WithBacking(tensor.Random(tensor.Float64, 12)))
//		swish := func(in gorgonia.Nodes) (*gorgonia.Node, error) {
//			s, err := gorgonia.Sigmoid(in[0])
//			if err != nil {
//				return nil, err
//			}
//			return gorgonia.HadamardProd(in[0], s)
//		}
//		require.NoError(t, gradcheck.Check(swish, []*tensor.Dense{x}, gradcheck.WithNames("x")))
//	}
//
// The quantity that is differentiated is
//
//	cost = Σ_i w[i]·y[i]
//
// over all elements of the result y, with fixed weights of uneven size and sign. With a
// plain sum the gradient of y would be all ones. That hides faults, since the gradient of
// every operation that removes a mean vanishes for it.
//
// Values should stay a few steps (see WithStep) away from points where the
// expression has no derivative, such as a rectifier's zero: a check cannot tell
// such a point from a wrong gradient. Gorgonia runs ops in a goroutine of its own, so a
// panic inside an op ends the process and cannot be reported.
//
// To check a second derivative, use an expression that contains a gradient from
// diff.Grad, with WithMachines(Tape) and WithGrad(diff.Grad). Gradients in float32 are not
// checked, as differences in float32 have too few digits.
package gradcheck

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gorgonorm/norm/internal/edges"
	"github.com/gorgonorm/norm/internal/opcall"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Func builds an expression from input nodes and returns its result, a float64
// scalar or tensor of any rank. All its nodes must be in the graph of the
// inputs. It may create further leaves there, such as a layer's parameters.
// Check calls it once.
type Func func(inputs G.Nodes) (*G.Node, error)

// Holder is implemented by ops whose Do changes state that outlives a run, such as
// running statistics. A check runs the forward pass many times. Between Hold and the call
// of release the op computes as always, but leaves that state alone. Hold is called once
// for every node that has the op, so holds must nest: the state may change again when
// each release has been called.
type Holder interface {
	Hold() (release func())
}

// Check compares every gradient of the expression that f builds with central differences
// at the given values. It returns nil if all are right.
//
// Gradients are taken for each of the values, and for every float64 leaf of rank 1 or
// more that f itself puts into the graph and that the result depends on; errors name such
// a leaf after its node. The differences have four points:
//
//	∂cost/∂x ≈ Σ_i w[i]·(8·(y[i](x+h) − y[i](x−h)) − (y[i](x+2h) − y[i](x−2h))) / 12h
//
// Dtypes: float64 only, for the values and the result. Layouts: any, also views, lazily
// transposed and column-major tensors. The machines see a copy in the given layout. The
// values themselves are not written to, so checks may run in parallel. Modes: machines
// are in training mode unless WithEvalMode is given.
//
// Errors: an *Error lists the wrong gradients. Any other error says why no comparison was
// possible: values that are nil, empty, not finite or not float64; an input that the
// result does not depend on or that an op declares not differentiable (see WithoutGrad);
// a result that is not finite or differs from run to run; or an error from f, an op or a
// machine, which is wrapped.
func Check(f Func, values []*tensor.Dense, opts ...Option) error {
	conf, err := newConfig(values, opts)
	if err != nil {
		return err
	}
	e, err := build(f, values, conf)
	if err != nil {
		return err
	}
	defer e.release()
	e.hold()

	fwd, err := newForward(e)
	if err != nil {
		return err
	}
	defer fwd.close()
	if err := fwd.checkRepeatable(); err != nil {
		return err
	}

	grads, err := e.gradients()
	if err != nil {
		return err
	}
	c := comparison{expression: e, fwd: fwd}
	var groups []group
	for i, l := range e.targets {
		found, err := c.compare(l, grads[i])
		if err != nil {
			return err
		}
		groups = append(groups, found...)
	}
	return newError(groups)
}

// expression is the graph that was built, with what is known about it.
type expression struct {
	*config
	g       *G.ExprGraph
	y       *G.Node
	yShape  tensor.Shape
	weights []float64
	leaves  []*leaf // all leaves that are rebound before each run
	targets []*leaf // the leaves whose gradients are checked
	held    map[*G.Node]bool
	undo    []func()
}

// build calls f on new input nodes, and finds the leaves of the result.
func build(f Func, values []*tensor.Dense, conf *config) (*expression, error) {
	if f == nil {
		return nil, errors.New("gradcheck: the function is nil, want one")
	}
	e := &expression{config: conf, g: G.NewGraph(), held: make(map[*G.Node]bool)}
	inputs := make(G.Nodes, len(values))
	for i, v := range values {
		l, err := newLeaf(conf.name(i), v)
		if err != nil {
			return nil, err
		}
		// Gorgonia merges nodes of equal name, type and shape. The prefix keeps a
		// parameter that f calls "gamma" apart from an input of that name.
		l.node = G.NewTensor(e.g, G.Float64, v.Dims(), G.WithShape(l.shape...),
			G.WithName(fmt.Sprintf("gradcheck/%d/%s", i, l.name)))
		if err := l.bind(nil, 0); err != nil {
			return nil, err
		}
		inputs[i] = l.node
		e.leaves = append(e.leaves, l)
	}
	y, err := f(inputs)
	if err != nil {
		return nil, fmt.Errorf("gradcheck: building the expression: %w", err)
	}
	if err := e.setResult(y); err != nil {
		return nil, err
	}
	return e, e.findTargets()
}

func (e *expression) setResult(y *G.Node) error {
	switch {
	case y == nil:
		return errors.New("gradcheck: the function returned no node, want its result")
	case y.Graph() != e.g:
		return errors.New("gradcheck: the result is in another graph, want that of the inputs")
	}
	if _, ok := y.Type().(tensor.Dtype); !ok {
		if _, ok := y.Type().(G.TensorType); !ok {
			return fmt.Errorf("gradcheck: the result has type %v, want a float64 scalar or tensor", y.Type())
		}
	}
	if y.Dtype() != tensor.Float64 {
		return fmt.Errorf("gradcheck: the result is %v, want float64", y.Dtype())
	}
	e.y = y
	if !y.IsScalar() {
		e.yShape = y.Shape()
	}
	n := e.yShape.TotalSize()
	if n == 0 {
		return fmt.Errorf("gradcheck: the result has shape %v, want no empty axis", e.yShape)
	}
	e.weights = weights(n)
	return nil
}

// findTargets selects the leaves to check: first the inputs, then the leaves that f has
// made, in that order, without those that the caller excluded.
func (e *expression) findTargets() error {
	reached, err := reach(e.y, allChildren)
	if err != nil {
		return err
	}
	for _, l := range e.leaves {
		e.targets = append(e.targets, l)
		if !reached[l.node] && !e.without(l.name) {
			return fmt.Errorf("gradcheck: the result does not depend on %s, want a function of it; leave it out with WithoutGrad or WithoutGradOf", l.name)
		}
	}
	for _, n := range e.g.AllNodes() {
		if !n.IsVar() || !reached[n] || e.isLeaf(n) {
			continue
		}
		l, err := createdLeaf(n)
		if err != nil {
			return err
		}
		if l != nil {
			e.leaves = append(e.leaves, l)
			e.targets = append(e.targets, l)
		}
	}
	if err := e.dropExcluded(); err != nil {
		return err
	}
	if e.machines&Tape == 0 || e.gradSet { // another function than G.Grad may support more than DiffWRT says
		return nil
	}
	active, err := reach(e.y, differentiableChildren)
	if err != nil {
		return err
	}
	for _, l := range e.targets {
		if !active[l.node] {
			return fmt.Errorf("gradcheck: no differentiable way leads from the result to %s: "+
				"DiffWRT is false on each; leave it out with WithoutGrad or WithoutGradOf", l.name)
		}
	}
	return nil
}

func (e *expression) isLeaf(n *G.Node) bool {
	return slices.ContainsFunc(e.leaves, func(l *leaf) bool { return l.node == n })
}

// dropExcluded removes the leaves that the caller excluded from the targets.
func (e *expression) dropExcluded() error {
	known := make(map[string]bool)
	var kept []*leaf
	for _, l := range e.targets {
		known[l.name] = true
		if !e.without(l.name) {
			kept = append(kept, l)
		}
	}
	for _, name := range e.excluded {
		if !known[name] {
			return fmt.Errorf("gradcheck: WithoutGradOf: no leaf is called %q, want the name of an input or of a node with a value that the function creates", name)
		}
	}
	if len(kept) == 0 {
		return errors.New("gradcheck: every leaf is left out, want at least one gradient to check")
	}
	e.targets = kept
	return nil
}

// hold freezes the state of all ops that were added to the graph since the last call.
func (e *expression) hold() {
	for _, n := range e.g.AllNodes() {
		if h, ok := n.Op().(Holder); ok && !e.held[n] {
			e.held[n] = true
			e.undo = append(e.undo, h.Hold())
		}
	}
}

func (e *expression) release() {
	for _, undo := range slices.Backward(e.undo) {
		if undo != nil {
			undo()
		}
	}
	e.undo = nil
}

// reach returns the nodes that can be reached from n through the children that follow
// selects.
func reach(n *G.Node, follow func(*G.Node, G.Nodes) (G.Nodes, error)) (map[*G.Node]bool, error) {
	seen := map[*G.Node]bool{n: true}
	for todo := (G.Nodes{n}); len(todo) > 0; {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		next, err := follow(n, edges.From(n))
		if err != nil {
			return nil, err
		}
		for _, child := range next {
			if !seen[child] {
				seen[child] = true
				todo = append(todo, child)
			}
		}
	}
	return seen, nil
}

func allChildren(_ *G.Node, children G.Nodes) (G.Nodes, error) { return children, nil }

// differentiableChildren returns an error for the ops on which G.Grad would panic.
func differentiableChildren(n *G.Node, children G.Nodes) (G.Nodes, error) {
	if len(children) == 0 {
		return nil, nil
	}
	op, ok := n.Op().(G.SDOp)
	if !ok {
		return nil, fmt.Errorf("gradcheck: tape machine: op %v has no symbolic derivative (it is not an SDOp)", n.Op())
	}
	wrt, err := opcall.DiffWRT(op, len(children))
	if err != nil {
		return nil, fmt.Errorf("gradcheck: tape machine: %w", err)
	}
	var next G.Nodes
	for i, child := range children {
		if wrt[i] {
			next = append(next, child)
		}
	}
	return next, nil
}

// weights returns the upstream gradient. The sizes are between 0.5 and 1.5 and have no
// period (multiples of the golden ratio, mod 1). The signs have no period that could
// coincide with an axis (multiples of √2, mod 1).
func weights(n int) []float64 {
	w := make([]float64, n)
	for i := range w {
		_, size := math.Modf(float64(i+1) * math.Phi)
		_, sign := math.Modf(float64(i) * math.Sqrt2)
		w[i] = 0.5 + size
		if sign >= 0.5 {
			w[i] = -w[i]
		}
	}
	return w
}
