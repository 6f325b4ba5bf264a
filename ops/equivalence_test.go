package ops_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// These tests compare norms that are the same function by definition, of the same data in
// another place. Other such tests are TestGroupNormIsOtherNorms,
// TestNormAxesIsNormTransposed, TestMomentsMerge and, in package norm, TestFold.

// tolerances are for equal results whose terms are added in another order.
var tolerances = map[tensor.Dtype]float64{tensor.Float32: 2e-6, tensor.Float64: 1e-13}

// eachMachine runs f for both dtypes in both machines.
func eachMachine(t *testing.T, f func(t *testing.T, dt tensor.Dtype, m graphtest.Machine)) {
	for dt := range tolerances {
		for name, m := range graphtest.Machines {
			t.Run(dt.String()+"/"+name, func(t *testing.T) { f(t, dt, m) })
		}
	}
}

// Batch norm is layer norm of each channel of the transposed data.
func TestBatchNormIsLayerNormTransposed(t *testing.T) {
	for _, shape := range []tensor.Shape{{20, 7}, {3, 4, 5}, {2, 3, 4, 5}} {
		order := []int{1, 0, 2, 3}[:len(shape)]
		eachMachine(t, func(t *testing.T, dt tensor.Dtype, m graphtest.Machine) {
			x, dy := graphtest.Wave(dt, 0.5, shape...), graphtest.Wave(dt, -0.2, shape...)
			got, err := m(func(n G.Nodes) (*G.Node, error) {
				return ops.BatchNorm(n[0], nil, nil, nil, ops.BatchNormConfig{Eps: 1e-3})
			}, []*tensor.Dense{x}, dy)
			require.NoError(t, err)
			turned := permuted(x, order)
			want, err := m(func(n G.Nodes) (*G.Node, error) {
				return ops.LayerNorm(n[0], nil, nil, turned.Shape()[1:], ops.LayerNormConfig{Eps: 1e-3})
			}, []*tensor.Dense{turned}, permuted(dy, order))
			require.NoError(t, err)
			want.Y, want.Grads[0] = permuted(want.Y, order), permuted(want.Grads[0], order)
			requireSameResult(t, want, got, tolerances[dt], fmt.Sprint(shape))
		})
	}
}

// Channels in any axis give the results of channels in axis 1, transposed, and the same
// statistics.
func TestChannelAxisIsChannelsFirstTransposed(t *testing.T) {
	shape := tensor.Shape{4, 3, 2, 5}
	for axis := -4; axis < 0; axis++ {
		for mode, opts := range map[string][]G.VMOpt{"train": nil, "eval": {G.EvalMode()}} {
			t.Run(fmt.Sprintf("%d/%s", axis, mode), func(t *testing.T) {
				eachMachine(t, func(t *testing.T, dt tensor.Dtype, m graphtest.Machine) {
					params := []*tensor.Dense{graphtest.Wave(dt, 1.2, 3), graphtest.Wave(dt, -0.3, 3)}
					run := func(x, dy *tensor.Dense, axis int) (graphtest.Result, []float64) {
						s := statsOf(t, 3)
						r, err := m(func(n G.Nodes) (*G.Node, error) {
							return ops.BatchNorm(n[0], n[1], n[2], s, ops.BatchNormConfig{Eps: 1e-3, Momentum: 0.3, ChannelAxis: axis})
						}, append([]*tensor.Dense{x}, params...), dy, opts...)
						require.NoError(t, err)
						return r, snapshot(s)
					}
					x, dy := graphtest.Wave(dt, 0.5, shape...), graphtest.Wave(dt, -0.2, shape...)
					want, wantStats := run(x, dy, 0)
					got, stats := run(moveAxis(x, 1, axis), moveAxis(dy, 1, axis), axis)
					got.Y, got.Grads[0] = moveAxis(got.Y, axis, 1), moveAxis(got.Grads[0], axis, 1)
					requireSameResult(t, want, got, tolerances[dt], "")
					requireNear(t, wantStats, stats, 1e-13, "statistics")
				})
			})
		}
	}
}

// padded is data with padding: the mask has 0 or 1 for each position, in row-major
// order of the shape without the axis of the channels.
type padded struct {
	name  string
	shape tensor.Shape
	axis  int // of the channels
	mask  []float64

	given      []float64 // what the op is given, if that is not the mask
	givenShape tensor.Shape
}

