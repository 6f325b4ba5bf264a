package diff

import (
	"cmp"
	"fmt"
	"hash"
	"slices"

	"github.com/chewxy/hm"
	"github.com/gorgonorm/norm/internal/edges"
	"github.com/gorgonorm/norm/internal/opcall"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The result of some of Gorgonia's ops has the memory of its input. A TapeMachine does
// not know this: as soon as it no longer needs one of the two, it lets an op that works
// in place overwrite what the other still holds. So both become inputs of the gradients:
// a machine needs inputs until they have been used.

// kept returns copies of the gradients, if nodes share memory with what the gradients are
// made of. The first copy has these nodes and all gradients as inputs, and the other
// copies have the first one.
func kept(grads G.Nodes) (G.Nodes, error) {
	g := grads[0].Graph()
	roots := slices.Clone(grads)
	for _, n := range g.AllNodes() {
		if edges.SharesMemory(n) {
			roots = append(roots, n)
		}
	}
	if len(roots) == len(grads) {
		return grads, nil
	}
	shared, err := sharedBy(grads, g.ExactSubgraphRoots(roots...))
	if err != nil || len(shared) == 0 {
		return grads, err
	}
	first, err := newKeep(append(slices.Clone(grads), shared...))
	if err != nil {
		return nil, err
	}
	copies := make(G.Nodes, len(grads))
	for i, d := range grads {
		if d == grads[0] {
			copies[i] = first
		} else if copies[i], err = newKeep(G.Nodes{d, first}); err != nil {
			return nil, err
		}
	}
	return copies, nil
}

// sharedBy returns the nodes that share memory with another, among those that the given
// nodes depend on and those that have the memory of these.
func sharedBy(nodes G.Nodes, g *G.ExprGraph) (G.Nodes, error) {
	sorted, err := G.Sort(g)
	if err != nil {
		return nil, newFault(ErrGraph, "sorting the graph: %v", err)
	}
	below := dependencies(nodes, sorted)
	var shared G.Nodes
	for _, n := range slices.Backward(sorted) { // children first
		if !edges.SharesMemory(n) {
			continue
		}
		if x := childrenOf(n)[0]; below[x] && !isConstant(x) {
			below[n] = true
			shared = append(shared, x, n)
		}
	}
	slices.SortFunc(shared, func(a, b *G.Node) int { return cmp.Compare(a.ID(), b.ID()) })
	return slices.Compact(shared), nil
}

func isConstant(n *G.Node) bool { return fmt.Sprintf("%T", n.Op()) == "gorgonia.constantScalar" }

// keep copies its first input. The others are inputs only so that a machine keeps them
// until then.
type keep struct {
	opcall.Pure
	types []hm.Type // of the inputs
}

func newKeep(in G.Nodes) (*G.Node, error) {
	op := &keep{types: make([]hm.Type, len(in))}
	for i, n := range in {
		op.types[i] = n.Type()
	}
	return G.ApplyOp(op, in...)
}

func (o *keep) Arity() int    { return len(o.types) }
func (o *keep) Type() hm.Type { return hm.NewFnType(append(slices.Clone(o.types), o.types[0])...) }

func (o *keep) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	return in[0].(tensor.Shape).Clone(), nil
}

func (o *keep) Do(vs ...G.Value) (G.Value, error) { return G.CloneValue(vs[0]) }

// DiffWRT is true for the first input only.
func (o *keep) DiffWRT(inputs int) []bool {
	wrt := make([]bool, inputs)
	wrt[0] = true
	return wrt
}

func (o *keep) SymDiff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	grads := make(G.Nodes, len(in))
	grads[0] = grad
	return grads, nil
}

// DoDiff adds to the gradient of the first input.
func (o *keep) DoDiff(_ G.ExecutionContext, in G.Nodes, out *G.Node) error {
	d, err := out.Grad()
	if err != nil {
		return err
	}
	return addGrad(in[0], d)
}

func (o *keep) String() string        { return "keep" }
func (o *keep) WriteHash(h hash.Hash) { fmt.Fprintf(h, "diff.keep%v", o.types) }
func (o *keep) Hashcode() uint32      { return opcall.Hashcode(o) }
