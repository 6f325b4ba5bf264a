// Package edges knows what of the edges of a graph Gorgonia does not: those behind a node that was
// removed, and along which memory is shared.
package edges

import (
	"fmt"

	G "gorgonia.org/gorgonia"
)

// From returns the inputs of a node of a graph, in order.
//
// A graph keeps the places of its nodes, and not that they move up when a node before them is
// removed, as by gorgonia.BinaryXent: its own From then returns the inputs of another node.
func From(n *G.Node) (inputs G.Nodes) {
	g := n.Graph()
	if g.Node(n.ID()) != n {
		g = g.ExactSubgraphRoots(n) // which has not kept any places yet
	}
	for it := g.From(n.ID()); it.Next(); {
		inputs = append(inputs, it.Node().(*G.Node))
	}
	return inputs
}

// SharesMemory says whether the value of a node may have the memory of its input: gorgonia.Reshape
// returns its input in another shape, Dropout as it is in evaluation, and Concat if there is
// nothing to append. The types of the ops are not exported.
func SharesMemory(n *G.Node) bool {
	switch fmt.Sprintf("%T", n.Op()) {
	case "gorgonia.reshapeOp", "*gorgonia.dropoutOp":
		return true
	case "gorgonia.concatOp":
		return len(From(n)) == 1 // its Arity is -1
	}
	return false
}