// paddedData has every layout, with lengths, and with masks that have holes.
var paddedData = []padded{
	{"rows", tensor.Shape{6, 3}, 1, []float64{1, 0, 1, 1, 0, 1}, nil, tensor.Shape{6}},
	{"lengths", tensor.Shape{3, 4, 5}, 1, lengthMask(5, 2, 5, 3), []float64{2, 5, 3}, tensor.Shape{3}},
	{"lengths and an empty sample", tensor.Shape{3, 4, 5}, 1, lengthMask(5, 2, 0, 4), []float64{2, 0, 4}, tensor.Shape{3}},
	{"lengths of whole samples", tensor.Shape{2, 4, 3}, 1, lengthMask(3, 3, 3), []float64{3, 3}, tensor.Shape{2}},
	{"lengths of images", tensor.Shape{2, 4, 3, 5}, 1, lengthMask(5, 2, 2, 2, 4, 4, 4), []float64{2, 4}, tensor.Shape{2}},
	{"lengths of volumes", tensor.Shape{2, 4, 2, 1, 3}, 1, lengthMask(3, 2, 2, 1, 1), []float64{2, 1}, tensor.Shape{2}},
	{"mask", tensor.Shape{2, 4, 6}, 1, []float64{0, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1}, nil, tensor.Shape{2, 6}},
	{"mask of images", tensor.Shape{2, 4, 2, 3}, 1, []float64{0, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 1}, nil, tensor.Shape{2, 2, 3}},
	{"long", tensor.Shape{5, 4, 300}, 1, lengthMask(300, 3, 300, 150, 0, 257), []float64{3, 300, 150, 0, 257}, tensor.Shape{5}},
	{"channels last, lengths", tensor.Shape{3, 5, 4}, 2, lengthMask(5, 2, 5, 0), []float64{2, 5, 0}, tensor.Shape{3}},
	{"channels last, lengths of images", tensor.Shape{2, 3, 5, 4}, 3, lengthMask(5, 2, 2, 2, 4, 4, 4), []float64{2, 4}, tensor.Shape{2}},
	{"channels last, mask", tensor.Shape{2, 2, 3, 4}, 3, []float64{0, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 1}, nil, tensor.Shape{2, 2, 3}},
	{"channels between, mask", tensor.Shape{2, 2, 4, 3}, 2, []float64{0, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 1}, nil, tensor.Shape{2, 2, 3}},
	{"channels in front, lengths", tensor.Shape{4, 3, 5}, 0, lengthMask(5, 2, 5, 3), []float64{2, 5, 3}, tensor.Shape{3}},
	{"channels last, long", tensor.Shape{4, 300, 17}, 2, lengthMask(300, 300, 17, 299, 1), []float64{300, 17, 299, 1}, tensor.Shape{4}},
}

// lengthMask returns rows of n flags, each with as many ones as its length and then
// zeros.
func lengthMask(n int, lengths ...int) (mask []float64) {
	for _, l := range lengths {
		mask = append(mask, slices.Concat(slices.Repeat([]float64{1}, l), make([]float64, n-l))...)
	}
	return mask
}

// node returns the mask as the op is given it.
func (p padded) node(x *G.Node) *G.Node {
	if p.given == nil {
		return maskLeaf(x, p.mask, p.givenShape)
	}
	return maskLeaf(x, p.given, p.givenShape)
}

// value returns data in whose padding every element is padding.
func (p padded) value(dt tensor.Dtype, mean, padding float64) *tensor.Dense {
	rows := moveAxis(wave(mean, p.shape...), p.axis, -1)
	data, c := rows.Data().([]float64), p.shape[p.axis]
	for i := range data {
		if p.mask[i/c] == 0 {
			data[i] = padding
		}
	}
	d := moveAxis(rows, -1, p.axis)
	return graphtest.Dense(dt, floats(d), p.shape...)
}

