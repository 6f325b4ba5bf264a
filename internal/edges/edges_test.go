package edges_test

import (
	"testing"

	"github.com/gorgonorm/norm/internal/edges"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
)

// After a node has been removed, Gorgonia returns wrong edges for later nodes.
func TestFromAfterRemoval(t *testing.T) {
	g := G.NewGraph()
	x := G.NewVector(g, G.Float64, G.WithShape(3), G.WithName("x"))
	removed := G.Must(G.Exp(x))
	y := G.Must(G.Tanh(x))
	z := G.Must(G.HadamardProd(y, x))
	g.RemoveNode(removed)
	require.NotEqual(t, 1, g.From(y.ID()).Len(), "Gorgonia knows y")
	require.Equal(t, G.Nodes{x}, edges.From(y))
	require.Equal(t, G.Nodes{y, x}, edges.From(z))
	require.Empty(t, edges.From(x))
}

// A Concat shares memory if there is nothing to append.
func TestSharesMemory(t *testing.T) {
	g := G.NewGraph()
	x := G.NewMatrix(g, G.Float64, G.WithShape(2, 3), G.WithName("x"))
	for _, n := range []*G.Node{G.Must(G.Reshape(x, []int{3, 2})), G.Must(G.Dropout(x, 0.5)), G.Must(G.Concat(0, x))} {
		require.True(t, edges.SharesMemory(n), n)
	}
	for _, n := range []*G.Node{x, G.Must(G.Tanh(x)), G.Must(G.Concat(0, x, G.Must(G.Exp(x))))} {
		require.False(t, edges.SharesMemory(n), n)
	}
}
