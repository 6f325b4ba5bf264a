package walking

import (
	"testing"

	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
)

// Of two walks through a graph the one goes on when the other ends. After both of them
// nothing is known of the graph, so that it can be collected.
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
