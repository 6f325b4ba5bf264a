// Package diff takes gradients of Gorgonia expressions where gorgonia.Grad may
// not be called: a second time. It knows Gorgonia only, so it serves built-in
// ops, those of this module and any others.
//
// gorgonia.Grad remembers in each node what its derivative is, for one cost. A
// second call finds what the first has left and drops its own terms, without an
// error: the gradient of a gradient comes out wrong, and so does that of a
// second cost over nodes that the first has gone through. Grad of this package
// neither reads nor writes what is remembered. It may be called any number of
// times, before and after gorgonia.Grad:
//
//	dx, err := diff.Grad(critic, x)          // nodes like any others
//	penalty, err := gorgonia.Sum(gorgonia.Must(gorgonia.Square(dx[0])))
//	dw, err := diff.Grad(penalty, params...) // a gradient of a gradient
//	err = diff.Bind(params, dw)              // for a solver
//
// A LispMachine does without gradients in the graph. It takes the gradient of a
// cost that has gradients in it, for ops that can, but only where the cost is the
// one root of its graph: build it on g.ExactSubgraphRoots(cost).
package diff

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gorgonorm/norm/internal/walking"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The kinds of errors, for errors.Is.
var (
	ErrGraph = errors.New("node or graph does not fit")     // a nil node, or nodes of different graphs
	ErrCost  = errors.New("cost is no scalar of a float")   // only such a cost has a gradient
	ErrOp    = errors.New("op is not differentiable")       // an op on the way has no derivative, or a wrong one
	ErrPath  = errors.New("cost does not depend on node")   // or only by ways that are not differentiable
	ErrBound = errors.New("node has a gradient already")    // by gorgonia.Grad or Bind
	ErrShape = errors.New("gradient does not fit its node") // of Bind
)

// fault says what is wrong in words, and unwraps to its kind and its cause.
type fault struct {
	text        string
	kind, cause error
}

func (f *fault) Error() string   { return f.text }
func (f *fault) Unwrap() []error { return []error{f.kind, f.cause}[:1+min(1, count(f.cause))] }

func count(err error) int {
	if err == nil {
		return 0
	}
	return 1
}

func newFault(kind error, format string, args ...any) error {
	return &fault{text: "diff: " + fmt.Sprintf(format, args...), kind: kind}
}

// Grad returns the gradients of a cost, a float32 or float64 scalar, with respect
// to nodes of its graph, each of the shape of its node. Unlike those of
// gorgonia.Grad the nodes need not be inputs. It adds nodes to the graph and
// changes none; after an error some may be left there, which do no harm.
//
// Errors: ErrGraph, ErrCost, ErrOp, which names the op, ErrPath.
func Grad(cost *G.Node, wrt ...*G.Node) (G.Nodes, error) {
	if err := checkCost(cost); err != nil {
		return nil, err
	}
	defer walking.Enter(cost.Graph())()
	if len(wrt) == 0 {
		return nil, newFault(ErrGraph, "no nodes to differentiate with respect to")
	}
	for i, n := range wrt {
		switch {
		case n == nil:
			return nil, newFault(ErrGraph, "node %d to differentiate with respect to is nil", i)
		case n.Graph() != cost.Graph():
			return nil, newFault(ErrGraph, "%v belongs to another graph than the cost", name(n))
		}
	}
	w := walk{g: cost.Graph(), terms: map[*G.Node]G.Nodes{}}
	if err := w.analyse(cost, wrt); err != nil {
		return nil, err
	}
	if err := w.back(cost); err != nil {
		return nil, err
	}
	grads := make(G.Nodes, len(wrt))
	for i, n := range wrt {
		var err error
		if grads[i], err = w.total(n); err != nil {
			return nil, err
		}
	}
	return grads, nil
}

func checkCost(cost *G.Node) error {
	switch {
	case cost == nil:
		return newFault(ErrGraph, "the cost is nil")
	case cost.Graph() == nil:
		return newFault(ErrGraph, "the cost is in no graph")
	case cost.Shape().Dims() != 0:
		return newFault(ErrCost, "the cost %v has the shape %v, want a scalar", name(cost), cost.Shape())
	}
	switch t := cost.Type(); t {
	case tensor.Float32, tensor.Float64:
		return nil
	default:
		return newFault(ErrCost, "the cost %v is %v, want a float32 or float64 scalar", name(cost), t)
	}
}

