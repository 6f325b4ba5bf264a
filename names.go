package norm

import (
	"runtime"
	"sync"
	"weak"

	G "gorgonia.org/gorgonia"
)

// names holds the names of the layers in each graph, for as long as the graph lives. The
// graph's own nodes do not tell: a layer may have no parameters.
var names = registry{graphs: map[weak.Pointer[G.ExprGraph]]map[string]bool{}}

type registry struct {
	mu     sync.Mutex
	graphs map[weak.Pointer[G.ExprGraph]]map[string]bool
}

// taken says whether the graph has a layer of that name.
func (r *registry) taken(g *G.ExprGraph, name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.graphs[weak.Make(g)][name]
}

// take records that the graph has a layer of that name.
func (r *registry) take(g *G.ExprGraph, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := weak.Make(g)
	if r.graphs[key] == nil {
		r.graphs[key] = map[string]bool{}
		runtime.AddCleanup(g, r.forget, key)
	}
	r.graphs[key][name] = true
}

func (r *registry) forget(key weak.Pointer[G.ExprGraph]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.graphs, key)
}
