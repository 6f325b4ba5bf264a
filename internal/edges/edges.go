// Package edges knows two things about the edges of a graph that Gorgonia does not: the
// right edges after a node has been removed, and along which edges memory is shared.
package edges

import (
	"fmt"

	G "gorgonia.org/gorgonia"
)

// From returns the inputs of a node of a graph, in order.
//
// A graph records the positions of its nodes, but does not update them when an earlier
// node is removed, as by gorgonia.BinaryXent. Its own From then returns the inputs of
// another node.
func From(n *G.Node) (inputs G.Nodes) {
	g := n.Graph()
	if g.Node(n.ID()) != n {
		g = g.ExactSubgraphRoots(n) // which has not recorded any positions yet
	}
	for it := g.From(n.ID()); it.Next(); {
		inputs = append(inputs, it.Node().(*G.Node))
	}
	return inputs
}

// SharesMemory says whether the value of a node may have the memory of its input.
// gorgonia.Reshape returns its input in another shape, Dropout returns it unchanged in
// evaluation, and Concat if there is nothing to append. The types of the ops are not
// exported, so they are recognized by name.
func SharesMemory(n *G.Node) bool {
	switch fmt.Sprintf("%T", n.Op()) {
	case "gorgonia.reshapeOp", "*gorgonia.dropoutOp":
		return true
	case "gorgonia.concatOp":
		return len(From(n)) == 1 // its Arity is -1
	}
	return false
}