// walk is one reverse walk through a graph.
type walk struct {
	g      *G.ExprGraph
	sorted G.Nodes          // the active nodes, each before its children
	active map[*G.Node]bool // those between the cost and what is asked for
	terms  map[*G.Node]G.Nodes
}

// analyse finds the nodes that lie on a differentiable way from the cost to a
// node of wrt.
func (w *walk) analyse(cost *G.Node, wrt G.Nodes) error {
	sorted, err := G.Sort(w.g)
	if err != nil {
		return newFault(ErrGraph, "sorting the graph: %v", err)
	}
	below := map[*G.Node]G.Nodes{} // of what the cost depends on, the differentiable inputs
	reached := map[*G.Node]bool{cost: true}
	blocked := map[*G.Node]error{} // ops that have no derivative at all
	for _, n := range sorted {
		if !reached[n] {
			continue
		}
		if below[n], err = differentiable(n, w.children(n)); err != nil {
			blocked[n] = err
			below[n] = w.children(n)
		}
		for _, c := range below[n] {
			reached[c] = true
		}
	}
	w.active = map[*G.Node]bool{}
	for i := len(sorted) - 1; i >= 0; i-- { // children first
		n := sorted[i]
		if !reached[n] {
			continue
		}
		if slices.Contains(wrt, n) || slices.ContainsFunc(below[n], func(c *G.Node) bool { return w.active[c] }) {
			w.active[n] = true
		}
	}
	for _, n := range sorted {
		if !w.active[n] {
			continue
		}
		w.sorted = append(w.sorted, n)
		if err := blocked[n]; err != nil && slices.ContainsFunc(below[n], func(c *G.Node) bool { return w.active[c] }) {
			return err
		}
	}
	for _, n := range wrt {
		if !reached[n] {
			return newFault(ErrPath, "the cost %v does not depend on %v by differentiable ops%s", name(cost), name(n), w.obstacle(cost, n))
		}
	}
	return nil
}

// obstacle names the ops that the ways from the cost to a node end at.
func (w *walk) obstacle(cost, wrt *G.Node) string {
	leads := map[*G.Node]bool{wrt: true}
	sorted, _ := G.Sort(w.g)
	var ops []string
	for i := len(sorted) - 1; i >= 0; i-- {
		n := sorted[i]
		children := w.children(n)
		if !slices.ContainsFunc(children, func(c *G.Node) bool { return leads[c] }) {
			continue
		}
		leads[n] = true
		through, _ := differentiable(n, children)
		for _, c := range children {
			if text := fmt.Sprint(n.Op()); leads[c] && !slices.Contains(through, c) && !slices.Contains(ops, text) {
				ops = append(ops, text)
			}
		}
	}
	if !leads[cost] || len(ops) == 0 {
		return ""
	}
	return fmt.Sprintf("; not differentiable there: %q", ops)
}

// children returns the inputs of a node, in order.
func (w *walk) children(n *G.Node) (cs G.Nodes) {
	for it := w.g.From(n.ID()); it.Next(); {
		cs = append(cs, it.Node().(*G.Node))
	}
	return cs
}

// differentiable returns the inputs of a node by which its op has a derivative.
func differentiable(n *G.Node, children G.Nodes) (some G.Nodes, err error) {
	if len(children) == 0 {
		return nil, nil
	}
	op, ok := n.Op().(G.SDOp)
	if !ok {
		return nil, newFault(ErrOp, "op %v has no symbolic derivative (it is no gorgonia.SDOp)", n.Op())
	}
	wrt, err := flags(op, len(children))
	if err != nil {
		return nil, err
	}
	for i, c := range children {
		if wrt[i] {
			some = append(some, c)
		}
	}
	return some, nil
}

// flags is DiffWRT without its panics.
func flags(op G.SDOp, inputs int) (wrt []bool, err error) {
	defer recovered(op, "DiffWRT", &err)
	if wrt = op.DiffWRT(inputs); len(wrt) != inputs {
		return nil, newFault(ErrOp, "op %v: DiffWRT tells of %d inputs, and there are %d", op, len(wrt), inputs)
	}
	return wrt, nil
}

