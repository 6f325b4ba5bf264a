package norm_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// served is a layer that evaluates without a graph.
type served struct {
	layer
	x    tensor.Shape // nil for a weight, which takes no x
	fwd  func(x *G.Node) (*G.Node, error)
	eval func(dst, x *tensor.Dense) (*tensor.Dense, error)
	in   func(g *G.ExprGraph) (served, error)
}

func activation[L interface {
	layer
	norm.Evaluator
	Fwd(x *G.Node) (*G.Node, error)
	In(g *G.ExprGraph) (L, error)
}](l L, err error) func(x ...int) served {
	norm.Must(l, err)
	return func(x ...int) served {
		return served{l, x, l.Fwd, l.Eval, func(g *G.ExprGraph) (served, error) {
			other, err := l.In(g)
			if err != nil {
				return served{}, err
			}
			return activation(other, nil)(x...), nil
		}}
	}
}

func weightOf[L interface {
	layer
	Weight() (*G.Node, error)
	EvalWeight(dst *tensor.Dense) (*tensor.Dense, error)
	In(g *G.ExprGraph) (L, error)
}](l L, err error) served {
	norm.Must(l, err)
	return served{l, nil, func(*G.Node) (*G.Node, error) { return l.Weight() },
		func(dst, _ *tensor.Dense) (*tensor.Dense, error) { return l.EvalWeight(dst) },
		func(g *G.ExprGraph) (served, error) {
			other, err := l.In(g)
			if err != nil {
				return served{}, err
			}
			return weightOf(other, nil), nil
		}}
}

// servedLayers make a layer of each kind and form, of 6 channels or elements.
var servedLayers = map[string]func(g *G.ExprGraph, dt tensor.Dtype) served{
	"layer norm": func(g *G.ExprGraph, dt tensor.Dtype) served {
		return activation(norm.NewLayerNorm(g, dt, tensor.Shape{6}))(4, 6)
	},
	"layer norm without affine": func(g *G.ExprGraph, dt tensor.Dtype) served {
		return activation(norm.NewLayerNorm(g, dt, tensor.Shape{6}, norm.WithoutAffine(), norm.WithUnbiasedStd(), norm.WithEps(0.1)))(2, 3, 6)
	},
	"layer norm of channels": func(g *G.ExprGraph, dt tensor.Dtype) served {
		return activation(norm.NewLayerNorm(g, dt, tensor.Shape{6}, norm.WithAxes(1)))(2, 6, 3, 2)
	},
	"layer norm of axes": func(g *G.ExprGraph, dt tensor.Dtype) served {
		return activation(norm.NewLayerNorm(g, dt, tensor.Shape{6, 2}, norm.WithAxes(1, -1), norm.WithoutBias()))(2, 6, 3, 2)
	},
	"rms norm": func(g *G.ExprGraph, dt tensor.Dtype) served {
		return activation(norm.NewRMSNorm(g, dt, tensor.Shape{6}))(4, 6)
	},
	"rms norm plus one": func(g *G.ExprGraph, dt tensor.Dtype) served {
		return activation(norm.NewRMSNorm(g, dt, tensor.Shape{6}, norm.WithScalePlusOne(), norm.WithEps(0.1)))(4, 6)
	},
	"rms norm of channels": func(g *G.ExprGraph, dt tensor.Dtype) served {
		return activation(norm.NewRMSNorm(g, dt, tensor.Shape{6}, norm.WithAxes(1), norm.WithScalePlusOne()))(2, 6, 3, 2)
	},
	"batch norm": func(g *G.ExprGraph, dt tensor.Dtype) served {
		return activation(norm.NewBatchNorm(g, dt, 6))(4, 6)
	},
	"batch norm of images": func(g *G.ExprGraph, dt tensor.Dtype) served {
		return activation(norm.NewBatchNorm(g, dt, 6, norm.WithoutScale(), norm.WithEps(0.1), norm.WithMomentum(0.3)))(2, 6, 3, 2)
	},
	"batch norm of channels last": func(g *G.ExprGraph, dt tensor.Dtype) served {
		return activation(norm.NewBatchNorm(g, dt, 6, norm.WithChannelAxis(-1), norm.WithoutAffine()))(2, 3, 6)
	},
	"batch norm without statistics": func(g *G.ExprGraph, dt tensor.Dtype) served {
		return activation(norm.NewBatchNorm(g, dt, 6, norm.WithoutRunningStats()))(4, 6)
	},
	"group norm": func(g *G.ExprGraph, dt tensor.Dtype) served {
		return activation(norm.NewGroupNorm(g, dt, 2, 6, norm.WithEps(0.1), norm.WithReuse()))(2, 6, 3)
	},
	"instance norm": func(g *G.ExprGraph, dt tensor.Dtype) served {
		return activation(norm.NewInstanceNorm(g, dt, 6, norm.WithAffine(), norm.WithEps(0.1)))(2, 6, 3)
	},
	"instance norm with statistics": func(g *G.ExprGraph, dt tensor.Dtype) served {
		return activation(norm.NewInstanceNorm(g, dt, 6, norm.WithRunningStats()))(2, 6, 3)
	},
	"weight norm linear": func(g *G.ExprGraph, dt tensor.Dtype) served {
		return activation(norm.NewWeightNormLinear(g, dt, 6, 5))(4, 6)
	},
	"weight norm linear without bias": func(g *G.ExprGraph, dt tensor.Dtype) served {
		return activation(norm.NewWeightNormLinear(g, dt, 6, 5, norm.WithAxis(1), norm.WithoutBias()))(2, 2, 6)
	},
	"weight norm": func(g *G.ExprGraph, dt tensor.Dtype) served {
		return weightOf(norm.NewWeightNorm(g, dt, tensor.Shape{4, 3, 2}, norm.WithAxis(1), norm.WithReuse()))
	},
	"spectral norm": func(g *G.ExprGraph, dt tensor.Dtype) served {
		return weightOf(norm.NewSpectralNorm(g, dt, tensor.Shape{4, 3, 2}, norm.WithAxis(1), norm.WithPowerIterations(3)))
	},
}

