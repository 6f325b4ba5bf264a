package ops_test

import (
	"fmt"
	"hash/fnv"
	"os"
	"testing"

	"github.com/gorgonorm/norm/gradcheck"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// sizes are near vector widths and block boundaries of the kernels.
var sizes = []int{1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 127, 129, 257, 385, 1000, 1025}

// wave is graphtest.Wave in float64.
func wave(mean float64, shape ...int) *tensor.Dense {
	return graphtest.Wave(tensor.Float64, mean, shape...)
}

// gradients checks an op in both machines. For large inputs it checks some elements one
// by one, and all in random directions.
func gradients(t *testing.T, f gradcheck.Func, in []*tensor.Dense, opts ...gradcheck.Option) {
	t.Helper()
	skipNumbersUnderRace(t)
	thinShort(t)
	require.NoError(t, gradcheck.Check(f, in, append([]gradcheck.Option{gradcheck.WithMaxElements(12)}, opts...)...))
}

// skipNumbersUnderRace skips a test of numbers, which the race detector makes ten times
// slower. The race detector is for the tests of machines, clones and sharing.
func skipNumbersUnderRace(t *testing.T) {
	t.Helper()
	if raceDetector {
		t.Skip("a test of numbers")
	}
}

// thinShort skips four fifths of the cases in short runs. Short runs are for another path
// of the kernels or other dependencies. The cases are chosen by their names and by the
// path, so that runs of different paths test different cases.
func thinShort(t *testing.T) {
	t.Helper()
	if !testing.Short() {
		return
	}
	h := fnv.New32()
	_, _ = h.Write([]byte(t.Name() + os.Getenv("NORM_ISA")))
	if h.Sum32()%5 != 0 {
		t.Skip("not in short runs")
	}
}

// affines are the combinations of γ and β.
var affines = map[string]struct{ gamma, beta bool }{
	"none": {}, "gamma": {gamma: true}, "beta": {beta: true}, "both": {true, true},
}

func affineValues(gamma, beta bool, shape ...int) (vs []*tensor.Dense) {
	if gamma {
		vs = append(vs, wave(1.2, shape...))
	}
	if beta {
		vs = append(vs, wave(-0.3, shape...))
	}
	return vs
}

func affineNodes(n G.Nodes, gamma, beta bool) (g, b *G.Node) {
	n = n[1:]
	if gamma {
		g, n = n[0], n[1:]
	}
	if beta {
		b = n[0]
	}
	return g, b
}

func TestLayerNormGradients(t *testing.T) {
	check := func(t *testing.T, x, shape tensor.Shape) {
		for name, a := range affines {
			for _, unbiased := range []bool{false, true} {
				if unbiased && shape.TotalSize() == 1 {
					continue // not defined
				}
				t.Run(fmt.Sprintf("%s/unbiased=%v", name, unbiased), func(t *testing.T) {
					in := append([]*tensor.Dense{wave(0.5, x...)}, affineValues(a.gamma, a.beta, shape...)...)
					gradients(t, func(n G.Nodes) (*G.Node, error) {
						gamma, beta := affineNodes(n, a.gamma, a.beta)
						return ops.LayerNorm(n[0], gamma, beta, shape, ops.LayerNormConfig{Eps: 1e-2, UnbiasedStd: unbiased})
					}, in)
				})
			}
		}
	}
	for _, n := range sizes {
		t.Run(fmt.Sprintf("3x%d", n), func(t *testing.T) { check(t, tensor.Shape{3, n}, tensor.Shape{n}) })
	}
	for rank := 1; rank <= 5; rank++ {
		x := tensor.Shape{2, 3, 2, 3, 4}[5-rank:]
		for k := 1; k <= rank; k++ {
			t.Run(fmt.Sprintf("rank%d/last%d", rank, k), func(t *testing.T) { check(t, x, x[rank-k:]) })
		}
	}
}

func TestBatchNormGradients(t *testing.T) {
	modes := map[string]struct {
		cfg     ops.BatchNormConfig
		tracked bool
		opts    []gradcheck.Option
	}{
		"train":     {ops.BatchNormConfig{Momentum: 0.1}, true, nil},
		"eval":      {ops.BatchNormConfig{Momentum: 0.1}, true, []gradcheck.Option{gradcheck.WithEvalMode()}},
		"frozen":    {ops.BatchNormConfig{Frozen: true}, true, nil},
		"untracked": {ops.BatchNormConfig{}, false, []gradcheck.Option{gradcheck.WithEvalMode()}},
	}
	checkAxis := func(t *testing.T, axis int, x ...int) {
		channels := x[(axis+len(x))%len(x)]
		for mode, m := range modes {
			if n := tensor.Shape(x).TotalSize() / channels; n == 1 && (mode == "train" || mode == "untracked") {
				continue // an error
			}
			for name, a := range affines {
				t.Run(mode+"/"+name, func(t *testing.T) {
					m.cfg.Eps, m.cfg.ChannelAxis = 1e-2, axis
					var stats *ops.RunningStats
					if m.tracked {
						stats = statsOf(t, channels)
					}
					before := snapshot(stats)
					in := append([]*tensor.Dense{wave(0.5, x...)}, affineValues(a.gamma, a.beta, channels)...)
					gradients(t, func(n G.Nodes) (*G.Node, error) {
						gamma, beta := affineNodes(n, a.gamma, a.beta)
						return ops.BatchNorm(n[0], gamma, beta, stats, m.cfg)
					}, in, m.opts...)
					require.Equal(t, before, snapshot(stats), "the check moved the statistics")
				})
			}
		}
	}
	check := func(t *testing.T, x ...int) { checkAxis(t, 1, x...) }
	for _, n := range sizes {
		for _, x := range [][]int{{n, 3}, {2, n}, {2, 3, n}, {n, 2, 2}} {
			t.Run(fmt.Sprint(tensor.Shape(x)), func(t *testing.T) { check(t, x...) })
		}
	}
	for _, x := range [][]int{{2, 3, 2, 3}, {2, 3, 2, 2, 3}, {1, 3, 2, 3}, {3, 1, 1, 1, 1}, {130, 70}, {4, 2, 4100}} {
		t.Run(fmt.Sprint(tensor.Shape(x)), func(t *testing.T) { check(t, x...) })
	}
	for _, x := range [][]int{{4, 3}, {2, 5, 3}, {2, 3, 4, 17}, {2, 3, 2, 2, 3}} {
		for axis := -len(x); axis < 0; axis++ {
			t.Run(fmt.Sprintf("%v axis %d", tensor.Shape(x), axis), func(t *testing.T) { checkAxis(t, axis, x...) })
		}
	}
}

// statsOf returns running statistics that differ from 0 and 1.
func statsOf(t testing.TB, channels int) *ops.RunningStats {
	s, err := ops.NewRunningStats(channels)
	require.NoError(t, err)
	mean, variance := make([]float64, channels), make([]float64, channels)
	for c := range mean {
		mean[c], variance[c] = 0.3*float64(c%5), 0.5+0.2*float64(c%7)
	}
	require.NoError(t, s.Set(mean, variance, 3))
	return s
}

func snapshot(s *ops.RunningStats) (all []float64) {
	if s == nil {
		return nil
	}
	mean, variance, batches := s.Values()
	return append(append(mean, variance...), float64(batches))
}

func TestWeightNormGradients(t *testing.T) {
	check := func(t *testing.T, v ...int) {
		for _, axis := range append([]int{ops.WholeTensor}, []int{0, 1, 2, 3, 4}[:len(v)]...) {
			g := []int{1}
			if axis != ops.WholeTensor {
				g = []int{v[axis]}
			}
			t.Run(fmt.Sprintf("axis=%d", axis), func(t *testing.T) {
				gradients(t, func(n G.Nodes) (*G.Node, error) { return ops.WeightNorm(n[0], n[1], ops.WeightNormConfig{Axis: axis}) },
					[]*tensor.Dense{wave(0.2, v...), wave(-0.4, g...)})
			})
		}
	}
	for _, n := range sizes {
		for _, v := range [][]int{{n}, {n, 3}, {3, n}, {2, n, 3}} {
			t.Run(fmt.Sprint(tensor.Shape(v)), func(t *testing.T) { check(t, v...) })
		}
	}
	for _, v := range [][]int{{2, 3, 2, 3}, {2, 3, 2, 2, 3}} {
		t.Run(fmt.Sprint(tensor.Shape(v)), func(t *testing.T) { check(t, v...) })
	}
}

func TestWeightNormLinearGradients(t *testing.T) {
	check := func(t *testing.T, out int, x ...int) {
		in := x[len(x)-1]
		for axis, g := range map[int]int{0: out, 1: in, ops.WholeTensor: 1} {
			for _, bias := range []bool{true, false} {
				t.Run(fmt.Sprintf("axis=%d/bias=%v", axis, bias), func(t *testing.T) {
					vs := []*tensor.Dense{wave(0.5, x...), wave(0.2, out, in), wave(1.1, g)}
					if bias {
						vs = append(vs, wave(0.1, out))
					}
					gradients(t, func(n G.Nodes) (*G.Node, error) {
						var b *G.Node
						if bias {
							b = n[3]
						}
						return ops.WeightNormLinear(n[0], n[1], n[2], b, ops.WeightNormConfig{Axis: axis})
					}, vs)
				})
			}
		}
	}
	for _, n := range sizes {
		t.Run(fmt.Sprintf("%d to 3", n), func(t *testing.T) { check(t, 3, 2, n) })
		t.Run(fmt.Sprintf("3 to %d", n), func(t *testing.T) { check(t, n, 2, 3) })
		t.Run(fmt.Sprintf("batch of %d", n), func(t *testing.T) { check(t, 3, n, 2) })
	}
	for _, x := range [][]int{{4}, {2, 3, 4}, {2, 1, 2, 4}, {2, 1, 2, 1, 4}} {
		t.Run(fmt.Sprint(tensor.Shape(x)), func(t *testing.T) { check(t, 3, x...) })
	}
}
