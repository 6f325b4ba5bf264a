// Package walking records which graphs diff.Grad is going through, so that ops can tell
// its calls from those of gorgonia.Grad.
package walking

import (
	"sync"

	G "gorgonia.org/gorgonia"
)

var (
	mu     sync.Mutex
	graphs = map[*G.ExprGraph]int{} // the number of walks
)

// Enter begins a walk. The caller calls leave at its end.
func Enter(g *G.ExprGraph) (leave func()) {
	mu.Lock()
	defer mu.Unlock()
	graphs[g]++
	return func() {
		mu.Lock()
		defer mu.Unlock()
		if graphs[g]--; graphs[g] == 0 {
			delete(graphs, g)
		}
	}
}

// In says whether a graph is being walked.
func In(g *G.ExprGraph) bool {
	mu.Lock()
	defer mu.Unlock()
	return graphs[g] > 0
}