// eachServed runs f for each layer, with parameters and running statistics that differ
// from the initial ones.
func eachServed(t *testing.T, f func(t *testing.T, g *G.ExprGraph, l served, dt tensor.Dtype)) {
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		for name, make := range servedLayers {
			t.Run(fmt.Sprint(name, "/", dt), func(t *testing.T) {
				g := G.NewGraph()
				l := make(g, dt)
				for i, p := range l.Learnables() {
					set(t, p, graphtest.Floats(wave(tensor.Float64, 0.2*float64(i+1), p.Shape()...)))
				}
				if s, ok := l.layer.(tracker); ok {
					if mean, _ := s.Stats(); mean != nil {
						require.NoError(t, s.SetStats([]float64{.1, .2, .3, -.4, 5, 6}, []float64{1, 2, .3, .4, 5, 6}))
					}
				}
				f(t, g, l, dt)
			})
		}
	}
}

// tracker is a layer that may have running statistics.
type tracker interface {
	Stats() (mean, variance []float64)
	SetStats(mean, variance []float64) error
}

// input returns a value for x, or nil for a weight.
func (s served) input(dt tensor.Dtype) *tensor.Dense {
	if s.x == nil {
		return nil
	}
	return wave(dt, 0.7, s.x...)
}

// apply makes the node of the result, in the graph of the layer.
func (s served) apply(g *G.ExprGraph, dt tensor.Dtype) *G.Node {
	if s.x == nil {
		return norm.Must(s.fwd(nil))
	}
	return norm.Must(s.fwd(input(g, s.input(dt))))
}

// graph evaluates the layer in a machine.
func (s served) graph(t *testing.T, g *G.ExprGraph, dt tensor.Dtype) *tensor.Dense {
	var v G.Value
	G.Read(s.apply(g, dt), &v)
	vm := G.NewTapeMachine(g, G.EvalMode())
	defer vm.Close()
	require.NoError(t, vm.RunAll())
	return v.(*tensor.Dense)
}

