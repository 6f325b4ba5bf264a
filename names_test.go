package norm

import (
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
)

// Programs that make a graph for each step do not accumulate names. In a graph names are
// taken, by number too, for good.
func TestNamesAreForgottenWithTheirGraph(t *testing.T) {
	r := registry{graphs: map[weak.Pointer[G.ExprGraph]]graphNames{}}
	g := G.NewGraph()
	r.take(g, "a")
	r.take(g, "b")
	require.True(t, r.taken(g, "a"))
	require.False(t, r.taken(G.NewGraph(), "a"))
	require.Equal(t, 1, r.unused(g, "c"))
	r.take(g, "c")
	r.take(g, "c3")
	require.Equal(t, 2, r.unused(g, "c"))
	r.take(g, "c2")
	require.Equal(t, 4, r.unused(g, "c"))
	require.Equal(t, 1, r.unused(G.NewGraph(), "c"))
	runtime.KeepAlive(g)
	require.Eventually(t, func() bool {
		runtime.GC()
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.graphs) == 0
	}, 10*time.Second, time.Millisecond)
}
