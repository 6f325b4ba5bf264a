package ops

import (
	"cmp"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"github.com/chewxy/hm"
	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/internal/opcall"
	"github.com/gorgonorm/norm/internal/opname"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// base has the methods that are the same for all ops of this package.
type base struct {
	// label names the op and every attribute that changes its result, in full precision.
	// It is hashed, and Gorgonia merges nodes of equal hash.
	label  string
	inputs []inputSpec
	data   tensor.Dtype // the dtype of the inputs except statistics
	result G.TensorType

	// layer is the name of the layer that has applied the op, for errors, or "".
	layer string
}

// newBase makes the base of an op on data of T, whose result has that dtype and the given
// rank.
func newBase[T dense.Float](label string, rank int, inputs ...inputSpec) base {
	return base{label: label, inputs: inputs, data: dense.Dtype[T](), result: tensorOf[T](rank)}
}

func tensorOf[T dense.Float](rank int) G.TensorType {
	return G.TensorType{Dims: rank, Of: dense.Dtype[T]()}
}

// inputSpec is an input of an op: its name in errors, its rank, and its number of
// elements, or 0 if that is known only in the run. No tensor has 0 elements.
type inputSpec struct {
	name       string
	rank, size int
	kind       inputKind
}

// inputKind says whether an input has a gradient.
type inputKind int

const (
	variable   inputKind = iota
	constant             // has no gradient
	statistics           // has no gradient and is float64: another input's gradient includes its part
)

// SetLayer sets the name of the layer that applies the op. If two layers apply equal ops,
// which are one, the first counts; for the other SetLayer returns false.
func (b *base) SetLayer(label string) bool {
	if b.layer == "" {
		b.layer = label
	}
	return b.layer == label
}

// layerName returns the name from SetLayer, or "".
func (b *base) layerName() string { return b.layer }

// Arity returns the number of inputs.
func (b *base) Arity() int { return len(b.inputs) }

// Type is (inputs...) -> result. It is made in each call, since Gorgonia recycles it.
func (b *base) Type() hm.Type {
	ts := make([]hm.Type, 0, len(b.inputs)+1)
	for _, in := range b.inputs {
		t := G.TensorType{Dims: in.rank, Of: b.data}
		if in.kind == statistics {
			t.Of = tensor.Float64
		}
		ts = append(ts, t)
	}
	return hm.NewFnType(append(ts, b.result)...)
}

// DiffWRT says which inputs have a gradient.
func (b *base) DiffWRT(int) []bool {
	wrt := make([]bool, len(b.inputs))
	for i, in := range b.inputs {
		wrt[i] = in.kind == variable
	}
	return wrt
}

// ReturnsPtr is true: the result is a tensor of its own.
func (b *base) ReturnsPtr() bool { return true }

// CallsExtern is false.
func (b *base) CallsExtern() bool { return false }

// OverwritesInput is -1: inputs may be shared with others, or be the user's.
func (b *base) OverwritesInput() int { return -1 }

// WriteHash writes the label.
func (b *base) WriteHash(h hash.Hash) { io.WriteString(h, b.label) }

// Hashcode returns the hash of the label.
func (b *base) Hashcode() uint32 { return opcall.Hashcode(b) }

// String returns the label without the attributes that are off, for drawings of graphs.
func (b *base) String() string {
	name, attributes, _ := strings.Cut(strings.TrimSuffix(b.label, ")"), "(")
	on := slices.DeleteFunc(strings.Split(attributes, ", "), func(a string) bool {
		return strings.HasSuffix(a, "=false") || strings.HasSuffix(a, "=<nil>")
	})
	for i, a := range on {
		on[i] = strings.TrimSuffix(a, "=true")
	}
	return name + "(" + strings.Join(on, ", ") + ")"
}

// derivableOp is any op of this package.
type derivableOp interface {
	G.Op
	opname.Op
	DiffWRT(inputs int) []bool
	derivatives
}

// derivatives are the derivatives of an op.
type derivatives interface {
	SymDiff(in G.Nodes, out, u *G.Node) (G.Nodes, error)
	DoDiff(ctx G.ExecutionContext, in G.Nodes, out *G.Node) error // for a LispMachine
}

// apply is G.ApplyOp with the op's name before the error. It adds further inputs if those
// of the op share memory with others, see heldOp.
func apply(op string, o derivableOp, children ...*G.Node) (*G.Node, error) {
	o, children = hold(o, children)
	n, err := G.ApplyOp(o, children...)
	if err != nil {
		return nil, fmt.Errorf("norm: %s: %w", op, err)
	}
	return n, nil
}

// lastOrder is embedded in ops that have no derivative, those of the second order. Such
// an op claims to have one and then returns an error, since Gorgonia takes the derivative
// for 0 if an op says that it is not differentiable.
type lastOrder struct{ base }

// DiffWRT is true for every input.
func (l *lastOrder) DiffWRT(inputs int) []bool { return slices.Repeat([]bool{true}, inputs) }

// SymDiff returns ErrOrder.
func (l *lastOrder) SymDiff(G.Nodes, *G.Node, *G.Node) (G.Nodes, error) {
	return nil, l.order()
}

// DoDiff returns ErrOrder.
func (l *lastOrder) DoDiff(G.ExecutionContext, G.Nodes, *G.Node) error {
	return l.order()
}

func (l *lastOrder) order() error { return fault.NewOrder(cmp.Or(l.layerName(), l.label)) }

// noGradient is embedded in ops at which Gorgonia's differentiation ends. The op that
// takes their result has the total derivative with respect to their inputs, which are
// constants to them.
type noGradient struct{}

// constants returns the inputs as inputs without gradients.
func constants(inputs []inputSpec) []inputSpec {
	inputs = slices.Clone(inputs)
	for i := range inputs {
		inputs[i].kind = constant
	}
	return inputs
}

// SymDiff returns no gradient.
func (noGradient) SymDiff(in G.Nodes, _, _ *G.Node) (G.Nodes, error) {
	return make(G.Nodes, len(in)), nil
}

// DoDiff adds nothing.
func (noGradient) DoDiff(G.ExecutionContext, G.Nodes, *G.Node) error { return nil }

// differentiable is embedded in ops whose derivative is one fused op.
type differentiable[T dense.Float] struct {
	kind string // for errors of SymDiff
	op   interface {
		fmt.Stringer
		layerName() string
		gradient() gradient // a new one each time, as its op may keep memory
	}
}

// gradient returns the gradient of the op, for the same layer.
func (d differentiable[T]) gradient() gradient {
	g := d.op.gradient()
	g.op.SetLayer(d.op.layerName())
	return g
}

// SymDiff returns the gradients of the inputs that have one.
func (d differentiable[T]) SymDiff(in G.Nodes, _, upstream *G.Node) (G.Nodes, error) {
	return symDiff[T](d.kind, d.gradient(), in, upstream)
}

// DoDiff adds to the gradients of the inputs that have one.
func (d differentiable[T]) DoDiff(_ G.ExecutionContext, in G.Nodes, out *G.Node) (err error) {
	defer guard(d.op, &err)
	return doDiff[T](d.gradient(), in, out)
}

// shapeOf returns the shape of input i. Gorgonia may pass a size that is not a shape.
func shapeOf(op string, in []G.DimSizer, i int) (tensor.Shape, error) {
	if i >= len(in) {
		return nil, fault.New(fault.ErrShape, op, "%d inputs, want more than %d", len(in), i)
	}
	s, ok := in[i].(tensor.Shape)
	if !ok {
		return nil, fault.New(fault.ErrShape, op, "input %d has a size of type %T, want a shape", i, in[i])
	}
	return s.Clone(), nil
}

// maxInputs is the largest number of inputs of an op. Values for each input are in arrays
// of that length, since slices would have to be allocated.
const maxInputs = 6

// checkCount checks that there is a value for each input.
func (b *base) checkCount(vs []G.Value) error {
	if len(vs) != len(b.inputs) {
		return fault.New(fault.ErrValue, b.label, "%d inputs, want %d", len(vs), len(b.inputs))
	}
	return nil
}

// input returns the elements of input i.
func input[T dense.Float](b *base, vs []G.Value, i int) ([]T, error) {
	want := b.inputs[i]
	e, err := dense.Elements[T](b.label, want.name, vs[i])
	if err != nil {
		return nil, err
	}
	if want.size != 0 && len(e) != want.size {
		return nil, fault.New(fault.ErrValue, b.label, "%s has %d elements, want %d", want.name, len(e), want.size)
	}
	return e, nil
}

// inputs returns the elements of every input.
func inputs[T dense.Float](b *base, vs []G.Value) (in [maxInputs][]T, err error) {
	if err = b.checkCount(vs); err != nil {
		return in, err
	}
	for i := range vs {
		if in[i], err = input[T](b, vs, i); err != nil {
			return in, err
		}
	}
	return in, nil
}

// guard turns a panic inside an op into an error that names the op. A machine runs ops in
// a goroutine of its own, where a panic would end the user's process. Every Do and DoDiff
// defers guard. Panics of the kernels' workers are passed on to the goroutine that called
// the kernel. Other errors get the name of the layer.
func guard(op fmt.Stringer, err *error) {
	if r := recover(); r != nil {
		*err = fault.New(fault.ErrInternal, op.String(), "internal fault: %v", r)
		return
	}
	if named, ok := op.(interface{ layerName() string }); ok && *err != nil && named.layerName() != "" {
		*err = fault.Of(named.layerName(), *err)
	}
}
