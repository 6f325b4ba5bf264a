package norm

import (
	"slices"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/nlpodyssey/safetensors"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Param is a node of your own as an entry of a state: a weight, a bias, any input node
// with a value in float32 or float64. name is that in the file, as in "fc1.weight"; ""
// stands for the node's own name. Options: Transposed, Reshaped.
//
// Errors come from Save and Load: ErrGraph for a node that is nil or not an input, such
// as the result of an op; ErrName without a name; ErrValue for a node without a value in
// float32 or float64; ErrShape or ErrOption for an option that does not fit.
func Param(name string, n *G.Node, opts ...ParamOption) Stateful {
	p := &param{name: name, node: n}
	for _, o := range opts {
		if o != nil {
			o(p)
		}
	}
	return p
}

// ParamOption is an option of Param, for an entry whose shape differs from that of the
// node.
type ParamOption func(*param)

// Transposed is for a matrix that the file has transposed. The weight of a PyTorch linear
// layer is (out, in): a node (in, out) needs this option, and a node (out, in) does not.
func Transposed() ParamOption { return func(p *param) { p.transposed = true } }

// Reshaped is for a node that has another shape in the file, with the same elements in
// row-major order. shape is that in the file: Reshaped(out) is for a PyTorch bias (out)
// and a node (1, out). Without arguments the file has a scalar.
func Reshaped(shape ...int) ParamOption {
	return func(p *param) { p.reshaped, p.shape = true, slices.Clone(shape) }
}

type param struct {
	name       string
	node       *G.Node
	transposed bool
	reshaped   bool
	shape      tensor.Shape // in the file, if reshaped
}

// unnamed is what Gorgonia prints as the name of an input that has none.
const unnamed = "%!s(<nil>)()"

func (p *param) part() ([]part, error) {
	const kind = "param"
	switch {
	case p.node == nil:
		return nil, fault.New(ErrGraph, kind, "the node of %q is nil, want an input", p.name)
	case p.name == "" && p.node.Name() == unnamed:
		return nil, fault.New(ErrName, kind, "neither the entry nor its node has a name, want one")
	}
	name := p.name
	if name == "" {
		name = p.node.Name()
	}
	switch {
	case !p.node.IsVar():
		return nil, fault.New(ErrGraph, kind, "%s is the result of an op or a constant, want an input", name)
	case name == "__metadata__":
		return nil, fault.New(ErrName, kind, "the format has %q for itself, want another name", name)
	}
	e, err := newParameter(kind, name, p.node, p.transposed)
	if err != nil {
		return nil, err
	}
	e.names, e.own = []string{name}, !p.transposed && !p.reshaped
	shape := p.node.Shape()
	switch {
	case p.transposed && p.reshaped:
		return nil, fault.New(ErrOption, kind, "%s is transposed and reshaped, want one of them", name)
	case p.transposed && len(shape) != 2:
		return nil, fault.New(ErrShape, kind, "%s is %v, want a matrix to transpose", name, shape)
	case p.transposed:
		slices.Reverse(e.shape)
	case p.reshaped:
		if slices.ContainsFunc(p.shape, func(s int) bool { return s < 1 }) || p.shape.TotalSize() != shape.TotalSize() {
			return nil, fault.New(ErrShape, kind, "%s is %v, want a shape of as many elements as %v", name, shape, p.shape)
		}
		e.shape = sizes(p.shape)
	}
	return []part{{entries: []*entry{e}}}, nil
}

// newParameter returns the entry of a node, still without names. who and name are for
// errors.
func newParameter(who, name string, n *G.Node, transposed bool) (*entry, error) {
	e := &entry{shape: sizes(n.Shape())}
	var err error
	switch v := n.Value().(type) {
	case *G.F32:
		e.dtype, e.cells = safetensors.F32, scalar[float32]{(*float32)(v)}
	case *G.F64:
		e.dtype, e.cells = safetensors.F64, scalar[float64]{(*float64)(v)}
	default:
		switch {
		case v != nil && v.Dtype() == tensor.Float32:
			e.dtype = safetensors.F32
			e.cells, err = newElements[float32](who, name, n, transposed)
		case v != nil && v.Dtype() != tensor.Float64:
			err = fault.New(ErrValue, who, "%s holds %v, want float32 or float64", name, v.Dtype())
		default:
			e.dtype = safetensors.F64
			e.cells, err = newElements[float64](who, name, n, transposed)
		}
	}
	return e, err
}

// sizes returns a shape as files have it.
func sizes(shape tensor.Shape) []uint64 {
	s := make([]uint64, len(shape))
	for i, n := range shape {
		s[i] = uint64(n)
	}
	return s
}

// elements are the cells of a tensor.
type elements[T dense.Float] struct {
	tensor     *tensor.Dense
	transposed bool
}

func newElements[T dense.Float](who, name string, n *G.Node, transposed bool) (cells, error) {
	d, err := dense.Check[T](who, name, n.Value())
	if err != nil {
		return nil, err
	}
	if !slices.Equal(d.Shape(), n.Shape()) && !isVector(d, n) {
		return nil, fault.New(ErrValue, who, "%s holds %v, want %v", name, d.Shape(), n.Shape())
	}
	return elements[T]{d, transposed}, nil
}

func (e elements[T]) read(f func(float64)) {
	dense.Walk(e.tensor, e.transposed, func(x *T) { f(float64(*x)) })
}

func (e elements[T]) write(next func() float64) {
	dense.Walk(e.tensor, e.transposed, func(x *T) { *x = T(next()) })
}

// scalar is the cell of a scalar node.
type scalar[T dense.Float] struct{ at *T }

func (s scalar[T]) read(f func(float64))      { f(float64(*s.at)) }
func (s scalar[T]) write(next func() float64) { *s.at = T(next()) }
