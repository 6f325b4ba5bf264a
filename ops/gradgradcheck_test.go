package ops_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/gorgonorm/norm/diff"
	"github.com/gorgonorm/norm/gradcheck"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// secondGradients checks the second derivatives of an op: the gradients of each gradient
// of Σ y²·dy/2, which depend on all inputs and on dy. In the tape machine diff.Grad takes
// the first gradients, and gradcheck takes theirs by gorgonia.Grad. In a lisp machine
// Gorgonia's own sums have no second derivative, so there the first gradients come from
// the op itself.
func secondGradients(t *testing.T, f gradcheck.Func, in []*tensor.Dense, y tensor.Shape, opts ...gradcheck.Option) {
	t.Helper()
	skipNumbersUnderRace(t)
	thinShort(t)
	values := append(append([]*tensor.Dense{}, in...), wave(0.7, y...))
	opts = append([]gradcheck.Option{gradcheck.WithMaxElements(3)}, opts...)
	for i := range in {
		for machine, grads := range map[gradcheck.Machine]func(out *G.Node, n G.Nodes) (G.Nodes, error){
			gradcheck.Tape: gradsOfCost, gradcheck.Lisp: gradsOfOp,
		} {
			of := func(n G.Nodes) (*G.Node, error) {
				out, err := f(n[:len(in)])
				if err != nil {
					return nil, err
				}
				ds, err := grads(out, n)
				if err != nil {
					return nil, err
				}
				return ds[i], nil
			}
			err := gradcheck.Check(of, values, append(opts, gradcheck.WithMachines(machine))...)
			if !errors.Is(err, errSeveralOps) {
				require.NoError(t, err, "of the gradient of input %d", i)
			}
		}
	}
}

func gradsOfCost(out *G.Node, n G.Nodes) (G.Nodes, error) {
	last := len(n) - 1
	cost := G.Must(G.Sum(G.Must(G.HadamardProd(G.Must(G.Square(out)), n[last]))))
	return diff.Grad(G.Must(G.Mul(cost, G.NewConstant(0.5))), n[:last]...)
}

var errSeveralOps = errors.New("the result is not that of one op of all inputs")

func gradsOfOp(out *G.Node, n G.Nodes) (grads G.Nodes, err error) {
	var in G.Nodes
	for it := out.Graph().From(out.ID()); it.Next(); {
		in = append(in, it.Node().(*G.Node))
	}
	last := len(n) - 1
	for _, x := range n[:last] {
		if !slices.Contains(in, x) {
			return nil, errSeveralOps
		}
	}
	all, err := out.Op().(G.SDOp).SymDiff(in, out, G.Must(G.HadamardProd(out, n[last])))
	for _, x := range n[:last] {
		grads = append(grads, all[slices.Index(in, x)])
	}
	return grads, err
}

// Every op is tested in all its forms and modes.
func TestSecondGradients(t *testing.T) {
	eachOp(t, func(t *testing.T, c opCase) {
		s := c.stats(t)
		before := snapshot(s)
		secondGradients(t, func(n G.Nodes) (*G.Node, error) { return c.build(n, s) },
			c.values(tensor.Float64, 0.4), c.output(t), c.checkOptions()...)
		require.Equal(t, before, snapshot(s))
	})
}

// secondSizes are some of sizes.
var secondSizes = []int{2, 3, 8, 17, 33, 129}

func TestRowNormSecondGradients(t *testing.T) {
	kinds := map[string]func(x, gamma, beta *G.Node, shape tensor.Shape) (*G.Node, error){
		"layer": func(x, gamma, beta *G.Node, shape tensor.Shape) (*G.Node, error) {
			return ops.LayerNorm(x, gamma, beta, shape, ops.LayerNormConfig{Eps: 1e-2})
		},
		"unbiased": func(x, gamma, beta *G.Node, shape tensor.Shape) (*G.Node, error) {
			return ops.LayerNorm(x, gamma, beta, shape, ops.LayerNormConfig{Eps: 1e-2, UnbiasedStd: true})
		},
		"rms": func(x, gamma, beta *G.Node, shape tensor.Shape) (*G.Node, error) {
			return ops.RMSNorm(x, gamma, beta, shape, ops.RMSNormConfig{Eps: 1e-2})
		},
	}
	for kind, build := range kinds {
		for name, a := range affines {
			for _, n := range secondSizes {
				t.Run(fmt.Sprintf("%s/%s/%d", kind, name, n), func(t *testing.T) {
					in := append([]*tensor.Dense{wave(0.5, 3, n)}, affineValues(a.gamma, a.beta, n)...)
					secondGradients(t, func(ns G.Nodes) (*G.Node, error) {
						gamma, beta := affineNodes(ns, a.gamma, a.beta)
						return build(ns[0], gamma, beta, tensor.Shape{n})
					}, in, tensor.Shape{3, n})
				})
			}
		}
	}
}