// back walks from the cost to what is asked for, and collects the terms of each
// node's gradient.
func (w *walk) back(cost *G.Node) error {
	w.terms[cost] = G.Nodes{w.one(cost.Dtype())}
	for _, n := range w.sorted {
		children := w.children(n)
		if !slices.ContainsFunc(children, func(c *G.Node) bool { return w.active[c] }) {
			continue
		}
		grad, err := w.total(n)
		if err != nil {
			return err
		}
		op := n.Op().(G.SDOp)
		wrt, err := flags(op, len(children))
		if err != nil {
			return err
		}
		grads, err := symDiff(op, children, n, grad)
		if err != nil {
			return err
		}
		for i, c := range children {
			if !wrt[i] || !w.active[c] {
				continue
			}
			switch d := grads[i]; {
			case d == nil:
				return newFault(ErrOp, "op %v: SymDiff gives no gradient of input %d, which DiffWRT calls differentiable", op, i)
			case !fits(d, c):
				return newFault(ErrOp, "op %v: SymDiff gives a gradient of shape %v for input %d, which is %v", op, d.Shape(), i, c.Shape())
			default:
				w.terms[c] = append(w.terms[c], d)
			}
		}
	}
	return nil
}

// symDiff is SymDiff without its panics.
func symDiff(op G.SDOp, in G.Nodes, out, grad *G.Node) (grads G.Nodes, err error) {
	defer recovered(op, "SymDiff", &err)
	if grads, err = op.SymDiff(in, out, grad); err != nil {
		return nil, &fault{fmt.Sprintf("diff: op %v cannot be differentiated: %v", op, err), ErrOp, err}
	}
	if len(grads) < len(in) {
		return nil, newFault(ErrOp, "op %v: SymDiff gives %d gradients for %d inputs", op, len(grads), len(in))
	}
	return grads, nil
}

func recovered(op G.Op, method string, err *error) {
	if r := recover(); r != nil {
		*err = newFault(ErrOp, "op %v cannot be differentiated: %s panics: %v", op, method, r)
	}
}

// total adds up the terms of a node's gradient.
func (w *walk) total(n *G.Node) (*G.Node, error) {
	terms := w.terms[n]
	switch len(terms) {
	case 0: // DiffWRT has promised some
		return nil, newFault(ErrOp, "no gradient arrives at %v", name(n))
	case 1:
		return terms[0], nil
	}
	sum, err := G.ReduceAdd(terms)
	if err != nil {
		return nil, &fault{fmt.Sprintf("diff: adding the gradients of %v: %v", name(n), err), ErrOp, err}
	}
	w.terms[n] = G.Nodes{sum}
	return sum, nil
}

// one returns the gradient of the cost. Gorgonia merges constants by their names
// alone, so that the name says the dtype.
func (w *walk) one(dt tensor.Dtype) *G.Node {
	var v G.Value = G.NewF64(1)
	if dt == tensor.Float32 {
		v = G.NewF32(1)
	}
	return w.g.AddNode(G.NewConstant(v, G.WithName(fmt.Sprintf("diff.one of %v", dt))))
}

// fits says whether a gradient has the shape of its node. Gorgonia has several
// shapes for one element.
func fits(d, n *G.Node) bool {
	a, b := d.Shape(), n.Shape()
	return slices.Equal(a, b) || a.TotalSize() == 1 && b.TotalSize() == 1
}

// name is what errors call a node.
func name(n *G.Node) string {
	if s := n.Name(); s != "" {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("node %x", n.ID())
}

// Bind makes gradients those of nodes, in order: what the nodes' Grad method and
// with it Gorgonia's solvers find. Call it once for each parameter, and
// gorgonia.Grad not at all for a cost that depends on it: a node has one
// gradient. Build the machine with gorgonia.BindDualValues(wrt...), or where two
// of the gradients are one node a solver would clear both after the first.
//
// Errors: ErrGraph, ErrBound, ErrShape. After an error nothing is bound.
func Bind(wrt, grads G.Nodes) error {
	if len(wrt) != len(grads) {
		return newFault(ErrGraph, "%d gradients for %d nodes", len(grads), len(wrt))
	}
	for i, n := range wrt {
		d := grads[i]
		switch {
		case n == nil || d == nil:
			return newFault(ErrGraph, "node %d or its gradient is nil", i)
		case n.Graph() != d.Graph():
			return newFault(ErrGraph, "%v belongs to another graph than its gradient", name(n))
		case n.Deriv() != nil || slices.Contains(wrt[:i], n):
			return newFault(ErrBound, "%v has a gradient already", name(n))
		case !fits(d, n) || d.Dtype() != n.Dtype():
			return newFault(ErrShape, "%v is %v %v and its gradient %v %v", name(n), n.Dtype(), n.Shape(), d.Dtype(), d.Shape())
		}
	}
	for i, n := range wrt {
		G.SetDerivOf(grads[i], n)
	}
	return nil
}
