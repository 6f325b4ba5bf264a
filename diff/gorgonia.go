package diff

import (
	"fmt"
	"reflect"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Some derivatives of Gorgonia v0.9.18 are wrong. What is here takes their place; the
// types of the ops are not exported, so they are known by name.

// A repair is the right derivative of an op.
type repair struct {
	wrt     func(inputs int) []bool
	symDiff func(op G.Op, in G.Nodes, out, grad *G.Node) (*G.Node, error) // by the only input of wrt
}

// repairOf returns that of an op whose own derivative is wrong.
func repairOf(op G.Op) (r repair, ok bool) {
	switch kind := fmt.Sprintf("%T", op); {
	case kind == "gorgonia.col2imOp":
		return repair{first, col2imDiff}, true
	case kind == "gorgonia.sliceIncrOp":
		return repair{second, sliceIncrDiff}, true
	case kind == "gorgonia.elemUnaryOp" && fmt.Sprint(op) == "invSqrt":
		return repair{first, inverseSqrtDiff}, true
	}
	return repair{}, false
}

func first(inputs int) []bool  { return []bool{true}[:inputs] }
func second(inputs int) []bool { return []bool{false, true}[:inputs] }

// col2imDiff is for the gradient of im2col, and so of a convolution. It is the transposed
// of im2col, whose derivative it inherits.
func col2imDiff(op G.Op, _ G.Nodes, _, grad *G.Node) (*G.Node, error) {
	v := reflect.ValueOf(op)
	pair := func(a, b string) tensor.Shape {
		return tensor.Shape{int(v.FieldByName(a).Int()), int(v.FieldByName(b).Int())}
	}
	return G.Im2Col(grad, pair("h", "w"), pair("padH", "padW"), pair("strideH", "strideW"), pair("dilationH", "dilationW"))
}

// sliceIncrDiff is for the gradient of a slice: zeros of the shape of the first input,
// with the second one in the slice. Its own derivative has one by the first, too.
func sliceIncrDiff(op G.Op, in G.Nodes, out, grad *G.Node) (*G.Node, error) {
	grads, err := op.(G.SDOp).SymDiff(in, out, grad)
	if err != nil {
		return nil, err
	}
	return grads[1], nil
}

// inverseSqrtDiff is −y/(2x) = −x^(−3/2)/2 of y = 1/√x.
func inverseSqrtDiff(_ G.Op, in G.Nodes, out, grad *G.Node) (*G.Node, error) {
	twice, err := G.Add(in[0], in[0])
	if err != nil {
		return nil, err
	}
	slope, err := G.HadamardDiv(out, twice)
	if err != nil {
		return nil, err
	}
	d, err := G.HadamardProd(grad, slope)
	if err != nil {
		return nil, err
	}
	return G.Neg(d)
}