func TestChannelNormSecondGradients(t *testing.T) {
	kinds := map[string]func(x, gamma, beta *G.Node, s *ops.RunningStats) (*G.Node, error){
		"batch": func(x, gamma, beta *G.Node, s *ops.RunningStats) (*G.Node, error) {
			return ops.BatchNorm(x, gamma, beta, s, ops.BatchNormConfig{Eps: 1e-2, Momentum: 0.1})
		},
		"frozen": func(x, gamma, beta *G.Node, s *ops.RunningStats) (*G.Node, error) {
			return ops.BatchNorm(x, gamma, beta, s, ops.BatchNormConfig{Eps: 1e-2, Frozen: true})
		},
		"group": func(x, gamma, beta *G.Node, _ *ops.RunningStats) (*G.Node, error) {
			return ops.GroupNorm(x, gamma, beta, ops.GroupNormConfig{Groups: 2, Eps: 1e-2})
		},
		"instance": func(x, gamma, beta *G.Node, _ *ops.RunningStats) (*G.Node, error) {
			return ops.InstanceNorm(x, gamma, beta, nil, ops.InstanceNormConfig{Eps: 1e-2})
		},
		"instance, tracked": func(x, gamma, beta *G.Node, s *ops.RunningStats) (*G.Node, error) {
			return ops.InstanceNorm(x, gamma, beta, s, ops.InstanceNormConfig{Eps: 1e-2, Momentum: 0.1})
		},
	}
	for kind, build := range kinds {
		for name, a := range affines {
			for _, x := range []tensor.Shape{{2, 4, 3}, {3, 6, 2, 5}, {1, 2, 2, 2, 3}} {
				for _, eval := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s/%s/%v/eval=%v", kind, name, x, eval), func(t *testing.T) {
						var opts []gradcheck.Option
						if eval {
							opts = append(opts, gradcheck.WithEvalMode())
						}
						s := statsOf(t, x[1])
						in := append([]*tensor.Dense{wave(0.5, x...)}, affineValues(a.gamma, a.beta, x[1])...)
						secondGradients(t, func(ns G.Nodes) (*G.Node, error) {
							gamma, beta := affineNodes(ns, a.gamma, a.beta)
							return build(ns[0], gamma, beta, s)
						}, in, x, opts...)
					})
				}
			}
		}
	}
}

// The smallest γ has one element.
func TestSecondGradientsOfOneChannel(t *testing.T) {
	for name, a := range affines {
		t.Run(name, func(t *testing.T) {
			x := tensor.Shape{2, 1, 3}
			secondGradients(t, func(ns G.Nodes) (*G.Node, error) {
				gamma, beta := affineNodes(ns, a.gamma, a.beta)
				return ops.BatchNorm(ns[0], gamma, beta, nil, ops.BatchNormConfig{Eps: 1e-2})
			}, append([]*tensor.Dense{wave(0.5, x...)}, affineValues(a.gamma, a.beta, 1)...), x)
		})
	}
}

func TestWeightSecondGradients(t *testing.T) {
	for _, n := range secondSizes {
		for axis, g := range map[int]int{0: n, 1: 3, ops.WholeTensor: 1} {
			cfg := ops.WeightNormConfig{Axis: axis}
			t.Run(fmt.Sprintf("weight %dx3/axis=%d", n, axis), func(t *testing.T) {
				secondGradients(t, func(ns G.Nodes) (*G.Node, error) { return ops.WeightNorm(ns[0], ns[1], cfg) },
					[]*tensor.Dense{wave(0.2, n, 3), wave(-0.4, g)}, tensor.Shape{n, 3})
			})
			t.Run(fmt.Sprintf("linear 3 to %d/axis=%d", n, axis), func(t *testing.T) {
				in := []*tensor.Dense{wave(0.5, 2, 3), wave(0.2, n, 3), wave(1.1, g)}
				secondGradients(t, func(ns G.Nodes) (*G.Node, error) {
					return ops.WeightNormLinear(ns[0], ns[1], ns[2], nil, cfg)
				}, in, tensor.Shape{2, n})
				secondGradients(t, func(ns G.Nodes) (*G.Node, error) {
					return ops.WeightNormLinear(ns[0], ns[1], ns[2], ns[3], cfg)
				}, append(in, wave(-0.3, n)), tensor.Shape{2, n})
			})
		}
	}
}

func TestNormalizeSecondGradients(t *testing.T) {
	for _, p := range []float64{1, 1.5, 2, 3, 4, 2.5} {
		for _, axis := range []int{0, 1, 2, ops.WholeTensor} {
			t.Run(fmt.Sprintf("p=%v/axis=%d", p, axis), func(t *testing.T) {
				secondGradients(t, func(ns G.Nodes) (*G.Node, error) {
					return ops.Normalize(ns[0], ops.NormalizeConfig{P: p, Axis: axis, Eps: 1e-3})
				}, []*tensor.Dense{wave(0.3, 2, 5, 3)}, tensor.Shape{2, 5, 3})
			})
		}
	}
	t.Run("below eps", func(t *testing.T) {
		secondGradients(t, func(ns G.Nodes) (*G.Node, error) {
			return ops.Normalize(ns[0], ops.NormalizeConfig{P: 2, Axis: 1, Eps: 1e3})
		}, []*tensor.Dense{wave(0.3, 2, 5)}, tensor.Shape{2, 5})
	})
}

func TestLocalResponseSecondGradients(t *testing.T) {
	for size := 1; size <= 5; size++ {
		for _, mirrored := range []bool{false, true} {
			t.Run(fmt.Sprintf("size=%d/mirrored=%v", size, mirrored), func(t *testing.T) {
				secondGradients(t, func(ns G.Nodes) (*G.Node, error) {
					return ops.LocalResponseNorm(ns[0], ops.LocalResponseNormConfig{Size: size, Alpha: 0.7, Beta: 0.6, K: 1.5, Mirrored: mirrored})
				}, []*tensor.Dense{wave(0.3, 2, 6, 3)}, tensor.Shape{2, 6, 3})
			})
		}
	}
}
