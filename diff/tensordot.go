package diff

import (
	"reflect"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// tensordot contracts axes of two tensors. If all axes of one of them are contracted,
// often a vector, Gorgonia's derivative contracts no axes: the graph can be built, but
// its run fails.
type tensordot struct{ G.SDOp }

// axes returns the contracted axes of an input, in the order of their partners.
func (op tensordot) axes(field string) []int {
	v := reflect.ValueOf(op.SDOp).FieldByName(field)
	axes := make([]int, v.Len())
	for i := range axes {
		axes[i] = int(v.Index(i).Int())
	}
	return axes
}

// SymDiff takes the derivatives for c = Σ a·w over all axes of w: dc⊗w with respect to a,
// and Σ a·dc over the other axes of a with respect to w. With the contracted axes last, a
// and da are matrices.
func (op tensordot) SymDiff(in G.Nodes, out, grad *G.Node) (G.Nodes, error) {
	axes := [][]int{op.axes("aAxes"), op.axes("bAxes")}
	whole := slices.IndexFunc(in, func(n *G.Node) bool { return n.Dims() == len(axes[0]) })
	if whole < 0 || grad.Dims() == 0 {
		return op.SDOp.SymDiff(in, out, grad)
	}
	a, w, ofA, ofW := in[1-whole], in[whole], axes[1-whole], axes[whole]

	order := make([]int, 0, a.Dims()) // the axes of a: free ones, then the partners of w's in order
	for axis := range a.Dims() {
		if !slices.Contains(ofA, axis) {
			order = append(order, axis)
		}
	}
	for axis := range w.Dims() {
		order = append(order, ofA[slices.Index(ofW, axis)])
	}
	rows, columns := grad.Shape().TotalSize(), w.Shape().TotalSize()
	shape := make(tensor.Shape, 0, a.Dims())
	back := make([]int, a.Dims())
	for i, axis := range order {
		shape = append(shape, a.Shape()[axis])
		back[axis] = i
	}

	e := expression{}
	dc := e.reshaped(grad, rows)
	da := e.transposed(e.reshaped(e.binary(G.OuterProd, dc, e.reshaped(w, columns)), shape...), back...)
	matrix := e.reshaped(e.transposed(a, order...), rows, columns)
	dw := e.reshaped(e.binary(G.Mul, dc, matrix), w.Shape()...)
	d := G.Nodes{da, dw}
	if whole == 0 {
		slices.Reverse(d)
	}
	return d, e.err
}
