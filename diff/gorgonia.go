package diff

import (
	"fmt"
	"reflect"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Some derivatives of Gorgonia v0.9.18 are wrong or missing. What is here takes their place; the
// types of the ops are not exported, so they are known by name.

// rightOp returns the op of a node with the right derivative; ok is false if it has none.
func rightOp(n *G.Node) (op G.SDOp, ok bool) {
	if op, ok = n.Op().(G.SDOp); !ok {
		return nil, false
	}
	switch kind := fmt.Sprintf("%T", op); {
	case kind == "gorgonia.col2imOp":
		return col2im{op}, true
	case kind == "gorgonia.sliceIncrOp":
		return sliceIncr{op}, true
	case kind == "gorgonia.elemUnaryOp" && fmt.Sprint(op) == "invSqrt":
		return inverseSqrt{op}, true
	case kind == "*gorgonia.softmaxDiffOp":
		return softmaxGrad{op}, true
	}
	return op, true
}

// col2im is the gradient of im2col, and so of a convolution. It is the transposed of
// im2col, whose derivative it inherits.
type col2im struct{ G.SDOp }

func (op col2im) SymDiff(_ G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	v := reflect.ValueOf(op.SDOp)
	pair := func(a, b string) tensor.Shape {
		return tensor.Shape{int(v.FieldByName(a).Int()), int(v.FieldByName(b).Int())}
	}
	d, err := G.Im2Col(grad, pair("h", "w"), pair("padH", "padW"), pair("strideH", "strideW"), pair("dilationH", "dilationW"))
	return G.Nodes{d}, err
}

// sliceIncr is the gradient of a slice: zeros of the shape of the first input, with the
// second one in the slice. By itself it has a derivative by the first, too.
type sliceIncr struct{ G.SDOp }

func (sliceIncr) DiffWRT(int) []bool { return []bool{false, true} }

// inverseSqrt is y = 1/√x.
type inverseSqrt struct{ G.SDOp }

// SymDiff takes the derivative −y/(2x).
func (inverseSqrt) SymDiff(in G.Nodes, out, grad *G.Node) (G.Nodes, error) {
	var e expression
	d := e.neg(e.times(grad, e.over(out, e.plus(in[0], in[0]))))
	return G.Nodes{d}, e.err
}
