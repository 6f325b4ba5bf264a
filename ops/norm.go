package ops

import (
	"fmt"
	"strings"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// normalizer normalizes groups of elements of x by their own statistics, and applies an
// optional scale and shift. All norms that do this, and need nothing else, share one pair
// of ops. They differ in their normalizer: in the groups of x, and in which elements γ
// and β belong to.
type normalizer[T dense.Float] interface {
	// String returns the attributes in full precision, since they are hashed.
	String() string

	// fits returns an error, of kind ErrValue, for a shape of x's rank that cannot
	// be divided into its groups.
	fits(op string, x tensor.Shape) error

	// forward sets y. gamma and beta may be nil. mask is nil except for group norm.
	forward(y, x, mask, gamma, beta []T, shape tensor.Shape)

	// backward sets the gradients. gamma, dgamma and dbeta may be nil.
	backward(dx, dgamma, dbeta, x, mask, gamma, dy []T, shape tensor.Shape)

	// second sets the second derivative: the gradients of the sum of the results of
	// backward, each times its u.
	second(out kernel.SecondGrads[T], in kernel.SecondArgs[T], mask []T, shape tensor.Shape)
}

// norm is what a forward op and its gradient have in common.
type norm[T dense.Float] struct {
	affine
	how       normalizer[T]
	name      string  // as LayerNorm
	rank      int     // of x
	paramRank int     // of γ and β
	n         int     // the elements of each
	mask      masking // of group norm
	reuse     bool
}

func newNorm[T dense.Float](name string, how normalizer[T], aff affine, rank int, params tensor.Shape, reuse bool) *normOp[T] {
	return norm[T]{affine: aff, how: how, name: name, rank: rank, paramRank: len(params), n: params.TotalSize(), reuse: reuse}.op()
}

func (n norm[T]) op() *normOp[T] {
	o := &normOp[T]{base: newBase[T](n.describe(""), n.rank, n.inputsWith(n.affine, n.mask.inputSpecs()...)...), norm: n, mem: memory[T]{reuse: n.reuse}}
	o.differentiable = differentiable[T]{n.kind(), o}
	return o
}

// kind returns the name for errors.
func (n *norm[T]) kind() string { return strings.ToLower(n.name) }

func (n *norm[T]) describe(suffix string) string {
	return fmt.Sprintf("norm.%s%s(%v, gamma=%v, beta=%v%v, reuse=%v)", n.name, suffix, n.how, n.gamma, n.beta, n.mask, n.reuse)
}

// inputsWith returns (x, γ?, β?, further...), with γ and β as a says.
func (n *norm[T]) inputsWith(a affine, further ...inputSpec) []inputSpec {
	return a.inputSpecs(n.rank, n.paramRank, n.n, further...)
}

// check checks the shape of a value of x.
func (n *norm[T]) check(op string, x tensor.Shape) error {
	switch {
	case len(x) == 1 && n.rank == 2: // gorgonia.Let accepts it for a batch of one
		return fault.New(fault.ErrValue, op, "x is %v, want rank 2, as (1, %d)", x, x[0])
	case len(x) != n.rank:
		return fault.New(fault.ErrValue, op, "x is %v, want rank %d", x, n.rank)
	}
	return n.how.fits(op, x)
}

// normOp is the forward op, of (x, γ?, β?, mask?).
type normOp[T dense.Float] struct {
	base
	norm[T]
	differentiable[T]
	mem memory[T]
}

// InferShape returns the shape of x.
func (o *normOp[T]) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	return shapeOf(o.label, in, 0)
}

// Do returns y.
func (o *normOp[T]) Do(vs ...G.Value) (_ G.Value, err error) {
	defer guard(o, &err)
	in, err := inputs[T](&o.base, vs)
	if err != nil {
		return nil, err
	}
	shape := vs[0].Shape()
	if err := o.check(o.label, shape); err != nil {
		return nil, err
	}
	mask, err := flagsOf(o.label, o.mask, in[1+o.count()], shape)
	if err != nil {
		return nil, err
	}
	defer mask.release()
	gamma, beta := affineOf(o.affine, in[1:])
	out, y := o.mem.tensor(shape...)
	o.how.forward(y, in[0], mask.data, gamma, beta, shape)
	return out, nil
}