// Eval gives the bits of a machine in evaluation mode, although the last machine on the
// graph was one in training, and changes no statistics.
func TestEvalIsTheMachines(t *testing.T) {
	eachServed(t, func(t *testing.T, g *G.ExprGraph, l served, dt tensor.Dtype) {
		want, x := l.graph(t, g, dt), l.input(dt)
		G.NewTapeMachine(g).Close()
		for range 2 {
			got, err := l.eval(nil, x)
			require.NoError(t, err)
			requireBits(t, want, got, "made")
			dst := wave(dt, 3, want.Shape()...)
			got, err = l.eval(dst, x)
			require.NoError(t, err)
			require.Same(t, dst, got)
			requireBits(t, want, dst, "given")
		}
		if x != nil {
			requireBits(t, l.input(dt), x, "x")
		}
		requireBits(t, want, l.graph(t, g, dt), "the machine again")
	})
}

// The result may be written over x, and a batch may have any size.
func TestEvalInPlaceAndRowByRow(t *testing.T) {
	eachServed(t, func(t *testing.T, g *G.ExprGraph, l served, dt tensor.Dtype) {
		x := l.input(dt)
		if x == nil || l.kindHasBatch() {
			return
		}
		want := norm.Must(l.eval(nil, x))
		for i := range x.Shape()[0] {
			row := norm.Must(x.Slice(G.S(i, i+1))).(*tensor.Dense)
			one := l.x.Clone()
			one[0] = 1
			require.NoError(t, row.Reshape(one...))
			got := norm.Must(l.eval(nil, row))
			n := want.Shape().TotalSize() / l.x[0]
			require.InDeltaSlice(t, graphtest.Floats(want)[i*n:][:n], graphtest.Floats(got), 1e-6)
		}
		if want.Shape().Eq(x.Shape()) {
			norm.Must(l.eval(x, x))
			requireBits(t, want, x, "in place")
		}
	})
}

// kindHasBatch says whether the result for a sample depends on the other samples of the
// batch.
func (s served) kindHasBatch() bool {
	b, ok := s.layer.(*norm.BatchNorm)
	return ok && b.Running() == nil
}

func TestEvalRefuses(t *testing.T) {
	eachServed(t, func(t *testing.T, g *G.ExprGraph, l served, dt tensor.Dtype) {
		x := l.input(dt)
		want := norm.Must(l.eval(nil, x))
		other := map[tensor.Dtype]tensor.Dtype{tensor.Float32: tensor.Float64, tensor.Float64: tensor.Float32}[dt]
		more := func(s tensor.Shape) tensor.Shape {
			s = s.Clone()
			for i := range s {
				s[i]++
			}
			return s
		}
		refuse := func(what string, kind error, dst, x *tensor.Dense) {
			t.Helper()
			got, err := l.eval(dst, x)
			require.ErrorIs(t, err, kind, what)
			require.Nil(t, got, what)
			require.NotContains(t, err.Error(), "internal fault", what)
			require.NotContains(t, err.Error(), "%!", what)
		}
		refuse("dst the zero value", norm.ErrDtype, &tensor.Dense{}, x)
		refuse("dst of another dtype", norm.ErrDtype, wave(other, 0, want.Shape()...), x)
		refuse("dst of another shape", norm.ErrShape, wave(dt, 0, more(want.Shape())...), x)
		for _, p := range l.Learnables() {
			if p.Shape().Eq(want.Shape()) { // the whole weight
				refuse("dst is a parameter", norm.ErrValue, p.Value().(*tensor.Dense), x)
			}
		}
		if x == nil {
			return
		}
		refuse("x nil", norm.ErrValue, nil, nil)
		refuse("x of another dtype", norm.ErrDtype, nil, wave(other, 0, l.x...))
		refuse("x of another shape", norm.ErrShape, nil, wave(dt, 0, more(l.x)...))
		refuse("x of one element", norm.ErrShape, nil, wave(dt, 0, 1))
		refuse("x the zero value", norm.ErrDtype, nil, &tensor.Dense{})
		refuse("x int", norm.ErrDtype, nil, tensor.New(tensor.WithShape(l.x...), tensor.Of(tensor.Int)))
	})
}

// A parameter without a value is an error.
func TestEvalOfAParameterWithoutValue(t *testing.T) {
	ln := norm.Must(norm.NewLayerNorm(G.NewGraph(), tensor.Float64, tensor.Shape{3}))
	require.NoError(t, G.Let(ln.Learnables()[1], tensor.New(tensor.WithShape(3), tensor.Of(tensor.Float64))))
	norm.Must(ln.Eval(nil, wave(tensor.Float64, 0, 2, 3)))
	wn := norm.Must(norm.NewWeightNorm(G.NewGraph(), tensor.Float64, tensor.Shape{2, 2}))
	p := wn.Learnables()[0]
	g := p.Graph()
	g.UnbindAll()
	_, err := wn.EvalWeight(nil)
	require.ErrorIs(t, err, norm.ErrValue)
	require.EqualError(t, err, "norm: weightnorm: weightnorm.v holds <nil>, want a dense tensor")
}

