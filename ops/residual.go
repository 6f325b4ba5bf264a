package ops

import (
	"fmt"
	"slices"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// AddLayerNorm is a residual connection and the layer norm after it, as one op:
//
//	sum = x + r,  y = LayerNorm(sum)
//
// It also returns the sum, for the next residual connection. The sum is normalized while
// it is in the processor's cache.
//
// Shapes and dtypes: r and sum are as x. Everything else, and the errors, are as for
// LayerNorm.
func AddLayerNorm(x, r, gamma, beta *G.Node, shape tensor.Shape, cfg LayerNormConfig) (y, sum *G.Node, err error) {
	const name = "addlayernorm"
	dt, aff, err := checkResidual(name, x, r, gamma, beta, shape, cfg.Eps)
	if err != nil {
		return nil, nil, err
	}
	if dt == tensor.Float32 {
		return applyResidual(name, newLayerNorm[float32](x.Dims(), shape, aff, cfg), x, r, gamma, beta)
	}
	return applyResidual(name, newLayerNorm[float64](x.Dims(), shape, aff, cfg), x, r, gamma, beta)
}

// AddRMSNorm is a residual connection and the RMS norm after it, as one op:
//
//	sum = x + r,  y = RMSNorm(sum)
//
// See AddLayerNorm. Shapes and dtypes: r and sum are as x. Everything else, and the
// errors, are as for RMSNorm.
func AddRMSNorm(x, r, gamma, beta *G.Node, shape tensor.Shape, cfg RMSNormConfig) (y, sum *G.Node, err error) {
	const name = "addrmsnorm"
	dt, aff, err := checkResidual(name, x, r, gamma, beta, shape, cfg.Eps)
	if err != nil {
		return nil, nil, err
	}
	if err := cfg.check(name, gamma != nil); err != nil {
		return nil, nil, err
	}
	if dt == tensor.Float32 {
		return applyResidual(name, newRMSNorm[float32](x.Dims(), shape, aff, cfg), x, r, gamma, beta)
	}
	return applyResidual(name, newRMSNorm[float64](x.Dims(), shape, aff, cfg), x, r, gamma, beta)
}

func checkResidual(name string, x, r, gamma, beta *G.Node, shape tensor.Shape, eps float64) (tensor.Dtype, affine, error) {
	in, aff := affineArgs(x, gamma, beta)
	dt, err := checkRows(name, in, shape, eps)
	if err != nil {
		return dt, aff, err
	}
	return dt, aff, checkOther(name, in[0], arg{"r", r})
}

// checkOther checks that other has the shape and dtype of x.
func checkOther(name string, x, other arg) error {
	if _, err := checkArgs(name, []arg{x, other}); err != nil {
		return err
	}
	return checkShape(name, other, x.node.Shape())
}

func applyResidual[T dense.Float](name string, of *normOp[T], x, r, gamma, beta *G.Node) (y, sum *G.Node, err error) {
	in, _ := affineArgs(x, gamma, beta)
	packed, err := apply(name, newAddNorm(of.norm, x.Shape()), slices.Insert(nodes(in), 1, r)...)
	if err != nil {
		return nil, nil, err
	}
	if sum, err = apply(name, newSum(name, of.norm, x.Shape()), x, r, packed); err != nil {
		return nil, nil, err
	}
	in[0].node = sum
	y, err = apply(name, newNormOfSum(of, x.Shape()), append(nodes(in), packed)...)
	return y, sum, err
}

// addNormOp computes both results of (x, r, γ?, β?) in one pass, as [y | sum]. It has no
// gradient: the ops of newSum and newNormOfSum take its result apart, and have the
// gradients of x, r, γ and β.
type addNormOp[T dense.Float] struct {
	base
	noGradient
	norm[T]
	mem memory[T]
}

func newAddNorm[T dense.Float](n norm[T], shape tensor.Shape) *addNormOp[T] {
	size := shape.TotalSize()
	in := slices.Insert(n.inputsWith(n.affine), 1, inputSpec{name: "r", rank: n.rank, size: size})
	in[0].size = size
	n.name = "Add" + n.name
	return &addNormOp[T]{newBase[T](n.describe(""), 1, constants(in)...), noGradient{}, n, memory[T]{reuse: n.reuse}}
}

// IsPart is for opname.
func (o *addNormOp[T]) IsPart() bool { return true }

// InferShape returns twice the size of x.
func (o *addNormOp[T]) InferShape(...G.DimSizer) (tensor.Shape, error) {
	return tensor.Shape{2 * o.inputs[0].size}, nil
}

// Do returns [y | sum].
func (o *addNormOp[T]) Do(vs ...G.Value) (_ G.Value, err error) {
	defer guard(o, &err)
	in, err := inputs[T](&o.base, vs)
	if err != nil {
		return nil, err
	}
	x, r := in[0], in[1]
	gamma, beta := affineOf(o.affine, in[2:])
	out, packed := o.mem.tensor(2 * len(x))
	o.how.(residual[T]).add(packed[:len(x)], packed[len(x):], x, r, gamma, beta)
	return out, nil
}

// residual is a normalizer that can also add.
type residual[T dense.Float] interface {
	add(y, sum, x, r, gamma, beta []T)
}

func (r rowNorm[T]) add(y, sum, x, other, gamma, beta []T) {
	kernel.AddNormFwd(y, sum, x, other, gamma, beta, r.of(x))
}

func (p plusOne[T]) add(y, sum, x, r, gamma, beta []T) {
	scale := scaleOf(gamma, true)
	defer scale.release()
	p.normalizer.(residual[T]).add(y, sum, x, r, scale.data, beta)
}

// fusedOp is an op whose result has been computed together with others, and is a piece of
// their packed vector, its last input. It has the derivatives of the op with respect to
// its other inputs.
type fusedOp[T dense.Float] struct {
	base
	piece[T]
	derivatives
}

// newSum returns the sum as an op of (x, r, packed).
func newSum[T dense.Float](kind string, n norm[T], shape tensor.Shape) *fusedOp[T] {
	size := shape.TotalSize()
	n.name = "Add" + n.name + "Sum"
	term := func(name string) inputSpec { return inputSpec{name: name, rank: n.rank, size: size} }
	b := newBase[T](n.describe(""), n.rank, term("x"), term("r"), packedSum(size))
	p := piece[T]{size, shape.Clone(), memory[T]{reuse: n.reuse}}
	return &fusedOp[T]{b, p, sumOf[T]{kind, n.reuse}}
}

// newNormOfSum returns the norm as an op of (sum, γ?, β?, packed).
func newNormOfSum[T dense.Float](of *normOp[T], shape tensor.Shape) *fusedOp[T] {
	size := shape.TotalSize()
	n := of.norm
	n.name += "OfSum"
	in := n.inputsWith(n.affine, packedSum(size))
	in[0].name, in[0].size = "sum", size
	b := newBase[T](n.describe(""), n.rank, in...)
	p := piece[T]{0, shape.Clone(), memory[T]{reuse: n.reuse}}
	return &fusedOp[T]{b, p, of}
}

// packedSum is the vector [y | sum], of tensors of one size.
func packedSum(size int) inputSpec {
	return inputSpec{name: packedVector, rank: 1, size: 2 * size, kind: constant}
}

// Do returns the result.
func (o *fusedOp[T]) Do(vs ...G.Value) (_ G.Value, err error) {
	defer guard(o, &err)
	in, err := inputs[T](&o.base, vs)
	if err != nil {
		return nil, err
	}
	return o.take(in[len(vs)-1]), nil
}

// SymDiff returns the gradients of the op.
func (o *fusedOp[T]) SymDiff(in G.Nodes, out, u *G.Node) (G.Nodes, error) {
	grads, err := o.derivatives.SymDiff(in[:len(in)-1], out, u)
	return append(grads, nil), err
}

// DoDiff adds to the gradients of the inputs of the op.
func (o *fusedOp[T]) DoDiff(ctx G.ExecutionContext, in G.Nodes, out *G.Node) (err error) {
	defer guard(o, &err)
	return o.derivatives.DoDiff(ctx, in[:len(in)-1], out)
}

// sumOf has the derivatives of a sum of tensors.
type sumOf[T dense.Float] struct {
	kind  string // for errors
	reuse bool
}

// SymDiff returns the gradient of the sum for each term. A solver clears the gradient of
// a parameter after using it, so a term that may be a parameter gets a node of its own.
func (s sumOf[T]) SymDiff(in G.Nodes, _, u *G.Node) (_ G.Nodes, err error) {
	grads := slices.Repeat(G.Nodes{u}, len(in))
	for i, term := range in {
		if term.Op() != nil {
			continue
		}
		of := fmt.Sprintf(", gradient of %d", term.ID())
		if grads[i], err = apply(s.kind, newReshape[T](u.Shape(), u.Shape(), of, s.reuse), u); err != nil {
			return nil, err
		}
	}
	return grads, nil
}

// DoDiff adds the gradient of the sum to those of its terms.
func (s sumOf[T]) DoDiff(_ G.ExecutionContext, in G.Nodes, out *G.Node) error {
	v, err := gradOf(s.kind, out)
	if err != nil {
		return err
	}
	u, err := dense.Elements[T](s.kind, "the gradient", v)
	if err != nil {
		return err
	}
	for _, n := range in {
		if err := addTo(s.kind, n, u); err != nil {
			return err
		}
	}
	return nil
}

var (
	_ G.SDOp = (*addNormOp[float32])(nil)
	_ G.ADOp = (*addNormOp[float32])(nil)
	_ G.SDOp = (*fusedOp[float32])(nil)
	_ G.ADOp = (*fusedOp[float32])(nil)
)
