// Package diff takes gradients of Gorgonia expressions, any number of times in a graph:
// gradients of gradients, and gradients of several costs. It works with Gorgonia's ops,
// those of this module and any others that have a SymDiff.
//
// gorgonia.Grad may be called only once in a graph. It stores in each node its derivative
// for one cost. A second call finds what the first has stored and silently drops its own
// terms: the gradient of a gradient comes out wrong, and so does that of a second cost
// that shares nodes with the first. Grad of this package neither reads nor writes what is
// stored. It may be called before and after gorgonia.Grad:
//
//	dx, err := diff.Grad(critic, x)          // nodes like any others
//	penalty, err := gorgonia.Sum(gorgonia.Must(gorgonia.Square(dx[0])))
//	dw, err := diff.Grad(penalty, params...) // a gradient of a gradient
//	err = diff.Bind(params, dw)              // for a solver
//
// Use a TapeMachine to train by gradients of gradients. A LispMachine makes gradients
// itself, and can take that of a cost that contains gradients, if the ops can and the cost
// is the only root of its graph: build it on g.ExactSubgraphRoots(cost). But it can do so
// only once in the life of a graph, and only if what is summed are matrices; otherwise
// Gorgonia returns an error, or panics, which ends the process.
//
// # Which ops have derivatives
//
// If an op between the cost and an input has no symbolic derivative, Grad returns ErrOp:
// it never leaves a term out silently. The same holds for an op whose gradient has none, if
// a gradient of a gradient is asked for. The ops of this module have second derivatives
// and no third.
//
// Where a derivative of Gorgonia v0.9.18 is known to be wrong or missing, the right one is
// used:
//
//   - for InverseSqrt, Log2 and ByIndices;
//   - for OuterProd, which is in the second derivative of a matrix times a vector;
//   - for Dropout, where an element that is 0 counts as dropped;
//   - for SoftMax and LogSoftMax of a column (n, 1) without an axis;
//   - for Tensordot over all axes of one of two tensors;
//   - for functions of the sum of a whole tensor, and for what is broadcast;
//   - for the gradients of convolutions, slices, and SoftMax and LogSoftMax along one of
//     the first four axes.
//
// AveragePool2D, CTCLoss and Sparsemax along axis 0 are ErrOp, and so are second
// derivatives through MaxPool2D, Upsample2D, and Gorgonia's own BatchNorm and GroupNorm.
//
// # Shared memory
//
// The results of gorgonia.Reshape, which is part of Conv2d and Tensordot, and of a Dropout
// or a Concat that changes nothing, have the memory of their input. A TapeMachine does not
// know this, and ops that work in place overwrite what is still needed. The gradients of
// this package need both the input and the result, so that in a graph with gradients
// neither is overwritten before they are taken.
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
	ErrCost  = errors.New("cost is not a float scalar")     // only such a cost has a gradient
	ErrOp    = errors.New("op is not differentiable")       // an op on the path has no derivative, or a wrong one
	ErrPath  = errors.New("cost does not depend on node")   // or only through ops that are not differentiable
	ErrBound = errors.New("node has a gradient already")    // by gorgonia.Grad or Bind
	ErrShape = errors.New("gradient does not fit its node") // of Bind
)

// fault says what is wrong in words, and unwraps to its kind and its cause.
type fault struct {
	text        string
	kind, cause error
}

func (f *fault) Error() string { return f.text }

func (f *fault) Unwrap() []error {
	if f.cause == nil {
		return []error{f.kind}
	}
	return []error{f.kind, f.cause}
}

func newFault(kind error, format string, args ...any) error {
	return &fault{text: "diff: " + fmt.Sprintf(format, args...), kind: kind}
}

// Grad returns the gradients of a cost, a float32 or float64 scalar, with respect to
// nodes of its graph, each in the shape of its node. Unlike with gorgonia.Grad, the nodes
// need not be inputs. It adds nodes to the graph and changes none. After an error some
// may be left there, which does no harm.
//
// Errors: ErrGraph; ErrCost; ErrOp, which names the op; ErrPath.
func Grad(cost *G.Node, wrt ...*G.Node) (G.Nodes, error) {
	if err := checkCost(cost); err != nil {
		return nil, err
	}
	defer walking.Enter(cost.Graph())()
	if len(wrt) == 0 {
		return nil, newFault(ErrGraph, "no nodes to differentiate with respect to, want at least one")
	}
	for i, n := range wrt {
		switch {
		case n == nil:
			return nil, newFault(ErrGraph, "node %d to differentiate with respect to is nil, want one of the cost's graph", i)
		case n.Graph() != cost.Graph():
			return nil, newFault(ErrGraph, "%v belongs to another graph than the cost, want the same", name(n))
		}
	}
	w := walk{terms: map[*G.Node]G.Nodes{}}
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
	return kept(grads)
}

func checkCost(cost *G.Node) error {
	switch {
	case cost == nil:
		return newFault(ErrGraph, "the cost is nil, want a scalar")
	case cost.Graph() == nil:
		return newFault(ErrGraph, "the cost is in no graph, want a node of one")
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

// fitted returns a gradient in the shape of its node, if it has as many elements in the
// same order: some of Gorgonia's ops, such as Repeat, leave out axes of one element.
func fitted(d, n *G.Node) (_ *G.Node, ok bool) {
	if fits(d, n) {
		return d, true
	}
	if !slices.Equal(longAxes(d.Shape()), longAxes(n.Shape())) {
		return nil, false
	}
	r, err := G.Reshape(d, n.Shape().Clone())
	return r, err == nil
}

// longAxes are the sizes of the axes of more than one element.
func longAxes(s tensor.Shape) []int {
	return slices.DeleteFunc(s.Clone(), func(size int) bool { return size == 1 })
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

// Bind makes gradients those of the nodes, in order, so that the nodes' Grad method, and
// with it Gorgonia's solvers, find them. A node has one gradient: call Bind once for each
// parameter, and do not call gorgonia.Grad for a cost that depends on it. Build the
// machine with gorgonia.BindDualValues(wrt...). Otherwise, if two of the gradients are
// the same node, a solver would clear both after using the first.
//
// Errors: ErrGraph, ErrBound, ErrShape. After an error nothing is bound.
func Bind(wrt, grads G.Nodes) error {
	if len(wrt) != len(grads) {
		return newFault(ErrGraph, "%d gradients for %d nodes, want one for each", len(grads), len(wrt))
	}
	for i, n := range wrt {
		d := grads[i]
		switch {
		case n == nil || d == nil:
			return newFault(ErrGraph, "node %d or its gradient is nil, want both", i)
		case n.Graph() != d.Graph():
			return newFault(ErrGraph, "%v belongs to another graph than its gradient, want the same", name(n))
		case n.Deriv() != nil || slices.Contains(wrt[:i], n):
			return newFault(ErrBound, "%v has a gradient already, want a node without", name(n))
		case !fits(d, n) || d.Dtype() != n.Dtype():
			return newFault(ErrShape, "%v is %v %v and its gradient %v %v, want the same", name(n), n.Dtype(), n.Shape(), d.Dtype(), d.Shape())
		}
	}
	for i, n := range wrt {
		G.SetDerivOf(grads[i], n)
	}
	return nil
}
