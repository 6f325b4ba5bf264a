package main

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// applyGorgonia applies what there is without this package: Gorgonia's batch norm, and for
// the other norms formulas made of its ops.
func (e *expression) applyGorgonia(c benchCase) (*G.Node, error) {
	a := e.args
	switch {
	case c.name == "layernorm":
		return composedLayerNorm(a[0], a[1], a[2])
	case c.isBatchNorm():
		y, _, _, _, err := G.BatchNorm(a[0], a[1], a[2], momentum, eps)
		return y, err
	default:
		return composedWeightNorm(a[0], a[1])
	}
}

// hasGorgonia says whether applyGorgonia has the case.
func (c benchCase) hasGorgonia() bool {
	return c.name == "layernorm" || c.isBatchNorm() || c.name == "weight_norm"
}

// composedLayerNorm is (x − mean)/√(variance + eps)·gamma + beta, over the last axis.
func composedLayerNorm(x, gamma, beta *G.Node) (*G.Node, error) {
	last := x.Dims() - 1
	along, before := []byte{byte(last)}, make([]byte, last)
	for i := range before {
		before[i] = byte(i)
	}
	mean := func(a *G.Node) (*G.Node, error) { return G.Mean(a, last) }
	e := G.Must(G.BroadcastSub(x, G.Must(G.KeepDims(x, false, mean)), nil, along))
	variance := G.Must(G.KeepDims(G.Must(G.Square(e)), false, mean))
	std := G.Must(G.Sqrt(G.Must(G.Add(variance, constant(x.Dtype(), eps)))))
	xhat := G.Must(G.BroadcastHadamardDiv(e, std, nil, along))
	return G.BroadcastAdd(G.Must(G.BroadcastHadamardProd(xhat, gamma, nil, before)), beta, nil, before)
}

// composedWeightNorm is v·g/‖v‖, over rows.
func composedWeightNorm(v, g *G.Node) (*G.Node, error) {
	sum := func(a *G.Node) (*G.Node, error) { return G.Sum(a, 1) }
	length := G.Must(G.Sqrt(G.Must(G.KeepDims(G.Must(G.Square(v)), false, sum))))
	return G.BroadcastHadamardProd(v, G.Must(G.HadamardDiv(g, length)), nil, []byte{1})
}

// onAxis is the shape of a tensor that lies along one axis of another.
func onAxis(shape tensor.Shape, axis int) tensor.Shape {
	like := make(tensor.Shape, len(shape))
	for i := range like {
		like[i] = 1
	}
	like[axis] = shape[axis]
	return like
}