// gradient returns the gradient with respect to x, γ and β.
func (o *normOp[T]) gradient() gradient {
	grad := newNormGrad(o.norm)
	return gradientOf(&o.base, grad, grad.inputs, o.reuse)
}

// normGradOp is the gradient, of (x, γ?, mask?, dy), packed as [dx | dγ? | dβ?].
type normGradOp[T dense.Float] struct {
	base
	norm[T]
	differentiable[T]
	mem memory[T]
}

func newNormGrad[T dense.Float](n norm[T]) *normGradOp[T] {
	in := n.inputsWith(affine{gamma: n.gamma}, append(n.mask.inputSpecs(), inputSpec{name: "dy", rank: n.rank})...)
	o := &normGradOp[T]{base: newBase[T](n.describe("Grad"), 1, in...), norm: n, mem: memory[T]{reuse: n.reuse}}
	o.differentiable = differentiable[T]{n.kind(), o}
	return o
}

// InferShape returns the length of the packed gradients.
func (o *normGradOp[T]) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	x, err := shapeOf(o.label, in, 0)
	if err != nil {
		return nil, err
	}
	return tensor.Shape{x.TotalSize() + o.count()*o.n}, nil
}

// Do returns the packed gradients.
func (o *normGradOp[T]) Do(vs ...G.Value) (_ G.Value, err error) {
	defer guard(o, &err)
	x, gamma, dy, mask, err := o.values(vs)
	if err != nil {
		return nil, err
	}
	defer mask.release()
	out, packed := o.mem.tensor(len(x) + o.count()*o.n)
	dgamma, dbeta := affineParts(o.affine, packed[len(x):], o.n)
	o.how.backward(packed[:len(x)], dgamma, dbeta, x, mask.data, gamma, dy, vs[0].Shape())
	return out, nil
}

// values checks the inputs and returns them. The mask has to be released.
func (o *normGradOp[T]) values(vs []G.Value) (x, gamma, dy []T, mask lent[T], err error) {
	in, err := inputs[T](&o.base, vs)
	if err != nil {
		return nil, nil, nil, mask, err
	}
	last := len(vs) - 1
	x, dy = in[0], in[last]
	if err := o.check(o.label, vs[0].Shape()); err != nil {
		return nil, nil, nil, mask, err
	}
	if len(dy) != len(x) {
		return nil, nil, nil, mask, fault.New(fault.ErrValue, o.label, "dy has %d elements, want %d", len(dy), len(x))
	}
	gamma, _ = affineOf(affine{gamma: o.gamma}, in[1:])
	mask, err = flagsOf(o.label, o.mask, in[last-1], vs[0].Shape())
	return x, gamma, dy, mask, err
}

// gradient returns the gradient with respect to x, γ and dy.
func (o *normGradOp[T]) gradient() gradient { return secondOf[T](&o.base, o, o.reuse) }

// second returns the gradients of ⟨u, packed⟩ with respect to x, γ and dy.
func (o *normGradOp[T]) second(mem *memory[T], u []T, vs []G.Value) (*tensor.Dense, error) {
	x, gamma, dy, mask, err := o.values(vs)
	if err != nil {
		return nil, err
	}
	defer mask.release()
	n := len(x)
	if err := checkUpstream(o.label, u, n+o.count()*o.n); err != nil {
		return nil, err
	}
	ugamma, ubeta := affineParts(o.affine, u[n:], o.n)
	out, packed := mem.tensor(2*n + len(gamma))
	grads := secondParts(packed, n, len(gamma))
	args := kernel.SecondArgs[T]{X: x, Gamma: gamma, DY: dy, UX: u[:n], UGamma: ugamma, UBeta: ubeta}
	o.how.second(grads, args, mask.data, vs[0].Shape())
	return out, nil
}

var (
	_ G.SDOp = (*normOp[float32])(nil)
	_ G.ADOp = (*normOp[float32])(nil)
	_ G.SDOp = (*normGradOp[float32])(nil)
	_ G.ADOp = (*normGradOp[float32])(nil)
)
