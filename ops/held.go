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

// heldOp is an op with further inputs that it does not use: the tensors with which its
// own inputs share memory. A TapeMachine does not know about shared memory, and lets
// another op write into such a tensor as soon as no op needs it as an input.
type heldOp struct {
	derivableOp
	inputs int       // of the op
	held   []hm.Type // the types of the further inputs
}

// hold returns the op with the tensors with which its inputs share memory as further
// inputs. A stateful op is returned unchanged, since it has to be found in the graph: the
// op that takes its statistics runs later, has the same input, and holds them.
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

// IsPart says whether the op itself is a part.
func (o *heldOp) IsPart() bool {
	part, ok := o.derivableOp.(opname.Part)
	return ok && part.IsPart()
}

// Arity returns the number of all inputs.
func (o *heldOp) Arity() int { return o.inputs + len(o.held) }

// Type returns the type of the op, with further inputs.
func (o *heldOp) Type() hm.Type {
	ts := o.derivableOp.Type().(*hm.FunctionType).FlatTypes()
	return hm.NewFnType(slices.Insert(ts, o.inputs, o.held...)...)
}

// InferShape returns the shape that the op returns.
func (o *heldOp) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	return o.derivableOp.InferShape(in[:o.inputs]...)
}

// Do returns the result of the op.
func (o *heldOp) Do(vs ...G.Value) (G.Value, error) { return o.derivableOp.Do(vs[:o.inputs]...) }

// WriteHash writes the hash of the op and the number of further inputs.
func (o *heldOp) WriteHash(h hash.Hash) {
	o.derivableOp.WriteHash(h)
	fmt.Fprintf(h, ", held=%d", len(o.held))
}

// Hashcode returns the hash of what WriteHash writes.
func (o *heldOp) Hashcode() uint32 { return opcall.Hashcode(o) }

// DiffWRT returns the flags of the op, and false for the further inputs.
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
