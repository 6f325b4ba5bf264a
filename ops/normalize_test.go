package ops_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/gorgonorm/norm/internal/golden"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func normalizeCase(name string, cfg ops.NormalizeConfig, x ...int) opCase {
	return opCase{name: "normalize " + name, names: []string{"x"}, shapes: []tensor.Shape{x},
		build: func(n G.Nodes, _ *ops.RunningStats) (*G.Node, error) { return ops.Normalize(n[0], cfg) }}
}

func localCase(name string, cfg ops.LocalResponseNormConfig, x ...int) opCase {
	return opCase{name: "localresponsenorm " + name, names: []string{"x"}, shapes: []tensor.Shape{x},
		build: func(n G.Nodes, _ *ops.RunningStats) (*G.Node, error) { return ops.LocalResponseNorm(n[0], cfg) }}
}

// neighbourCases are the cases of the norms that have one input and no parameters.
func neighbourCases(reuse bool) []opCase {
	lp := func(p float64, axis int) ops.NormalizeConfig {
		return ops.NormalizeConfig{P: p, Axis: axis, Eps: 1e-3, Reuse: reuse}
	}
	return []opCase{
		normalizeCase("rows", lp(2, 1), 4, 6),
		normalizeCase("channels", lp(2, 1), 2, 3, 4),
		normalizeCase("p = 3", lp(3, 0), 4, 6),
		normalizeCase("whole tensor", lp(2, ops.WholeTensor), 2, 3, 2),
		localCase("odd", ops.LocalResponseNormConfig{Size: 3, Alpha: 1, Beta: 0.75, K: 1, Reuse: reuse}, 2, 5, 3),
		localCase("mirrored", ops.LocalResponseNormConfig{Size: 4, Alpha: 1, Beta: 0.6, K: 2, Mirrored: true, Reuse: reuse}, 2, 3, 2, 2),
	}
}

func TestNormalizeMatchesGolden(t *testing.T) {
	eachCase(t, "Normalize", func(t *testing.T, c *golden.Case, m graphtest.Machine) {
		cfg := ops.DefaultNormalize()
		cfg.P, _ = c.Float("p")
		cfg.Axis = axis(c)
		cfg.Eps, _ = c.Float("eps")
		r, err := m(func(n G.Nodes) (*G.Node, error) { return ops.Normalize(n[0], cfg) },
			[]*tensor.Dense{in(c, "x")}, in(c, "dy"))
		require.NoError(t, err)
		checkResult(t, c, "y", r, []string{"x"}, "")
	})
}

func TestLocalResponseNormMatchesGolden(t *testing.T) {
	for op, names := range map[string][3]string{"LocalResponseNorm": {"k", "x", "y"}, "LRN": {"bias", "X", "Y"}} {
		eachCase(t, op, func(t *testing.T, c *golden.Case, m graphtest.Machine) {
			cfg := ops.LocalResponseNormConfig{Mirrored: op == "LRN"}
			cfg.Size, _ = c.Int("size")
			cfg.Alpha, _ = c.Float("alpha")
			cfg.Beta, _ = c.Float("beta")
			cfg.K, _ = c.Float(names[0])
			x := in(c, names[1])
			dy := x
			if op != "LRN" {
				dy = in(c, "dy")
			}
			r, err := m(func(n G.Nodes) (*G.Node, error) { return ops.LocalResponseNorm(n[0], cfg) }, []*tensor.Dense{x}, dy)
			require.NoError(t, err)
			if op == "LRN" {
				check(t, c, "Y", graphtest.Floats(r.Y))
				return
			}
			checkResult(t, c, "y", r, []string{"x"}, "")
		})
	}
}

// apart returns values that are far from 0 and, in their size, from each other, since at
// such points the norms may not be differentiable.
func apart(shape ...int) *tensor.Dense {
	d := wave(0.2, shape...)
	for i, v := range d.Data().([]float64) {
		_, fraction := math.Modf(float64(i) * math.Phi)
		d.Data().([]float64)[i] = math.Copysign(0.5+fraction, v)
	}
	return d
}

