package norm_test

import (
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/gorgonorm/norm"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// soakNet is a net with batch, layer and weight norm, on inputs (batch, 8).
type soakNet struct {
	x, cost *G.Node
	bn      *norm.BatchNorm
	params  G.Nodes
}

func newSoakNet(symbolic bool) *soakNet {
	const batch, in, hidden = 16, 8, 12
	n := &soakNet{x: input(G.NewGraph(), wave(tensor.Float64, 0, batch, in))}
	g := n.x.Graph()
	fc := norm.Must(norm.NewWeightNormLinear(g, tensor.Float64, in, hidden, norm.WithWeight(wave(tensor.Float64, 0.1, hidden, in))))
	n.bn = norm.Must(norm.NewBatchNorm(g, tensor.Float64, hidden))
	ln := norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{hidden}))
	out := norm.Must(norm.NewWeightNormLinear(g, tensor.Float64, hidden, in, norm.WithWeight(wave(tensor.Float64, 0.2, in, hidden))))
	for _, p := range []G.Nodes{fc.Learnables(), n.bn.Learnables(), ln.Learnables(), out.Learnables()} {
		n.params = append(n.params, p...)
	}
	h := norm.Must(n.bn.Fwd(norm.Must(fc.Fwd(n.x))))
	h = norm.Must(ln.Fwd(norm.Must(G.Tanh(h))))
	n.cost = norm.Must(G.Mean(norm.Must(G.Square(norm.Must(G.Sub(norm.Must(out.Fwd(h)), n.x))))))
	if symbolic {
		norm.Must(G.Grad(n.cost, n.params...))
	}
	return n
}

// resources are what a program holds after garbage collection.
type resources struct {
	heap       uint64
	goroutines int
}

func held() resources {
	runtime.GC()
	runtime.GC() // of what pools keep over one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return resources{m.HeapInuse, runtime.NumGoroutine()}
}

// soak trains, and compares the resources and the cost at the end with those after a
// tenth of the steps.
func soak(t *testing.T, n *soakNet, steps int, run func() error) {
	t.Helper()
	solver := G.NewVanillaSolver(G.WithLearnRate(0.01))
	var first, early, last float64
	var before resources
	start := time.Now()
	for step := range steps {
		require.NoError(t, run())
		last = n.cost.Value().Data().(float64)
		require.False(t, math.IsNaN(last) || math.IsInf(last, 0), "step %d", step)
		require.NoError(t, solver.Step(G.NodesToValueGrads(n.params)))
		switch step {
		case 0:
			first = last
		case steps / 10:
			before, early = held(), last
		}
	}
	after := held()
	t.Logf("%d steps in %.1f s: heap %d KiB after a tenth, %d KiB at the end; goroutines %d, %d; cost %.4g, %.4g, %.4g",
		steps, time.Since(start).Seconds(), before.heap>>10, after.heap>>10, before.goroutines, after.goroutines, first, early, last)
	require.LessOrEqual(t, after.heap, before.heap+1<<20, "the heap grows")
	require.LessOrEqual(t, after.goroutines, before.goroutines, "goroutines are left")
	require.Less(t, early, first)
	require.LessOrEqual(t, last, early, "the cost drifts")
	_, variance := n.bn.Stats()
	for _, v := range variance {
		require.True(t, v > 0 && !math.IsInf(v, 0), "%v", variance)
	}
}

// After thousands of steps a program holds no more memory and goroutines than after a
// tenth of them, and the cost has not drifted.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	t.Run("tape", func(t *testing.T) {
		n := newSoakNet(true)
		vm := G.NewTapeMachine(n.x.Graph(), G.BindDualValues(n.params...))
		defer vm.Close()
		soak(t, n, 10000, func() error {
			vm.Reset()
			return vm.RunAll()
		})
	})
	t.Run("lisp", func(t *testing.T) { // a machine for each step, as it runs once
		n := newSoakNet(false)
		soak(t, n, 2000, func() error {
			vm := G.NewLispMachine(n.x.Graph())
			defer vm.Close()
			return vm.RunAll()
		})
	})
}
