package diff

import (
	"fmt"
	"slices"

	"github.com/gorgonorm/norm/internal/edges"
	"github.com/gorgonorm/norm/internal/opcall"
	G "gorgonia.org/gorgonia"
)

// walk is a reverse walk through a graph.
type walk struct {
	sorted G.Nodes             // the active nodes, each before its children
	active map[*G.Node]bool    // nodes on a path from the cost to what is asked for
	below  map[*G.Node]G.Nodes // the differentiable inputs of the nodes that the cost depends on
	terms  map[*G.Node]G.Nodes
}

// analyse finds the nodes on the differentiable paths from the cost to the nodes of wrt.
func (w *walk) analyse(cost *G.Node, wrt G.Nodes) error {
	sorted, err := sortedFrom(cost)
	if err != nil {
		return newFault(ErrGraph, "sorting the graph: %v", err)
	}
	w.below = map[*G.Node]G.Nodes{}
	reached := map[*G.Node]bool{cost: true}
	blocked := map[*G.Node]error{} // ops that have no derivative at all
	for _, n := range sorted {
		if !reached[n] {
			continue
		}
		if w.below[n], err = differentiable(n, childrenOf(n)); err != nil {
			blocked[n] = err
			w.below[n] = childrenOf(n)
		}
		for _, c := range w.below[n] {
			reached[c] = true
		}
	}
	w.active = map[*G.Node]bool{}
	for _, n := range slices.Backward(sorted) { // children first
		if slices.Contains(wrt, n) || w.goesOn(n) {
			w.active[n] = true
		}
	}
	for _, n := range sorted {
		if !w.active[n] {
			continue
		}
		w.sorted = append(w.sorted, n)
		if err := blocked[n]; err != nil && w.goesOn(n) {
			return err
		}
	}
	for _, n := range wrt {
		if !reached[n] {
			return newFault(ErrPath, "the cost %v does not depend on %v by differentiable ops%s", name(cost), name(n), obstacle(cost, sorted, n))
		}
	}
	return nil
}

// goesOn says whether an active node is among the differentiable inputs of a node.
func (w *walk) goesOn(n *G.Node) bool {
	return slices.ContainsFunc(w.below[n], func(c *G.Node) bool { return w.active[c] })
}

// sortedFrom returns the nodes that the cost depends on, or has as inputs only, see keep.
// Each comes before its children.
func sortedFrom(cost *G.Node) (G.Nodes, error) {
	// In the original graph Gorgonia may follow wrong edges, see package edges.
	return G.Sort(cost.Graph().ExactSubgraphRoots(cost))
}

// obstacle names the ops at which the paths from the cost to a node end. sorted is the
// result of sortedFrom.
func obstacle(cost *G.Node, sorted G.Nodes, wrt *G.Node) string {
	depends := dependencies(G.Nodes{cost}, sorted)
	leads := map[*G.Node]bool{wrt: true}
	var ops []string
	for _, n := range slices.Backward(sorted) {
		children := childrenOf(n)
		if !depends[n] || !slices.ContainsFunc(children, func(c *G.Node) bool { return leads[c] }) {
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
	if len(ops) == 0 {
		return ""
	}
	return fmt.Sprintf("; not differentiable there: %q", ops)
}

// dependencies returns nodes and all that they depend on. sorted has each node before its
// children.
func dependencies(nodes, sorted G.Nodes) map[*G.Node]bool {
	all := map[*G.Node]bool{}
	for _, n := range nodes {
		all[n] = true
	}
	for _, n := range sorted {
		if !all[n] {
			continue
		}
		for _, c := range childrenOf(n) {
			all[c] = true
		}
	}
	return all
}

// childrenOf returns the inputs of a node that its value depends on, in order.
func childrenOf(n *G.Node) G.Nodes {
	inputs := edges.From(n)
	if _, ok := n.Op().(*keep); ok {
		return inputs[:1]
	}
	return inputs
}

// differentiable returns the inputs of a node with respect to which its op has a
// derivative.
func differentiable(n *G.Node, children G.Nodes) (some G.Nodes, err error) {
	if len(children) == 0 {
		return nil, nil
	}
	op, err := rightOp(n)
	if err != nil {
		return nil, err
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

// flags is opcall.DiffWRT with errors of this package.
func flags(op G.SDOp, inputs int) ([]bool, error) {
	wrt, err := opcall.DiffWRT(op, inputs)
	if err != nil {
		return nil, newFault(ErrOp, "%v", err)
	}
	return wrt, nil
}

// back walks from the cost to the nodes that are asked for, and collects the terms of
// each node's gradient.
func (w *walk) back(cost *G.Node) error {
	w.terms[cost] = G.Nodes{constant(cost, "one", 1)}
	for _, n := range w.sorted {
		if !w.goesOn(n) {
			continue
		}
		children := childrenOf(n)
		grad, err := w.total(n)
		if err != nil {
			return err
		}
		op, _ := rightOp(n) // analyse has checked that it has one
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
			if grads[i] == nil {
				return newFault(ErrOp, "op %v: SymDiff gives no gradient of input %d, which DiffWRT calls differentiable", op, i)
			}
			d, ok := fitted(grads[i], c)
			if !ok {
				return newFault(ErrOp, "op %v: SymDiff gives a gradient of shape %v for input %d, which is %v", op, grads[i].Shape(), i, c.Shape())
			}
			w.terms[c] = append(w.terms[c], d)
		}
	}
	return nil
}

// symDiff calls SymDiff, and turns its panics into errors.
func symDiff(op G.SDOp, in G.Nodes, out, grad *G.Node) (grads G.Nodes, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = newFault(ErrOp, "op %v cannot be differentiated: SymDiff panics: %v", op, r)
		}
	}()
	if grads, err = op.SymDiff(in, out, grad); err != nil {
		return nil, &fault{fmt.Sprintf("diff: op %v cannot be differentiated: %v", op, err), ErrOp, err}
	}
	if len(grads) < len(in) {
		return nil, newFault(ErrOp, "op %v: SymDiff gives %d gradients for %d inputs", op, len(grads), len(in))
	}
	return grads, nil
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