func TestNormalizeGradients(t *testing.T) {
	check := func(t *testing.T, x ...int) {
		for _, p := range []float64{1, 1.5, 2, 3, 7, math.Inf(1)} {
			for _, axis := range append([]int{ops.WholeTensor}, []int{0, 1, 2, 3, 4}[:len(x)]...) {
				t.Run(fmt.Sprintf("p=%v/axis=%d", p, axis), func(t *testing.T) {
					gradients(t, func(n G.Nodes) (*G.Node, error) {
						return ops.Normalize(n[0], ops.NormalizeConfig{P: p, Axis: axis, Eps: 1e-12})
					}, []*tensor.Dense{apart(x...)})
				})
			}
		}
	}
	for _, n := range sizes {
		for _, x := range [][]int{{n}, {3, n}, {2, n, 3}} {
			t.Run(fmt.Sprint(tensor.Shape(x)), func(t *testing.T) { check(t, x...) })
		}
	}
	for _, x := range [][]int{{2, 3, 2, 3}, {2, 3, 2, 2, 3}} {
		t.Run(fmt.Sprint(tensor.Shape(x)), func(t *testing.T) { check(t, x...) })
	}
}

// Below eps the gradient is that of x/eps.
func TestNormalizeGradientsBelowEps(t *testing.T) {
	for _, p := range []float64{1, 2, 3, math.Inf(1)} {
		gradients(t, func(n G.Nodes) (*G.Node, error) {
			return ops.Normalize(n[0], ops.NormalizeConfig{P: p, Axis: 1, Eps: 100})
		}, []*tensor.Dense{apart(3, 5)})
	}
}

func TestLocalResponseNormGradients(t *testing.T) {
	for _, x := range [][]int{{2, 1, 3}, {2, 7, 3}, {1, 17, 5}, {2, 5, 3, 2}, {2, 4, 2, 2, 3}, {1, 70, 33}} {
		for _, size := range []int{1, 2, 3, 4, 5, 9} {
			for _, mirrored := range []bool{false, true} {
				for _, beta := range []float64{0.75, 0.5, 1, 0.3, -1} {
					t.Run(fmt.Sprintf("%v/size=%d/mirrored=%v/beta=%v", tensor.Shape(x), size, mirrored, beta), func(t *testing.T) {
						gradients(t, func(n G.Nodes) (*G.Node, error) {
							return ops.LocalResponseNorm(n[0], ops.LocalResponseNormConfig{Size: size, Alpha: 2, Beta: beta, K: 1.5, Mirrored: mirrored})
						}, []*tensor.Dense{wave(0.2, x...)})
					})
				}
			}
		}
	}
}

// The smallest settings are a window of the channel alone, and an alpha or a k of 0.
func TestLocalResponseNormOfLeastSettings(t *testing.T) {
	x := wave(0.2, 2, 3, 4)
	for _, cfg := range []ops.LocalResponseNormConfig{
		{Size: 1, Alpha: 0, Beta: 0.75, K: 2},
		{Size: 1, Alpha: 3, Beta: 0.75, K: 0},
	} {
		y, err := ops.EvalLocalResponseNorm(nil, x, cfg)
		require.NoError(t, err)
		want := floats(x)
		for i, v := range want {
			want[i] = v / math.Pow(cfg.K+cfg.Alpha*v*v, cfg.Beta)
		}
		requireNear(t, want, floats(y), 1e-14, fmt.Sprintf("%+v", cfg))
	}
}

// Normalize along the other axes of a weight is weight norm with g = 1.
func TestNormalizeIsWeightNormOfLengthOne(t *testing.T) {
	ones := graphtest.Dense(tensor.Float64, []float64{1, 1, 1}, 3)
	one := graphtest.Dense(tensor.Float64, []float64{1}, 1)
	for _, row := range []struct {
		v                []int
		axis, weightAxis int
		g                *tensor.Dense
	}{
		{[]int{3, 5}, 1, 0, ones},
		{[]int{5, 3}, 0, 1, ones},
		{[]int{4, 5, 2}, ops.WholeTensor, ops.WholeTensor, one},
	} {
		v, dw := wave(0.2, row.v...), wave(0.9, row.v...)
		want, err := graphtest.Tape(func(n G.Nodes) (*G.Node, error) {
			return ops.WeightNorm(n[0], n[1], ops.WeightNormConfig{Axis: row.weightAxis})
		}, []*tensor.Dense{v, row.g}, dw)
		require.NoError(t, err)
		got, err := graphtest.Tape(func(n G.Nodes) (*G.Node, error) {
			return ops.Normalize(n[0], ops.NormalizeConfig{P: 2, Axis: row.axis, Eps: 1e-12})
		}, []*tensor.Dense{v}, dw)
		require.NoError(t, err)
		requireSame(t, []*tensor.Dense{want.Y, want.Grads[0]}, []*tensor.Dense{got.Y, got.Grads[0]}, 1e-14, fmt.Sprint(row.v))
	}
}

