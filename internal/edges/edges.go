// Package edges follows the edges of a graph, also where Gorgonia takes others.
package edges

import G "gorgonia.org/gorgonia"

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
