package ops

import (
	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/internal/gemm"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	"gonum.org/v1/gonum/blas"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// linearGradOp is the gradient, of (x, v, g, dy), packed as
// [dx | dv | dg | db?]. With w = g·v/‖v‖,
//
//	dx = dy·w,  dw = dyᵀ·x,  db = Σ_rows dy
//
// and dv and dg follow from dw as in weight norm.
type linearGradOp[T dense.Float] struct {
	base
	linear
	differentiable[T]
	mem memory[T]
}

func newLinearGrad[T dense.Float](l linear) *linearGradOp[T] {
	b := newBase[T](l.describe("norm.WeightNormLinearGrad"), 1, append(l.inputSpecs(), inputSpec{name: "dy", rank: l.rank})...)
	o := &linearGradOp[T]{base: b, linear: l, mem: memory[T]{reuse: l.cfg.Reuse}}
	o.differentiable = differentiable[T]{"weightnormlinear", o}
	return o
}

// InferShape returns the length of the packed gradients.
func (o *linearGradOp[T]) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	n := 0
	for i := range 3 {
		s, err := shapeOf(o.label, in, i)
		if err != nil {
			return nil, err
		}
		n += s.TotalSize()
		if i == 1 && len(s) != 2 {
			return nil, fault.New(fault.ErrShape, o.label, "v is %v, want (out, in)", s)
		}
		if i == 1 && o.bias {
			n += s[0]
		}
	}
	return tensor.Shape{n}, nil
}

// Do returns the packed gradients.
func (o *linearGradOp[T]) Do(vs ...G.Value) (_ G.Value, err error) {
	defer guard(o, &err)
	in, s, view, err := o.values(vs)
	if err != nil {
		return nil, err
	}
	x, v, g, dy := in[0], in[1], in[2], in[3]
	out, packed := o.mem.tensor(o.packedLen(len(x), len(v), len(g), s.out))
	dx, dv, dg, db := linearParts(packed, len(x), len(v), len(g))

	norm := kernel.Borrow[float64](view.Channels)
	defer norm.Release()
	kernel.Norms(v, view, norm.Data)
	o.inputGrad(dx, v, g, dy, norm.Data, s)
	dw := dv
	gemm.Set(blas.Trans, blas.NoTrans, s.out, s.in, s.rows, dy, x, dw)
	kernel.WeightNormBwd(dv, dg, v, g, dw, view)
	if o.bias {
		kernel.ColumnSums(db, dy, s.rows, s.out)
	}
	return out, nil
}

// values checks the inputs (x, v, g, dy) and returns them.
func (o *linearGradOp[T]) values(vs []G.Value) (in [maxInputs][]T, s sizes, view kernel.View, err error) {
	if in, s, view, err = linearInputs[T](&o.base, &o.linear, vs); err != nil {
		return in, s, view, err
	}
	if n := len(in[3]); n != s.rows*s.out {
		return in, s, view, fault.New(fault.ErrValue, o.label, "dy has %d elements, want %d", n, s.rows*s.out)
	}
	return in, s, view, nil
}

// packedLen returns the length of [dx | dv | dg | db?].
func (l *linear) packedLen(x, v, g, out int) int {
	if !l.bias {
		out = 0
	}
	return x + v + g + out
}

// linearParts returns dx, dv, dg and the rest of a packed vector.
func linearParts[T dense.Float](packed []T, x, v, g int) (px, pv, pg, rest []T) {
	px, rest = packed[:x:x], packed[x:]
	pv, rest = rest[:v:v], rest[v:]
	return px, pv, rest[:g:g], rest[g:]
}

// inputGrad sets dx = dy·w. The scales of w are applied to the columns of dy for axis 0,
// and to the columns of the product otherwise.
func (o *linearGradOp[T]) inputGrad(dx, v, g, dy []T, norm []float64, s sizes) {
	cols := s.out
	if o.cfg.Axis != 0 {
		cols = s.in
	}
	scale := kernel.Borrow[float64](cols)
	defer scale.Release()
	kernel.ScalesOfNorms(scale.Data, g, norm)
	repeatFirst(scale.Data, len(norm))
	if o.cfg.Axis != 0 {
		gemm.Set(blas.NoTrans, blas.NoTrans, s.rows, s.in, s.out, dy, v, dx)
		kernel.ScaleColumns(dx, dx, s.rows, s.in, scale.Data, nil)
		return
	}
	scaled := kernel.Borrow[T](len(dy))
	defer scaled.Release()
	kernel.ScaleColumns(scaled.Data, dy, s.rows, s.out, scale.Data, nil)
	gemm.Set(blas.NoTrans, blas.NoTrans, s.rows, s.in, s.out, scaled.Data, v, dx)
}

// gradient returns the gradient with respect to x, v, g and dy.
func (o *linearGradOp[T]) gradient() gradient { return secondOf[T](&o.base, o, o.cfg.Reuse) }

// second returns the gradients of s = ⟨u, packed⟩ with respect to x, v, g and dy. With dw
// = dyᵀ·x, e = ∂s/∂dw from the second derivative of weight norm, and f = dyᵀ·ux, the
// gradient of ⟨ux, dy·w⟩ with respect to w,
//
//	∂s/∂x = dy·e,  ∂s/∂dy = ux·wᵀ + x·eᵀ + ub
//
// and f leads to the gradients of v and g as in weight norm.
func (o *linearGradOp[T]) second(mem *memory[T], u []T, vs []G.Value) (*tensor.Dense, error) {
	in, s, view, err := o.values(vs)
	if err != nil {
		return nil, err
	}
	x, v, g, dy := in[0], in[1], in[2], in[3]
	if err := checkUpstream(o.label, u, o.packedLen(len(x), len(v), len(g), s.out)); err != nil {
		return nil, err
	}
	ux, uv, ug, ub := linearParts(u, len(x), len(v), len(g))
	out, packed := mem.tensor(len(x) + len(v) + len(g) + len(dy))
	sx, sv, sg, sdy := linearParts(packed, len(x), len(v), len(g))

	weights := kernel.Borrow[T](3*len(v) + len(g))
	defer weights.Release()
	w, e, f, fg := linearParts(weights.Data, len(v), len(v), len(v))
	dw := f
	gemm.Set(blas.Trans, blas.NoTrans, s.out, s.in, s.rows, dy, x, dw)
	kernel.WeightNormSecond(
		kernel.WeightSecondGrads[T]{V: sv, G: sg, DW: e},
		kernel.WeightSecondArgs[T]{V: v, G: g, DW: dw, UV: uv, UG: ug}, view)
	gemm.Set(blas.NoTrans, blas.NoTrans, s.rows, s.in, s.out, dy, e, sx)

	kernel.WeightNormFwd(w, v, g, view)
	gemm.Set(blas.NoTrans, blas.Trans, s.rows, s.out, s.in, ux, w, sdy)
	gemm.Add(blas.NoTrans, blas.Trans, s.rows, s.out, s.in, x, e, sdy)
	if o.bias {
		kernel.ScaleColumns(sdy, sdy, s.rows, s.out, nil, ub)
	}

	gemm.Set(blas.Trans, blas.NoTrans, s.out, s.in, s.rows, dy, ux, f)
	kernel.WeightNormBwd(f, fg, v, g, f, view)
	kernel.Accumulate(sv, f)
	kernel.Accumulate(sg, fg)
	return out, nil
}

var (
	_ G.SDOp = (*linearGradOp[float32])(nil)
	_ G.ADOp = (*linearGradOp[float32])(nil)
)