// An axis counted from the end gives the same op.
func TestNormalizeAxisFromTheEnd(t *testing.T) {
	g := G.NewGraph()
	x := graphtest.Leaf(g, "x", wave(0, 2, 3, 4))
	node := func(axis int) *G.Node {
		return G.Must(ops.Normalize(x, ops.NormalizeConfig{P: 2, Axis: axis, Eps: 1e-12}))
	}
	require.Same(t, node(2), node(-1))
	require.Same(t, node(0), node(-3))
	require.NotSame(t, node(0), node(1))
}

func badNormalizes() []badCall {
	call := func(change func(*ops.NormalizeConfig)) func(*bench) error {
		return func(b *bench) error {
			cfg := ops.DefaultNormalize()
			change(&cfg)
			_, err := ops.Normalize(b.f(4, 6), cfg)
			return err
		}
	}
	of := func(x func(*bench) *G.Node) func(*bench) error {
		return func(b *bench) error {
			_, err := ops.Normalize(x(b), ops.DefaultNormalize())
			return err
		}
	}
	return []badCall{
		{"normalize: x nil", ops.ErrGraph, of(func(*bench) *G.Node { return nil })},
		{"normalize: x int", ops.ErrDtype, of(func(b *bench) *G.Node { return b.of(tensor.Int, 4, 6) })},
		{"normalize: x scalar", ops.ErrShape, of((*bench).scalar)},
		{"normalize: x without shape", ops.ErrShape, of((*bench).shapeless)},
		{"normalize: x with empty axis", ops.ErrShape, of(func(b *bench) *G.Node { return b.f(0, 6) })},
		{"normalize: x of rank 6", ops.ErrShape, of(func(b *bench) *G.Node { return b.f(1, 2, 1, 2, 1, 2) })},
		{"normalize: axis 1 of a vector", ops.ErrShape, of(func(b *bench) *G.Node { return b.f(6) })},
		{"normalize: axis too large", ops.ErrShape, call(func(c *ops.NormalizeConfig) { c.Axis = 2 })},
		{"normalize: axis too far from the end", ops.ErrShape, call(func(c *ops.NormalizeConfig) { c.Axis = -3 })},
		{"normalize: no settings", ops.ErrOption, call(func(c *ops.NormalizeConfig) { *c = ops.NormalizeConfig{} })},
		{"normalize: p below 1", ops.ErrOption, call(func(c *ops.NormalizeConfig) { c.P = 0.5 })},
		{"normalize: p NaN", ops.ErrOption, call(func(c *ops.NormalizeConfig) { c.P = nan })},
		{"normalize: p negative infinity", ops.ErrOption, call(func(c *ops.NormalizeConfig) { c.P = -inf })},
		{"normalize: eps 0", ops.ErrOption, call(func(c *ops.NormalizeConfig) { c.Eps = 0 })},
		{"normalize: eps NaN", ops.ErrOption, call(func(c *ops.NormalizeConfig) { c.Eps = nan })},
	}
}

func badLocalResponses() []badCall {
	call := func(change func(*ops.LocalResponseNormConfig)) func(*bench) error {
		return func(b *bench) error {
			cfg := ops.DefaultLocalResponseNorm(5)
			change(&cfg)
			_, err := ops.LocalResponseNorm(b.f(2, 4, 6), cfg)
			return err
		}
	}
	of := func(x func(*bench) *G.Node) func(*bench) error {
		return func(b *bench) error {
			_, err := ops.LocalResponseNorm(x(b), ops.DefaultLocalResponseNorm(5))
			return err
		}
	}
	return []badCall{
		{"localresponsenorm: x nil", ops.ErrGraph, of(func(*bench) *G.Node { return nil })},
		{"localresponsenorm: x int", ops.ErrDtype, of(func(b *bench) *G.Node { return b.of(tensor.Int, 4, 6, 2) })},
		{"localresponsenorm: x scalar", ops.ErrShape, of((*bench).scalar)},
		{"localresponsenorm: x of rank 2", ops.ErrShape, of(func(b *bench) *G.Node { return b.f(4, 6) })},
		{"localresponsenorm: x of rank 6", ops.ErrShape, of(func(b *bench) *G.Node { return b.f(1, 2, 1, 2, 1, 2) })},
		{"localresponsenorm: x with empty axis", ops.ErrShape, of(func(b *bench) *G.Node { return b.f(4, 0, 2) })},
		{"localresponsenorm: size 0", ops.ErrOption, call(func(c *ops.LocalResponseNormConfig) { c.Size = 0 })},
		{"localresponsenorm: size negative", ops.ErrOption, call(func(c *ops.LocalResponseNormConfig) { c.Size = -5 })},
		{"localresponsenorm: alpha negative", ops.ErrOption, call(func(c *ops.LocalResponseNormConfig) { c.Alpha = -1e-4 })},
		{"localresponsenorm: alpha NaN", ops.ErrOption, call(func(c *ops.LocalResponseNormConfig) { c.Alpha = nan })},
		{"localresponsenorm: alpha infinite", ops.ErrOption, call(func(c *ops.LocalResponseNormConfig) { c.Alpha = inf })},
		{"localresponsenorm: beta NaN", ops.ErrOption, call(func(c *ops.LocalResponseNormConfig) { c.Beta = nan })},
		{"localresponsenorm: beta negative infinite", ops.ErrOption, call(func(c *ops.LocalResponseNormConfig) { c.Beta = -inf })},
		{"localresponsenorm: beta infinite", ops.ErrOption, call(func(c *ops.LocalResponseNormConfig) { c.Beta = inf })},
		{"localresponsenorm: k negative", ops.ErrOption, call(func(c *ops.LocalResponseNormConfig) { c.K = -1 })},
		{"localresponsenorm: k infinite", ops.ErrOption, call(func(c *ops.LocalResponseNormConfig) { c.K = inf })},
	}
}

