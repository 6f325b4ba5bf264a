package diff

import (
	"reflect"

	G "gorgonia.org/gorgonia"
)

// softmaxGrad is the gradient of y = softmax(x) by its output, y·(g − Σ y·g), and that of
// y = log softmax(x), g − eʸ·Σ g. By itself it claims the derivative of softmax, which
// panics.
type softmaxGrad struct{ G.SDOp }

// DiffWRT tells of x, y and g. The values of x are not used.
func (softmaxGrad) DiffWRT(int) []bool { return []bool{false, true, true} }

// SymDiff takes, for a gradient u, the derivatives u·(g − Σ y·g) − g·Σ u·y by y and
// y·(u − Σ u·y) by g; of the logarithm −u·eʸ·Σ g and u − Σ u·eʸ.
func (op softmaxGrad) SymDiff(in G.Nodes, _, u *G.Node) (G.Nodes, error) {
	v := reflect.ValueOf(op.SDOp).Elem()
	y, g := in[1], in[2]
	axis := int(v.FieldByName("axis").Int())
	if axis < 0 {
		axis += y.Dims()
	}
	e := expression{}
	sum := func(a *G.Node) *G.Node { return e.sum(a, axis) }
	var dy, dg *G.Node
	if v.FieldByName("isLog").Bool() {
		up := e.times(u, e.exp(y))
		dy, dg = e.neg(e.times(up, sum(g))), e.minus(u, sum(up))
	} else {
		uy := sum(e.times(u, y))
		dy = e.minus(e.times(u, e.minus(g, sum(e.times(y, g)))), e.times(g, uy))
		dg = e.times(y, e.minus(u, uy))
	}
	return G.Nodes{nil, dy, dg}, e.err
}