// unpadded returns the data of some samples without padding, with one position in each
// row.
func (p padded) unpadded(d *tensor.Dense, samples ...int) *tensor.Dense {
	all, c := floats(moveAxis(d, p.axis, -1)), p.shape[p.axis]
	per := len(p.mask) / p.samples()
	var rows []float64
	for _, s := range samples {
		for i := s * per; i < (s+1)*per; i++ {
			if p.mask[i] == 1 {
				rows = append(rows, all[i*c:][:c]...)
			}
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return graphtest.Dense(d.Dtype(), rows, len(rows)/c, c)
}

func (p padded) samples() int {
	if p.axis == 0 {
		return p.shape[1]
	}
	return p.shape[0]
}

func (p padded) all() (samples []int) {
	for i := range p.samples() {
		samples = append(samples, i)
	}
	return samples
}

// requireZeros requires zeros in the padding.
func (p padded) requireZeros(t *testing.T, d *tensor.Dense, what string) {
	t.Helper()
	c := p.shape[p.axis]
	for i, v := range floats(moveAxis(d, p.axis, -1)) {
		if p.mask[i/c] == 0 && math.Float64bits(v) != 0 {
			require.Fail(t, fmt.Sprintf("%s: position %d holds %v in the padding", what, i/c, v))
		}
	}
}

// paddings are what padding may hold.
var paddings = []float64{1e30, math.NaN(), math.Inf(-1)}

// Batch norm with a mask is batch norm of the data without padding. This holds for
// results, gradients and running statistics, in every mode and for any padding.
func TestMaskedBatchNormIsUnpadded(t *testing.T) {
	skipNumbersUnderRace(t)
	modes := map[string]struct {
		cfg     ops.BatchNormConfig
		tracked bool
		opts    []G.VMOpt
	}{
		"train":      {ops.BatchNormConfig{Momentum: 0.3}, true, nil},
		"cumulative": {ops.BatchNormConfig{Cumulative: true}, true, nil},
		"eval":       {ops.BatchNormConfig{Momentum: 0.3}, true, []G.VMOpt{G.EvalMode()}},
		"frozen":     {ops.BatchNormConfig{Frozen: true}, true, nil},
		"untracked":  {ops.BatchNormConfig{}, false, nil},
	}
	for _, p := range paddedData {
		for mode, k := range modes {
			t.Run(p.name+"/"+mode, func(t *testing.T) {
				eachMachine(t, func(t *testing.T, dt tensor.Dtype, m graphtest.Machine) {
					c := p.shape[p.axis]
					params := []*tensor.Dense{graphtest.Wave(dt, 1.2, c), graphtest.Wave(dt, -0.3, c)}
					run := func(x, dy *tensor.Dense, axis int, mask func(x *G.Node) *G.Node) (graphtest.Result, []float64) {
						var s *ops.RunningStats
						if k.tracked {
							s = statsOf(t, c)
						}
						cfg := k.cfg
						cfg.Eps, cfg.ChannelAxis = 1e-3, axis
						r, err := m(func(n G.Nodes) (*G.Node, error) {
							if mask != nil {
								cfg.Mask = mask(n[0])
							}
							return ops.BatchNorm(n[0], n[1], n[2], s, cfg)
						}, append([]*tensor.Dense{x}, params...), dy, k.opts...)
						require.NoError(t, err)
						return r, snapshot(s)
					}
					of := func(d *tensor.Dense) *tensor.Dense { return p.unpadded(d, p.all()...) }
					want, wantStats := run(of(p.value(dt, 0.5, 0)), of(p.value(dt, -0.2, 0)), 1, nil)
					for _, padding := range paddings {
						got, stats := run(p.value(dt, 0.5, padding), p.value(dt, -0.2, padding), p.axis-len(p.shape), p.node)
						what := fmt.Sprintf("padding of %v", padding)
						p.requireZeros(t, got.Y, what)
						p.requireZeros(t, got.Grads[0], what)
						got.Y, got.Grads[0] = of(got.Y), of(got.Grads[0])
						requireSameResult(t, want, got, 10*tolerances[dt], what)
						requireNear(t, wantStats, stats, 1e-12, what)
					}
				})
			})
		}
	}
}

// Group norm with a mask is group norm of each sample without padding, and so is instance
// norm.
func TestMaskedGroupNormIsUnpadded(t *testing.T) {
	skipNumbersUnderRace(t)
	type norm func(x, gamma, beta, mask *G.Node) (*G.Node, error)
	group := func(groups int) norm {
		return func(x, gamma, beta, mask *G.Node) (*G.Node, error) {
			return ops.GroupNorm(x, gamma, beta, ops.GroupNormConfig{Groups: groups, Eps: 1e-3, Mask: mask})
		}
	}
	instance := func(tracked bool) norm {
		return func(x, gamma, beta, mask *G.Node) (*G.Node, error) {
			var s *ops.RunningStats
			if tracked {
				s = running(x.Shape()[1])
			}
			return ops.InstanceNorm(x, gamma, beta, s, ops.InstanceNormConfig{Eps: 1e-3, Mask: mask})
		}
	}
	for _, p := range paddedData {
		if p.axis != 1 || len(p.shape) == 2 {
			continue
		}
		for name, f := range map[string]norm{
			"1 group": group(1), "2 groups": group(2), "channels": group(p.shape[1]), "instance": instance(false), "tracked": instance(true),
		} {
			t.Run(p.name+"/"+name, func(t *testing.T) {
				eachMachine(t, func(t *testing.T, dt tensor.Dtype, m graphtest.Machine) { checkMaskedGroups(t, p, f, dt, m) })
			})
		}
	}
}

// checkMaskedGroups compares a norm of padded data with that of each sample.
func checkMaskedGroups(t *testing.T, p padded, f func(x, gamma, beta, mask *G.Node) (*G.Node, error), dt tensor.Dtype, m graphtest.Machine) {
	params := []*tensor.Dense{graphtest.Wave(dt, 1.2, p.shape[1]), graphtest.Wave(dt, -0.3, p.shape[1])}
	for _, padding := range paddings {
		what := fmt.Sprintf("padding of %v", padding)
		x, dy := p.value(dt, 0.5, padding), p.value(dt, -0.2, padding)
		got, err := m(func(n G.Nodes) (*G.Node, error) { return f(n[0], n[1], n[2], p.node(n[0])) },
			append([]*tensor.Dense{x}, params...), dy)
		require.NoError(t, err)
		p.requireZeros(t, got.Y, what)
		p.requireZeros(t, got.Grads[0], what)
		sums := [2][]float64{make([]float64, p.shape[1]), make([]float64, p.shape[1])}
		for _, s := range p.all() {
			rows := p.unpadded(x, s)
			if rows == nil {
				continue
			}
			sample := func(d *tensor.Dense) *tensor.Dense { // as (1, C, n)
				turned := permuted(p.unpadded(d, s), []int{1, 0})
				return graphtest.Dense(dt, floats(turned), 1, p.shape[1], rows.Shape()[0])
			}
			want, err := m(func(n G.Nodes) (*G.Node, error) { return f(n[0], n[1], n[2], nil) },
				append([]*tensor.Dense{sample(x)}, params...), sample(dy))
			require.NoError(t, err)
			requireSame(t, []*tensor.Dense{want.Y, want.Grads[0]}, []*tensor.Dense{sample(got.Y), sample(got.Grads[0])},
				10*tolerances[dt], fmt.Sprintf("%s: sample %d", what, s))
			for i := range sums {
				for c, d := range floats(want.Grads[i+1]) {
					sums[i][c] += d
				}
			}
		}
		for i := range sums {
			requireNear(t, sums[i], floats(got.Grads[i+1]), 10*tolerances[dt], fmt.Sprintf("%s: parameter %d", what, i))
		}
	}
}

// One element is the smallest tensor. The results follow the formulas.
func TestNormsOfOneElement(t *testing.T) {
	one := tensor.Shape{1}
	for name, c := range map[string]struct {
		build func(n G.Nodes) (*G.Node, error)
		want  float64
	}{
		"layer": {func(n G.Nodes) (*G.Node, error) {
			return ops.LayerNorm(n[0], n[1], n[2], one, ops.LayerNormConfig{Eps: 1e-3})
		}, 0.5},
		"rms": {func(n G.Nodes) (*G.Node, error) {
			return ops.RMSNorm(n[0], n[1], n[2], one, ops.RMSNormConfig{Eps: 1e-3})
		}, 3/math.Sqrt(9+1e-3)*2 + 0.5},
		"batch": {func(n G.Nodes) (*G.Node, error) {
			return ops.BatchNorm(n[0], n[1], n[2], running(1), ops.BatchNormConfig{Eps: 1e-3})
		}, 3/math.Sqrt(1+1e-3)*2 + 0.5},
	} {
		of := func(v float64, shape ...int) *tensor.Dense {
			return graphtest.Dense(tensor.Float64, []float64{v}, shape...)
		}
		r, err := graphtest.Tape(c.build, []*tensor.Dense{of(3, 1, 1), of(2, 1), of(0.5, 1)}, of(1, 1, 1), G.EvalMode())
		require.NoError(t, err, name)
		requireNear(t, []float64{c.want}, floats(r.Y), 1e-15, name)
	}
}
