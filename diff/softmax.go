package diff

import (
	"reflect"

	G "gorgonia.org/gorgonia"
)

// softmaxSettings are the settings of y = softmax(x), or of y = log softmax(x) if log is
// set.
type softmaxSettings struct {
	axis int // -1: none is given
	log  bool
}

// softmaxOf returns the settings of a softmax or of its gradient.
func softmaxOf(op G.SDOp) softmaxSettings {
	v := reflect.ValueOf(op).Elem()
	return softmaxSettings{int(v.FieldByName("axis").Int()), v.FieldByName("isLog").Bool()}
}

// columnSoftmax is the softmax of a column (n, 1) without an axis, which goes down the
// column. Gorgonia takes its gradient along the rows, which have one element each.
type columnSoftmax struct{ G.SDOp }

// SymDiff takes the derivative y·(g − Σ y·g), or g − eʸ·Σ g for the logarithm.
func (op columnSoftmax) SymDiff(_ G.Nodes, y, g *G.Node) (G.Nodes, error) {
	e := expression{}
	var d *G.Node
	if softmaxOf(op.SDOp).log {
		d = e.minus(g, e.times(e.exp(y), e.sum(g, 0)))
	} else {
		d = e.times(y, e.minus(g, e.sum(e.times(y, g), 0)))
	}
	return G.Nodes{d}, e.err
}

// softmaxGrad is Gorgonia's gradient of y = softmax(x) from y and its gradient g, y·(g −
// Σ y·g), or that of y = log softmax(x), g − eʸ·Σ g. Gorgonia gives it the derivative of
// softmax, which panics.
type softmaxGrad struct{ G.SDOp }

// DiffWRT is about the inputs x, y and g. The values of x are not used.
func (softmaxGrad) DiffWRT(int) []bool { return []bool{false, true, true} }

// SymDiff takes, for a gradient u, the derivatives u·(g − Σ y·g) − g·Σ u·y with respect
// to y and y·(u − Σ u·y) with respect to g. For the logarithm they are −u·eʸ·Σ g and u −
// Σ u·eʸ.
func (op softmaxGrad) SymDiff(in G.Nodes, _, u *G.Node) (G.Nodes, error) {
	of := softmaxOf(op.SDOp)
	y, g := in[1], in[2]
	axis := of.axis
	if axis < 0 {
		axis += y.Dims()
	}
	e := expression{}
	sum := func(a *G.Node) *G.Node { return e.sum(a, axis) }
	var dy, dg *G.Node
	if of.log {
		up := e.times(u, e.exp(y))
		dy, dg = e.neg(e.times(up, sum(g))), e.minus(u, sum(up))
	} else {
		uy := sum(e.times(u, y))
		dy = e.minus(e.times(u, e.minus(g, sum(e.times(y, g)))), e.times(g, uy))
		dg = e.times(y, e.minus(u, uy))
	}
	return G.Nodes{nil, dy, dg}, e.err
}
