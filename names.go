package norm

import (
	"runtime"
	"strconv"
	"sync"
	"weak"

	G "gorgonia.org/gorgonia"
)

// names holds the names of the layers in each graph, for as long as the graph lives. The
// graph's own nodes do not tell: a layer may have no parameters.
var names = registry{graphs: map[weak.Pointer[G.ExprGraph]]graphNames{}}

type registry struct {
	mu     sync.Mutex
	graphs map[weak.Pointer[G.ExprGraph]]graphNames
}

// graphNames are the names of one graph. Those of layers that were given none are
// numbered by kind: all numbers below unused are taken, so that a search begins there.
type graphNames struct {
	taken  map[string]bool
	unused map[string]int
}

// numbered returns the name that layer number i of a kind has if it was given none.
func numbered(kind string, i int) string {
	if i == 1 {
		return kind
	}
	return kind + strconv.Itoa(i)
}

// taken says whether the graph has a layer of that name.
func (r *registry) taken(g *G.ExprGraph, name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.graphs[weak.Make(g)].taken[name]
}

// unused returns the first number of a kind whose name no layer of the graph has.
func (r *registry) unused(g *G.ExprGraph, kind string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	of := r.graphs[weak.Make(g)]
	i := max(1, of.unused[kind])
	for of.taken[numbered(kind, i)] {
		i++
	}
	if of.unused != nil {
		of.unused[kind] = i
	}
	return i
}

// take records that the graph has a layer of that name.
func (r *registry) take(g *G.ExprGraph, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := weak.Make(g)
	if r.graphs[key].taken == nil {
		r.graphs[key] = graphNames{map[string]bool{}, map[string]int{}}
		runtime.AddCleanup(g, r.forget, key)
	}
	r.graphs[key].taken[name] = true
}

func (r *registry) forget(key weak.Pointer[G.ExprGraph]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.graphs, key)
}
