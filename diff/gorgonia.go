package diff

import (
	"fmt"
	"math"
	"reflect"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Some derivatives of Gorgonia v0.9.18 are wrong or missing. What is here takes their place, or
// says that there is none; the types of the ops are not exported, so they are known by name.

// rightOp returns the op of a node with its right derivative, or the error that it has none.
func rightOp(n *G.Node) (G.SDOp, error) {
	op, ok := n.Op().(G.SDOp)
	if !ok {
		return nil, newFault(ErrOp, "op %v has no symbolic derivative (it is not a gorgonia.SDOp)", n.Op())
	}
	switch kind := fmt.Sprintf("%T", op); kind {
	case "*gorgonia.avgPoolOp", "*gorgonia.batchnormDiffOp", "*gorgonia.ctcLossDiffOp", "*gorgonia.groupNormDiffOp":
		return nil, newFault(ErrOp, "op %v has a wrong derivative in Gorgonia", op)
	case "gorgonia.col2imOp":
		return col2im{op}, nil
	case "*gorgonia.dropoutOp":
		return dropout{op}, nil
	case "*gorgonia.dropoutDiffOp":
		return dropoutGrad{op}, nil
	case "gorgonia.elemUnaryOp":
		switch fmt.Sprint(op) {
		case "invSqrt":
			return inverseSqrt{op}, nil
		case "log2":
			return log2{op}, nil
		}
	case "gorgonia.linAlgBinOp":
		if reflect.ValueOf(op).Field(0).Uint() == outerProduct {
			return outer{op}, nil
		}
	case "gorgonia.reshapeOp":
		return reshape{op}, nil
	case "gorgonia.sliceIncrOp":
		return sliceIncr{op}, nil
	case "*gorgonia.softmaxDiffOp":
		return softmaxGrad{op}, nil
	}
	return op, nil
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

// dropout keeps an element with a probability of 1 − p, and divides it by that. Its own
// derivative divides by p, and is 0 for a p of 0.
type dropout struct{ G.SDOp }

// SymDiff takes the derivative in training.
func (op dropout) SymDiff(in G.Nodes, out, grad *G.Node) (G.Nodes, error) {
	p := reflect.ValueOf(op.SDOp).Elem().FieldByName("probability").Float()
	if p == 0 {
		return G.Nodes{grad}, nil
	}
	d, err := op.SDOp.SymDiff(in, out, grad)
	if err != nil || p == 1 { // all is dropped
		return d, err
	}
	e := expression{}
	return G.Nodes{e.times(d[0], constant(out, fmt.Sprintf("odds of %v", p), p/(1-p)))}, e.err
}

// dropoutGrad is the gradient of dropout by Gorgonia: of x, its result and a gradient, the
// last of which it scales.
type dropoutGrad struct{ G.SDOp }

func (dropoutGrad) DiffWRT(int) []bool { return []bool{false, false, true} }

func (op dropoutGrad) SymDiff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	d, err := G.ApplyOp(op.SDOp, in[0], in[1], grad)
	return G.Nodes{nil, nil, d}, err
}

// inverseSqrt is y = 1/√x.
type inverseSqrt struct{ G.SDOp }

// SymDiff takes the derivative −y/(2x).
func (inverseSqrt) SymDiff(in G.Nodes, out, grad *G.Node) (G.Nodes, error) {
	e := expression{}
	d := e.neg(e.times(grad, e.over(out, e.plus(in[0], in[0]))))
	return G.Nodes{d}, e.err
}

// log2 has the derivative 1/(x·ln 2).
type log2 struct{ G.SDOp }

func (log2) SymDiff(in G.Nodes, out, grad *G.Node) (G.Nodes, error) {
	e := expression{}
	d := e.over(grad, e.times(in[0], constant(out, "ln 2", math.Ln2)))
	return G.Nodes{d}, e.err
}

// outer is the outer product c = a⊗b of vectors, with the gradients dc·b and dcᵀ·a.
type outer struct{ G.SDOp }

const outerProduct = 3 // among Gorgonia's operators of linear algebra

func (outer) SymDiff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	e := expression{}
	da := e.binary(G.Mul, grad, in[1])
	db := e.binary(G.Mul, e.transposed(grad), in[0])
	return G.Nodes{da, db}, e.err
}

// reshape makes the gradient of a scalar a tensor of no axes, which arithmetic refuses.
type reshape struct{ G.SDOp }

func (op reshape) SymDiff(in G.Nodes, out, grad *G.Node) (G.Nodes, error) {
	if in[0].Dims() > 0 {
		return op.SDOp.SymDiff(in, out, grad)
	}
	if grad.Dims() == 0 {
		return G.Nodes{grad}, nil
	}
	d, err := G.Sum(grad)
	return G.Nodes{d}, err
}

// sliceIncr is the gradient of a slice: zeros of the shape of the first input, with the
// second one in the slice. By itself it has a derivative by the first, too.
type sliceIncr struct{ G.SDOp }

func (sliceIncr) DiffWRT(int) []bool { return []bool{false, true} }
