package ops_test

import (
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// maskLeaf makes the node of a mask in the graph of x.
func maskLeaf(x *G.Node, mask []float64, shape tensor.Shape) *G.Node {
	return leaf(x.Graph(), "mask", graphtest.Dense(x.Dtype(), mask, shape...))
}

// maskedCase is a case with a mask, a node that is there besides the inputs.
func maskedCase(c opCase, mask []float64, shape tensor.Shape, build func(n G.Nodes, mask *G.Node, s *ops.RunningStats) (*G.Node, error)) opCase {
	c.name, c.masked = c.name+" masked", true
	c.build = func(n G.Nodes, s *ops.RunningStats) (*G.Node, error) {
		return build(n, maskLeaf(n[0], mask, shape), s)
	}
	return c
}

func maskedBatchCase(name string, channels int, cfg ops.BatchNormConfig, mask []float64, shape, x tensor.Shape, opts ...G.VMOpt) opCase {
	cfg.Eps = 1e-3
	return maskedCase(batchNormCase(name, channels, cfg, x, opts...), mask, shape, func(n G.Nodes, mask *G.Node, s *ops.RunningStats) (*G.Node, error) {
		cfg := cfg
		cfg.Mask = mask
		return ops.BatchNorm(n[0], n[1], n[2], s, cfg)
	})
}

func maskedInstanceCase(name string, channels int, cfg ops.BatchNormConfig, mask []float64, shape, x tensor.Shape, opts ...G.VMOpt) opCase {
	cfg.Eps = 1e-3
	return maskedCase(instanceNormCase(name, channels, cfg, x, opts...), mask, shape, func(n G.Nodes, mask *G.Node, s *ops.RunningStats) (*G.Node, error) {
		cfg := cfg
		cfg.Mask = mask
		return ops.InstanceNorm(n[0], n[1], n[2], s, cfg)
	})
}

func maskedGroupCase(name string, cfg ops.GroupNormConfig, mask []float64, shape tensor.Shape, x ...int) opCase {
	return maskedCase(groupNormCase(name, cfg, x...), mask, shape, func(n G.Nodes, mask *G.Node, _ *ops.RunningStats) (*G.Node, error) {
		cfg := cfg
		cfg.Mask = mask
		return ops.GroupNorm(n[0], n[1], n[2], cfg)
	})
}

// maskedCases are the forms of the norms with a mask.
func maskedCases(reuse bool) []opCase {
	batch := ops.BatchNormConfig{Momentum: 0.1, Reuse: reuse}
	last := ops.BatchNormConfig{Momentum: 0.1, Reuse: reuse, ChannelAxis: -1}
	group := ops.GroupNormConfig{Groups: 2, Eps: 1e-3, Reuse: reuse}
	rows, lengths := []float64{1, 0, 1, 1, 0}, []float64{3, 5}
	holes := []float64{0, 1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 0}
	return []opCase{
		maskedBatchCase("train rank 2", 3, batch, rows, tensor.Shape{5}, tensor.Shape{5, 3}),
		maskedBatchCase("train lengths", 3, batch, lengths, tensor.Shape{2}, tensor.Shape{2, 3, 5}),
		maskedBatchCase("eval lengths", 3, batch, lengths, tensor.Shape{2}, tensor.Shape{2, 3, 5}, G.EvalMode()),
		maskedBatchCase("untracked rank 4", 0, batch, holes, tensor.Shape{2, 3, 2}, tensor.Shape{2, 3, 3, 2}),
		maskedBatchCase("train channels last", 3, last, holes, tensor.Shape{2, 6}, tensor.Shape{2, 6, 3}),
		maskedInstanceCase("untracked", 0, batch, lengths, tensor.Shape{2}, tensor.Shape{2, 3, 5}),
		maskedInstanceCase("train", 3, batch, holes, tensor.Shape{2, 3, 2}, tensor.Shape{2, 3, 3, 2}),
		maskedInstanceCase("eval", 3, batch, lengths, tensor.Shape{2}, tensor.Shape{2, 3, 5}, G.EvalMode()),
		maskedGroupCase("holes", group, holes, tensor.Shape{2, 6}, 2, 4, 6),
		maskedGroupCase("lengths of rank 4", group, []float64{2, 0, 3}, tensor.Shape{3}, 3, 4, 2, 3),
	}
}
