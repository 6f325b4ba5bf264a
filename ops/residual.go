package ops

import (
	"slices"

	"github.com/chewxy/hm"
	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// AddLayerNorm is a residual connection and the layer norm after it, as one op:
//
//	sum = x + r,  y = LayerNorm(sum)
//
// It also returns the sum, for the next residual connection. The sum is normalized
// while it is in the cache.
//
// Shapes and dtypes: r and sum are as x; the rest, and the errors, as LayerNorm.
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
// See AddLayerNorm. Shapes and dtypes: r and sum are as x; the rest, and the
// errors, as RMSNorm.
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

// checkOther checks that there is another like x.
func checkOther(name string, x, other arg) error {
	if _, err := checkArgs(name, []arg{x, other}); err != nil {
		return err
	}
	return checkShape(name, other, x.node.Shape())
}

func applyResidual[T dense.Float](name string, of *normOp[T], x, r, gamma, beta *G.Node) (y, sum *G.Node, err error) {
	in, _ := affineArgs(x, gamma, beta)
	packed, err := apply(name, newAddNorm(name, of.norm, x.Shape()), slices.Insert(nodes(in), 1, r)...)
	if err != nil {
		return nil, nil, err
	}
	if y, err = apply(name, newPart[T](name, 0, x.Shape(), of.reuse), packed); err != nil {
		return nil, nil, err
	}
	sum, err = apply(name, newPart[T](name, x.Shape().TotalSize(), x.Shape(), of.reuse), packed)
	return y, sum, err
}

// addNormOp is the op, of (x, r, γ?, β?), with the result [y | sum].
type addNormOp[T dense.Float] struct {
	base
	norm[T]
	kind  string // for errors
	shape tensor.Shape
	mem   memory[T]
}

func newAddNorm[T dense.Float](kind string, n norm[T], shape tensor.Shape) *addNormOp[T] {
	size := shape.TotalSize()
	sizes := slices.Insert(n.inputSizes(n.n), 1, size)
	sizes[0] = size
	n.name = "Add" + n.name
	return &addNormOp[T]{base{n.describe(""), sizes}, n, kind, shape.Clone(), memory[T]{reuse: n.reuse}}
}

// String is that of base, not of the normalizer.
func (o *addNormOp[T]) String() string { return o.base.String() }

// Type is (x, r, γ?, β?) -> [y | sum].
func (o *addNormOp[T]) Type() hm.Type {
	ranks := []int{o.rank, o.rank}
	for range o.count() {
		ranks = append(ranks, len(o.params))
	}
	return fnType[T](append(ranks, 1)...)
}

// InferShape returns twice the size of x.
func (o *addNormOp[T]) InferShape(...G.DimSizer) (tensor.Shape, error) {
	return tensor.Shape{2 * o.sizes[0]}, nil
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
	o.normalizer.(residual[T]).add(packed[:len(x)], packed[len(x):], x, r, gamma, beta)
	return out, nil
}

// residual is a normalizer that can add first.
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

// DiffWRT is true for every input.
func (o *addNormOp[T]) DiffWRT(inputs int) []bool { return slices.Repeat([]bool{true}, inputs) }

// of is the norm of the sum.
func (o *addNormOp[T]) of() *normOp[T] {
	return newNorm(o.kind, o.normalizer, o.affine, o.rank, o.params, o.reuse)
}

// SymDiff returns the gradients: those of the norm at the sum, where that of the
// sum adds to both of its terms.
func (o *addNormOp[T]) SymDiff(in G.Nodes, out, u *G.Node) (G.Nodes, error) {
	var parts [3]*G.Node
	for i, p := range []struct {
		part *partOp[T]
		of   *G.Node
	}{
		{newPart[T](o.kind, o.sizes[0], o.shape, o.reuse), out}, // the sum, as the caller has it
		{newCopiedPart[T](o.kind, 0, o.shape, o.reuse), u},
		{newCopiedPart[T](o.kind, o.sizes[0], o.shape, o.reuse), u},
	} {
		var err error
		if parts[i], err = apply(o.kind, p.part, p.of); err != nil {
			return nil, err
		}
	}
	sum, dy, dsum := parts[0], parts[1], parts[2]
	norm := o.of()
	grads, err := norm.SymDiff(append(G.Nodes{sum}, in[2:]...), nil, dy)
	if err != nil {
		return nil, err
	}
	dx, err := G.Add(grads[0], dsum)
	if err != nil {
		return nil, err
	}
	dr := dx
	if in[0].Op() == nil && in[1].Op() == nil {
		// Two parameters: a solver clears the gradient of the first when it has used it.
		if dr, err = G.Add(dsum, grads[0]); err != nil { // in this order it is a node of its own
			return nil, err
		}
	}
	return append(G.Nodes{dx, dr}, grads[1:]...), nil
}

// DoDiff adds to the gradients of x, r, γ and β.
func (o *addNormOp[T]) DoDiff(_ G.ExecutionContext, in G.Nodes, out *G.Node) (err error) {
	defer guard(o, &err)
	n := o.sizes[0]
	values := make([]G.Value, 0, maxInputs)
	packed, err := dense.Elements[T](o.label, "the result", out.Value())
	if err != nil {
		return err
	}
	grad, err := out.Grad()
	if err != nil {
		return err
	}
	u, err := dense.Elements[T](o.label, "the gradient", grad)
	if err != nil {
		return err
	}
	values = append(values, dense.New(o.shape, packed[n:]))
	if o.gamma {
		values = append(values, in[2].Value())
	}
	v, err := newNormGrad(o.of().norm).Do(append(values, dense.New(o.shape, u[:n]))...)
	if err != nil {
		return err
	}
	grads, err := dense.Elements[T](o.label, "the gradient", v)
	if err != nil {
		return err
	}
	kernel.Accumulate(grads[:n], u[n:])
	return o.spread(in, grads)
}

// spread adds [dx | dγ? | dβ?] to the gradients of the inputs, dx to two.
func (o *addNormOp[T]) spread(in G.Nodes, grads []T) error {
	n := o.sizes[0]
	parts := [][]T{grads[:n], grads[:n]}
	for at := n; at < len(grads); at += o.n {
		parts = append(parts, grads[at:at+o.n])
	}
	for i, part := range parts {
		d, err := in[i].Grad()
		if err != nil {
			return err
		}
		if err := addTo(o.label, d, part); err != nil {
			return err
		}
	}
	return nil
}

var (
	_ G.SDOp = (*addNormOp[float32])(nil)
	_ G.ADOp = (*addNormOp[float32])(nil)
)
