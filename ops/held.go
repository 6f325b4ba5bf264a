package ops

import (
	"fmt"
	"hash"
	"slices"

	"github.com/chewxy/hm"
	"github.com/gorgonorm/norm/internal/edges"
	"github.com/gorgonorm/norm/internal/opcall"
	"github.com/gorgonorm/norm/internal/opname"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// heldOp is an op with further inputs, which it does not use: the tensors that its own inputs share
// memory with. A TapeMachine does not know of it, and lets another op write into such a tensor as
// soon as nothing has it as input any more.
type heldOp struct {
	derivableOp
	inputs int       // of the op
	held   []hm.Type // the types of the further ones
}

// hold returns the op and its inputs, with what they share memory with. Of a stateful op,
// which has to be found in the graph, nothing is held: the op that takes the statistics
// runs later, and has the same input.
func hold(op derivableOp, in G.Nodes) (derivableOp, G.Nodes) {
	if _, ok := op.(statefulOp); ok {
		return op, in
	}
	var held G.Nodes
	var types []hm.Type
	for _, n := range in {
		for n = original(n); n != nil && !slices.Contains(held, n); n = original(n) {
			held, types = append(held, n), append(types, n.Type())
		}
	}
	if held == nil {
		return op, in
	}
	return &heldOp{op, len(in), types}, slices.Concat(in, held)
}

// original returns the tensor whose memory the value of a node may have, or nil.
func original(n *G.Node) *G.Node {
	if !edges.SharesMemory(n) {
		return nil
	}
	for _, from := range edges.From(n) {
		if from.Dims() > 0 {
			return from
		}
	}
	return nil
}

// IsPart is the op's.
func (o *heldOp) IsPart() bool {
	part, ok := o.derivableOp.(opname.Part)
	return ok && part.IsPart()
}

// Arity is the number of all inputs.
func (o *heldOp) Arity() int { return o.inputs + len(o.held) }

// Type is that of the op, with further inputs.
func (o *heldOp) Type() hm.Type {
	ts := o.derivableOp.Type().(*hm.FunctionType).FlatTypes()
	return hm.NewFnType(slices.Insert(ts, o.inputs, o.held...)...)
}

// InferShape is the op's.
func (o *heldOp) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	return o.derivableOp.InferShape(in[:o.inputs]...)
}

// Do is the op's.
func (o *heldOp) Do(vs ...G.Value) (G.Value, error) { return o.derivableOp.Do(vs[:o.inputs]...) }

// WriteHash writes the op's, and how many inputs are held.
func (o *heldOp) WriteHash(h hash.Hash) {
	o.derivableOp.WriteHash(h)
	fmt.Fprintf(h, ", held=%d", len(o.held))
}

// Hashcode is that of what WriteHash writes.
func (o *heldOp) Hashcode() uint32 { return opcall.Hashcode(o) }

// DiffWRT is the op's, and false for what is held.
func (o *heldOp) DiffWRT(int) []bool {
	return append(o.derivableOp.DiffWRT(o.inputs), make([]bool, len(o.held))...)
}

// SymDiff returns the gradients of the op.
func (o *heldOp) SymDiff(in G.Nodes, out, u *G.Node) (G.Nodes, error) {
	grads, err := o.derivableOp.SymDiff(in[:o.inputs], out, u)
	return append(grads, make(G.Nodes, len(o.held))...), err
}

// DoDiff adds to the gradients of the op's inputs.
func (o *heldOp) DoDiff(ctx G.ExecutionContext, in G.Nodes, out *G.Node) error {
	return o.derivableOp.DoDiff(ctx, in[:o.inputs], out)
}

var (
	_ G.SDOp = (*heldOp)(nil)
	_ G.ADOp = (*heldOp)(nil)
)
