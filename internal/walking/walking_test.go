package walking

import (
	"testing"

	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
)

// When one of two walks through a graph ends, the other goes on. After both of them
// nothing refers to the graph, so it can be collected.
func TestWalksThroughOneGraph(t *testing.T) {
	g, other := G.NewGraph(), G.NewGraph()
	require.False(t, In(g))
	first, second := Enter(g), Enter(g)
	require.True(t, In(g))
	require.False(t, In(other))
	first()
	require.True(t, In(g))
	second()
	require.False(t, In(g))
	require.Empty(t, graphs)
}
