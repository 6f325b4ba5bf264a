package ops

import (
	"fmt"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// piece is a tensor that is stored in a packed vector.
type piece[T dense.Float] struct {
	at    int
	shape tensor.Shape
	mem   memory[T]
}

// packedVector is what errors call the vector.
const packedVector = "the packed vector"

// copyBelow is the size up to which a piece is copied. A larger piece shares the packed
// memory, of which nobody else reads that part.
const copyBelow = 1 << 12

// end returns the index after the piece.
func (p *piece[T]) end() int { return p.at + p.shape.TotalSize() }

// take returns the piece as a tensor.
func (p *piece[T]) take(packed []T) *tensor.Dense {
	data := packed[p.at:p.end():p.end()]
	if len(data) > copyBelow {
		return dense.New(p.shape, data)
	}
	out, to := p.mem.tensor(p.shape...)
	copy(to, data)
	return out
}

// InferShape returns the shape of the piece.
func (p *piece[T]) InferShape(...G.DimSizer) (tensor.Shape, error) { return p.shape.Clone(), nil }

// partOp takes a tensor out of a packed vector.
type partOp[T dense.Float] struct {
	base
	piece[T]
	of string // the op whose gradients are packed
}

func newPart[T dense.Float](of string, at int, shape tensor.Shape, reuse bool) *partOp[T] {
	label := fmt.Sprintf("norm.Part(of=%s, at=%d, shape=%v, reuse=%v)", of, at, shape, reuse)
	return &partOp[T]{newBase[T](label, len(shape), inputSpec{name: packedVector, rank: 1}), piece[T]{at, shape, memory[T]{reuse: reuse}}, of}
}

// Do returns the part.
func (o *partOp[T]) Do(vs ...G.Value) (_ G.Value, err error) {
	defer guard(o, &err)
	in, err := inputs[T](&o.base, vs)
	if err != nil {
		return nil, err
	}
	if len(in[0]) < o.end() {
		return nil, fault.New(fault.ErrValue, o.label, "%s has %d elements, want at least %d", packedVector, len(in[0]), o.end())
	}
	return o.take(in[0]), nil
}

// SymDiff returns the gradient of the packed vector.
func (o *partOp[T]) SymDiff(in G.Nodes, _, u *G.Node) (G.Nodes, error) {
	place, err := apply(o.of, newPlace[T](o.of, o.at, o.shape, in[0].Shape().TotalSize(), o.mem.reuse), u)
	return G.Nodes{place}, err
}

// DoDiff adds to the gradient of the packed vector.
func (o *partOp[T]) DoDiff(_ G.ExecutionContext, in G.Nodes, out *G.Node) (err error) {
	defer guard(o, &err)
	return doDiff[T](gradient{op: newPlace[T](o.of, o.at, o.shape, in[0].Shape().TotalSize(), false), wrt: []int{0}}, in, out)
}

// placeOp is the derivative of partOp: a vector of zeros, with a tensor at its place. The
// vector is a gradient of packed gradients, so the op is of the second order.
type placeOp[T dense.Float] struct {
	lastOrder
	at     int
	shape  tensor.Shape
	length int
	mem    memory[T]
}

func newPlace[T dense.Float](of string, at int, shape tensor.Shape, length int, reuse bool) *placeOp[T] {
	label := fmt.Sprintf("norm.Place(of=%s, at=%d, shape=%v, length=%d, reuse=%v)", of, at, shape, length, reuse)
	b := newBase[T](label, 1, inputSpec{name: "part", rank: len(shape), size: shape.TotalSize()})
	return &placeOp[T]{lastOrder{b}, at, shape, length, memory[T]{reuse: reuse}}
}

// InferShape returns the length of the packed vector.
func (o *placeOp[T]) InferShape(...G.DimSizer) (tensor.Shape, error) {
	return tensor.Shape{o.length}, nil
}

// Do returns the packed vector.
func (o *placeOp[T]) Do(vs ...G.Value) (_ G.Value, err error) {
	defer guard(o, &err)
	in, err := inputs[T](&o.base, vs)
	if err != nil {
		return nil, err
	}
	out, packed := o.mem.tensor(o.length)
	clear(packed[:o.at])
	kernel.Copy(packed[o.at:], in[0])
	clear(packed[o.at+len(in[0]):])
	return out, nil
}

var (
	_ G.SDOp = (*partOp[float32])(nil)
	_ G.ADOp = (*partOp[float32])(nil)
	_ G.SDOp = (*placeOp[float32])(nil)
	_ G.ADOp = (*placeOp[float32])(nil)
)
