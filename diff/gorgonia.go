package diff

import (
	"fmt"
	"math"
	"reflect"
	"strings"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Some derivatives of Gorgonia v0.9.18 are wrong or missing. The ops below replace them,
// or rightOp says that there is none. Gorgonia does not export the types of its ops, so
// they are recognized by name.

// rightOp returns the op of a node with the right derivative, or the error that there is
// none.
func rightOp(n *G.Node) (G.SDOp, error) {
	op, ok := n.Op().(G.SDOp)
	if !ok {
		return nil, newFault(ErrOp, "op %v has no symbolic derivative (it is not a gorgonia.SDOp)", n.Op())
	}
	switch kind := fmt.Sprintf("%T", op); kind {
	case "*gorgonia.avgPoolOp", "*gorgonia.batchnormDiffOp", "*gorgonia.ctcLossOp", "*gorgonia.ctcLossDiffOp",
		"*gorgonia.dropoutDiffOp", "*gorgonia.groupNormDiffOp":
		return nil, newFault(ErrOp, "op %v has a wrong derivative in Gorgonia", op)
	case "*gorgonia.maxPoolDiffOp", "*gorgonia.upsampleDiffOp":
		return nil, newFault(ErrOp, "op %v has no derivative in Gorgonia: the op that it is the gradient of has no second one", op)
	case "*gorgonia.byIndicesOp":
		return byIndices{op}, nil
	case "gorgonia.col2imOp":
		return col2im{op}, nil
	case "*gorgonia.dropoutOp":
		return dropout{op}, nil
	case "gorgonia.elemUnaryOp":
		switch fmt.Sprint(op) {
		case "invSqrt":
			return inverseSqrt{op}, nil
		case "log2":
			return log2{op}, nil
		}
	case "gorgonia.linAlgBinOp":
		if strings.Contains(fmt.Sprint(op), "⊗") {
			return outer{op}, nil
		}
	case "*gorgonia.repeatOp", "gorgonia.repeatOp":
		return repeat{op}, nil
	case "gorgonia.reshapeOp":
		return reshape{op}, nil
	case "gorgonia.sliceIncrOp":
		return sliceIncr{op}, nil
	case "*gorgonia.softmaxOp":
		if n.IsColVec() && softmaxOf(op).axis == -1 {
			return columnSoftmax{op}, nil
		}
	case "*gorgonia.softmaxDiffOp":
		return softmaxGrad{op}, nil
	case "*gorgonia.sparsemaxOp":
		if reflect.ValueOf(op).Elem().FieldByName("axis").Int() == 0 {
			return nil, newFault(ErrOp, "op %v has a wrong derivative in Gorgonia along axis 0", op)
		}
	case "gorgonia.tensordotOp":
		return tensordot{op}, nil
	}
	return op, nil
}

// col2im is the gradient of im2col, and so of a convolution. It is the transpose of
// im2col, but inherits the derivative of im2col.
type col2im struct{ G.SDOp }

func (op col2im) SymDiff(_ G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	v := reflect.ValueOf(op.SDOp)
	pair := func(a, b string) tensor.Shape {
		return tensor.Shape{int(v.FieldByName(a).Int()), int(v.FieldByName(b).Int())}
	}
	d, err := G.Im2Col(grad, pair("h", "w"), pair("padH", "padW"), pair("strideH", "strideW"), pair("dilationH", "dilationW"))
	return G.Nodes{d}, err
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

func (outer) SymDiff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	e := expression{}
	da := e.binary(G.Mul, grad, in[1])
	db := e.binary(G.Mul, e.transposed(grad), in[0])
	return G.Nodes{da, db}, e.err
}

// repeat broadcasts: it makes an axis of one element as long as that of another node.
type repeat struct{ G.SDOp }

func (op repeat) SymDiff(in G.Nodes, out, grad *G.Node) (G.Nodes, error) {
	axis := int(reflect.Indirect(reflect.ValueOf(op.SDOp)).FieldByName("along").Int())
	if in[0].Dims() <= axis || in[0].Shape()[axis] != 1 {
		return op.SDOp.SymDiff(in, out, grad)
	}
	d, err := sumAlong(grad, axis)
	return G.Nodes{d, nil}, err
}

// sumAlong returns the sum along an axis. Gorgonia adds up the wrong elements along an
// axis that is neither among the first two nor the last, if its size is not 2. Such an
// axis is moved to the front.
func sumAlong(a *G.Node, axis int) (*G.Node, error) {
	if axis > 1 && axis < a.Dims()-1 {
		order := []int{axis}
		for i := range a.Dims() {
			if i != axis {
				order = append(order, i)
			}
		}
		var err error
		if a, err = G.Transpose(a, order...); err != nil {
			return nil, err
		}
		axis = 0
	}
	return G.Sum(a, axis)
}

// reshape has its own derivative for a scalar: Gorgonia's makes the gradient a tensor
// without axes, which arithmetic refuses.
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

// sliceIncr is the gradient of a slice: zeros in the shape of the first input, with the
// second one in the slice. Gorgonia's claims a derivative with respect to the first
// input, too.
type sliceIncr struct{ G.SDOp }

func (sliceIncr) DiffWRT(int) []bool { return []bool{false, true} }
