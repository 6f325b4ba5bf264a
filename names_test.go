package norm

import (
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
)

// Programs that make a graph for each step do not accumulate names.
func TestNamesAreForgottenWithTheirGraph(t *testing.T) {
	r := registry{graphs: map[weak.Pointer[G.ExprGraph]]map[string]bool{}}
	g := G.NewGraph()
	r.take(g, "a")
	r.take(g, "b")
	require.True(t, r.taken(g, "a"))
	require.False(t, r.taken(G.NewGraph(), "a"))
	runtime.KeepAlive(g)
	require.Eventually(t, func() bool {
		runtime.GC()
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.graphs) == 0
	}, 10*time.Second, time.Millisecond)
}
