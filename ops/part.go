package ops

import (
	"fmt"
	"strings"

	"github.com/chewxy/hm"
	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// partOp takes a tensor out of another, in which it lies in one piece: out of a
// packed vector, mostly.
type partOp[T dense.Float] struct {
	base
	of    string // the op whose gradients are packed
	rank  int    // of the other
	at    int
	shape tensor.Shape
	copy  bool // whatever its size: others may read that piece
	mem   memory[T]
}

// copyBelow is the size up to which a part is copied. A larger part is a header
// on the packed memory: nobody else reads that piece of it.
const copyBelow = 1 << 12

func newPart[T dense.Float](of string, at int, shape tensor.Shape, reuse bool) *partOp[T] {
	label := fmt.Sprintf("norm.Part(of=%s, at=%d, shape=%v, reuse=%v)", of, at, shape, reuse)
	return &partOp[T]{base{label, []int{anySize}}, of, 1, at, shape, false, memory[T]{reuse: reuse}}
}

// newCopiedPart is newPart of a tensor of some rank that others may read as well.
func newCopiedPart[T dense.Float](of string, rank, at int, shape tensor.Shape, reuse bool) *partOp[T] {
	o := newPart[T](of, at, shape, reuse)
	o.rank, o.copy, o.label = rank, true, strings.Replace(o.label, "Part(", "CopiedPart(", 1)
	return o
}

// Type is (whole) -> part.
func (o *partOp[T]) Type() hm.Type { return fnType[T](o.rank, len(o.shape)) }

// InferShape returns the shape of the part.
func (o *partOp[T]) InferShape(...G.DimSizer) (tensor.Shape, error) { return o.shape.Clone(), nil }

// Do returns the part.
func (o *partOp[T]) Do(vs ...G.Value) (_ G.Value, err error) {
	defer guard(o, &err)
	in, err := inputs[T](&o.base, vs)
	if err != nil {
		return nil, err
	}
	to := o.at + o.shape.TotalSize()
	if to > len(in[0]) {
		return nil, fault.New(fault.ErrValue, o.label, "the whole has %d elements, want at least %d", len(in[0]), to)
	}
	if o.copy {
		return o.mem.copied(in[0][o.at:to], o.shape), nil
	}
	return o.mem.part(in[0][o.at:to:to], o.shape), nil
}

// part returns a tensor of a part of a vector that nobody else reads.
func (m *memory[T]) part(part []T, shape tensor.Shape) *tensor.Dense {
	if len(part) > copyBelow {
		return dense.New(shape, part)
	}
	return m.copied(part, shape)
}

func (m *memory[T]) copied(data []T, shape tensor.Shape) *tensor.Dense {
	out, to := m.tensor(shape...)
	copy(to, data)
	return out
}

// DiffWRT is true.
func (o *partOp[T]) DiffWRT(int) []bool { return []bool{true} }

// SymDiff returns the gradient of the whole.
func (o *partOp[T]) SymDiff(in G.Nodes, _, u *G.Node) (G.Nodes, error) {
	place, err := apply(o.of, newPlace[T](o.of, o.at, o.shape, in[0].Shape(), o.mem.reuse), u)
	return G.Nodes{place}, err
}

// DoDiff adds to the gradient of the whole.
func (o *partOp[T]) DoDiff(_ G.ExecutionContext, in G.Nodes, out *G.Node) (err error) {
	defer guard(o, &err)
	return doDiff[T](gradient{op: newPlace[T](o.of, o.at, o.shape, in[0].Shape(), false), wrt: []int{0}}, in, out)
}

// placeOp is the derivative of partOp, and partOp its: a tensor of zeros with another in
// its place.
type placeOp[T dense.Float] struct {
	base
	of    string
	at    int
	shape tensor.Shape
	whole tensor.Shape
	mem   memory[T]
}

func newPlace[T dense.Float](of string, at int, shape, whole tensor.Shape, reuse bool) *placeOp[T] {
	whole = whole.Clone()
	label := fmt.Sprintf("norm.Place(of=%s, at=%d, shape=%v, whole=%v, reuse=%v)", of, at, shape, whole, reuse)
	return &placeOp[T]{base{label, []int{shape.TotalSize()}}, of, at, shape, whole, memory[T]{reuse: reuse}}
}

// Type is (part) -> whole.
func (o *placeOp[T]) Type() hm.Type { return fnType[T](len(o.shape), len(o.whole)) }

// InferShape returns the shape of the whole.
func (o *placeOp[T]) InferShape(...G.DimSizer) (tensor.Shape, error) { return o.whole.Clone(), nil }

// Do returns the whole.
func (o *placeOp[T]) Do(vs ...G.Value) (_ G.Value, err error) {
	defer guard(o, &err)
	in, err := inputs[T](&o.base, vs)
	if err != nil {
		return nil, err
	}
	out, data := o.mem.tensor(o.whole...)
	clear(data[:o.at])
	copy(data[o.at:], in[0])
	clear(data[o.at+len(in[0]):])
	return out, nil
}

// DiffWRT is true.
func (o *placeOp[T]) DiffWRT(int) []bool { return []bool{true} }

// SymDiff returns the gradient of the part.
func (o *placeOp[T]) SymDiff(_ G.Nodes, _, u *G.Node) (G.Nodes, error) {
	part, err := apply(o.of, newCopiedPart[T](o.of, len(o.whole), o.at, o.shape, o.mem.reuse), u)
	return G.Nodes{part}, err
}

// DoDiff adds to the gradient of the part.
func (o *placeOp[T]) DoDiff(_ G.ExecutionContext, in G.Nodes, out *G.Node) (err error) {
	defer guard(o, &err)
	return doDiff[T](gradient{op: newCopiedPart[T](o.of, len(o.whole), o.at, o.shape, false), wrt: []int{0}}, in, out)
}

var (
	_ G.SDOp = (*partOp[float32])(nil)
	_ G.ADOp = (*partOp[float32])(nil)
	_ G.SDOp = (*placeOp[float32])(nil)
	_ G.ADOp = (*placeOp[float32])(nil)
)