// These forms of the ops on one input differ in what their names say.
func TestNeighboursThatDifferAreDifferentNodes(t *testing.T) {
	g := G.NewGraph()
	x := graphtest.Leaf(g, "x", wave(0, 4, 6, 6))
	build := map[string]func() *G.Node{}
	for name, change := range map[string]func(*ops.NormalizeConfig){
		"as it is":     func(*ops.NormalizeConfig) {},
		"axis":         func(c *ops.NormalizeConfig) { c.Axis = 2 },
		"whole tensor": func(c *ops.NormalizeConfig) { c.Axis = ops.WholeTensor },
		"p":            func(c *ops.NormalizeConfig) { c.P = math.Nextafter(2, 3) },
		"infinite p":   func(c *ops.NormalizeConfig) { c.P = inf },
		"eps":          func(c *ops.NormalizeConfig) { c.Eps = math.Nextafter(1e-12, 1) },
		"reuse":        func(c *ops.NormalizeConfig) { c.Reuse = true },
	} {
		cfg := ops.DefaultNormalize()
		change(&cfg)
		build["normalize, "+name] = func() *G.Node { return G.Must(ops.Normalize(x, cfg)) }
	}
	for name, change := range map[string]func(*ops.LocalResponseNormConfig){
		"as it is": func(*ops.LocalResponseNormConfig) {},
		"size":     func(c *ops.LocalResponseNormConfig) { c.Size = 5 },
		"alpha":    func(c *ops.LocalResponseNormConfig) { c.Alpha = math.Nextafter(1e-4, 1) },
		"beta":     func(c *ops.LocalResponseNormConfig) { c.Beta = math.Nextafter(0.75, 1) },
		"k":        func(c *ops.LocalResponseNormConfig) { c.K = math.Nextafter(1, 2) },
		"mirrored": func(c *ops.LocalResponseNormConfig) { c.Mirrored = true },
		"reuse":    func(c *ops.LocalResponseNormConfig) { c.Reuse = true },
	} {
		cfg := ops.DefaultLocalResponseNorm(4)
		change(&cfg)
		build["local response, "+name] = func() *G.Node { return G.Must(ops.LocalResponseNorm(x, cfg)) }
	}
	one, another := vectorsOf(0, 4, 6, 6), vectorsOf(0, 4, 6, 6)
	for name, s := range map[string]*ops.SingularVectors{"one": one, "another": another} {
		for _, n := range []int{1, 2} {
			build[fmt.Sprintf("spectral, %s, %d iterations", name, n)] = func() *G.Node {
				return G.Must(ops.SpectralNorm(x, s, ops.SpectralNormConfig{PowerIterations: n, Eps: 1e-12}))
			}
		}
	}
	names := map[uint32]string{}
	for name, f := range build {
		n := f()
		require.Empty(t, names[n.Hashcode()], "%s has the hash of", name)
		names[n.Hashcode()] = name
		require.Same(t, n, f(), "%s: the same op again is another node", name)
	}
}

// The defaults are PyTorch's.
func TestDefaultsArePyTorchs(t *testing.T) {
	require.Equal(t, ops.NormalizeConfig{P: 2, Axis: 1, Eps: 1e-12}, ops.DefaultNormalize())
	require.Equal(t, ops.LocalResponseNormConfig{Size: 3, Alpha: 1e-4, Beta: 0.75, K: 1}, ops.DefaultLocalResponseNorm(3))
	require.Equal(t, ops.SpectralNormConfig{PowerIterations: 1, Eps: 1e-12}, ops.DefaultSpectralNorm())
}