// A server evaluates from many goroutines while a graph of its own trains the running
// statistics.
func TestEvalWhileTraining(t *testing.T) {
	const channels = 64
	g := G.NewGraph()
	bn := norm.Must(norm.NewBatchNorm(g, tensor.Float32, channels, norm.WithoutAffine()))
	x := input(g, wave(tensor.Float32, 1, 16, channels))
	norm.Must(bn.Fwd(x))
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	server := norm.Must(bn.In(G.NewGraph()))
	var all sync.WaitGroup
	for range 3 {
		all.Add(1)
		go func() {
			defer all.Done()
			row, dst := wave(tensor.Float32, 0, 1, channels), wave(tensor.Float32, 0, 1, channels)
			for range 200 {
				if _, err := server.Eval(dst, row); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	for range 50 {
		require.NoError(t, vm.RunAll())
		vm.Reset()
	}
	all.Wait()
	_, _, batches := bn.Running().Values()
	require.EqualValues(t, 50, batches)
}

func TestEvalResidual(t *testing.T) {
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		for name, make := range map[string]func(g *G.ExprGraph) residual{
			"layer norm": func(g *G.ExprGraph) residual { return norm.Must(norm.NewLayerNorm(g, dt, tensor.Shape{6})) },
			"rms norm":   func(g *G.ExprGraph) residual { return norm.Must(norm.NewRMSNorm(g, dt, tensor.Shape{6})) },
		} {
			g := G.NewGraph()
			l := make(g)
			x, r := wave(dt, 0.5, 4, 6), wave(dt, 2, 4, 6)
			y, sum, err := l.FwdResidual(input(g, x), graphtest.Leaf(g, "r", r))
			require.NoError(t, err)
			var v [2]G.Value
			G.Read(y, &v[0])
			G.Read(sum, &v[1])
			vm := G.NewTapeMachine(g)
			require.NoError(t, vm.RunAll())
			vm.Close()
			dst := wave(dt, 0, 4, 6)
			gotY, gotSum, err := l.EvalResidual(dst, x, x, r)
			require.NoError(t, err)
			require.Same(t, dst, gotY)
			require.Same(t, x, gotSum)
			requireBits(t, v[0].(*tensor.Dense), dst, name)
			requireBits(t, v[1].(*tensor.Dense), x, name)

			_, _, err = l.EvalResidual(nil, nil, x, nil)
			require.ErrorIs(t, err, norm.ErrValue)
			_, _, err = l.EvalResidual(nil, nil, nil, r)
			require.ErrorIs(t, err, norm.ErrValue)
			_, _, err = l.EvalResidual(nil, nil, x, wave(dt, 0, 4, 5))
			require.ErrorIs(t, err, norm.ErrShape)
		}
	}
}

// A residual sum is normalized over the trailing axes only.
func TestEvalResidualOverOtherAxes(t *testing.T) {
	x := wave(tensor.Float64, 0.5, 3, 2)
	for _, l := range []residual{
		norm.Must(norm.NewLayerNorm(G.NewGraph(), tensor.Float64, tensor.Shape{3}, norm.WithAxes(0))),
		norm.Must(norm.NewRMSNorm(G.NewGraph(), tensor.Float64, tensor.Shape{3}, norm.WithAxes(0))),
	} {
		_, _, err := l.EvalResidual(nil, nil, x, x)
		require.ErrorIs(t, err, norm.ErrOption)
	}
	l := norm.Must(norm.NewRMSNorm(G.NewGraph(), tensor.Float64, tensor.Shape{2}, norm.WithAxes(-1)))
	_, _, err := l.EvalResidual(nil, nil, x, x)
	require.NoError(t, err)
}

type residual interface {
	layer
	FwdResidual(x, r *G.Node) (y, sum *G.Node, err error)
	EvalResidual(y, sum, x, r *tensor.Dense) (*tensor.Dense, *tensor.Dense, error)
}
