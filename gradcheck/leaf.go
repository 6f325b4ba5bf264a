package gradcheck

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gorgonorm/norm/internal/dense"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// leaf is a node without an op, with its value at the point of the check.
type leaf struct {
	node  *G.Node
	name  string
	shape tensor.Shape
	base  *tensor.Dense // the value, never handed to a machine
	at    []int         // position in base's raw data of each element, in row-major order
	x     []float64     // the elements, in row-major order
}

// step moves one element of a leaf by some multiple of by.
type step struct {
	at int
	by float64
}

// newLeaf checks a value and copies it.
func newLeaf(name string, v *tensor.Dense) (*leaf, error) {
	switch {
	case v == nil:
		return nil, fmt.Errorf("gradcheck: %s: the value is nil, want a tensor", name)
	case v.Dtype() != tensor.Float64:
		return nil, fmt.Errorf("gradcheck: %s is %v, want float64", name, v.Dtype())
	case v.Shape().TotalSize() == 0:
		return nil, fmt.Errorf("gradcheck: %s has shape %v, want no empty axis", name, v.Shape())
	case v.Dims() > 0 && v.IsMasked():
		return nil, fmt.Errorf("gradcheck: %s is masked, want a tensor without mask", name)
	case !v.IsNativelyAccessible():
		return nil, fmt.Errorf("gradcheck: %s is not in Go's memory, want a tensor that is", name)
	}
	l := &leaf{name: name, shape: v.Shape().Clone()}
	var err error
	if l.at, err = offsets(v); err != nil {
		return nil, fmt.Errorf("gradcheck: %s: %w", name, err)
	}
	if l.x, err = floats(v); err != nil {
		return nil, fmt.Errorf("gradcheck: %s: %w", name, err)
	}
	if i := notFinite(l.x); i >= 0 {
		return nil, fmt.Errorf("gradcheck: %s is %v, want a finite number", element(name, unravel(i, l.shape)), l.x[i])
	}
	l.base, err = copyLayout(v)
	if err != nil {
		return nil, fmt.Errorf("gradcheck: %s: %w", name, err)
	}
	return l, nil
}

// createdLeaf makes a leaf of a node that the function has put into the graph, or returns
// nil for a kind of node that has no gradient to check.
func createdLeaf(n *G.Node) (*leaf, error) {
	if n.Value() == nil {
		return nil, fmt.Errorf("gradcheck: leaf %q has no value, want one", n.Name())
	}
	v, ok := n.Value().(*tensor.Dense)
	if !ok || v.Dims() == 0 || v.Dtype() != tensor.Float64 {
		return nil, nil
	}
	l, err := newLeaf(n.Name(), v)
	if err != nil {
		return nil, err
	}
	l.node = n
	return l, nil
}

// bind gives the node a new copy of the value, moved by t times the steps. It is new each
// time because built-in ops may write into the memory of an input, or change its shape
// and strides.
func (l *leaf) bind(steps []step, t float64) error {
	if len(l.shape) == 0 {
		v := l.x[0]
		for _, s := range steps {
			v += t * s.by
		}
		return G.Let(l.node, G.NewF64(v))
	}
	v, err := copyLayout(l.base)
	if err != nil {
		return fmt.Errorf("gradcheck: %s: %w", l.name, err)
	}
	data := v.Data().([]float64)
	for _, s := range steps {
		data[l.at[s.at]] += t * s.by
	}
	return G.Let(l.node, v)
}

// copyLayout copies a tensor so that shape, strides, flags, the state of a lazy
// transposition and the gaps in the data of a view all stay as they are. Dense.Clone does
// not: it marks a view as none, and forgets the axes of a lazy transposition, on which a
// later Reshape relies.
func copyLayout(t *tensor.Dense) (*tensor.Dense, error) {
	if t.Dims() == 0 {
		return tensor.New(tensor.FromScalar(t.ScalarValue()), tensor.WithEngine(t.Engine())), nil
	}
	data := slices.Clone(t.Data().([]float64))
	c := tensor.New(tensor.WithShape(len(data)), tensor.WithBacking(data), tensor.WithEngine(t.Engine()))
	if t.IsView() {
		view, err := c.Slice(nil)
		if err != nil {
			return nil, err
		}
		c = view.(*tensor.Dense)
	}
	twin := t.Clone().(*tensor.Dense)
	twin.UT()
	c.AP = twin.AP.Clone()
	if !sameAccess(t, c) {
		if err := c.T(transposition(twin, t)...); err != nil {
			return nil, err
		}
	}
	if !sameAccess(t, c) {
		return nil, fmt.Errorf("the layout with shape %v and strides %v is not supported", t.Shape(), t.Strides())
	}
	return c, nil
}

func sameAccess(a, b *tensor.Dense) bool {
	return a.Shape().Eq(b.Shape()) && slices.Equal(a.Strides(), b.Strides())
}

// transposition returns the axes by which T turns the layout of from into that of to.
func transposition(from, to *tensor.Dense) []int {
	if from.Dims() == 2 {
		return []int{1, 0} // T gives row and column vectors new strides
	}
	var axes []int
	used := make(map[int]bool)
	for i, n := range to.Shape() {
		for k, m := range from.Shape() {
			if !used[k] && m == n && from.Strides()[k] == to.Strides()[i] {
				used[k] = true
				axes = append(axes, k)
				break
			}
		}
	}
	return axes
}

// offsets returns where each element is in the raw data. It uses only shape and strides:
// the flags and iterators of some layouts are wrong.
func offsets(t *tensor.Dense) ([]int, error) {
	if t.Dims() == 0 {
		return []int{0}, nil // DataSize is 0
	}
	at := make([]int, 0, t.Shape().TotalSize())
	dense.Each(t, func(from, count, stride int) {
		for range count {
			at = append(at, from)
			from += stride
		}
	})
	for _, i := range at {
		if i < 0 || i >= t.DataSize() {
			return nil, fmt.Errorf("shape %v and strides %v lead out of the data", t.Shape(), t.Strides())
		}
	}
	return at, nil
}

// floats returns the elements of a float64 value in row-major order.
func floats(v G.Value) ([]float64, error) {
	switch v := v.(type) {
	case *G.F64:
		return []float64{float64(*v)}, nil
	case *tensor.Dense:
		if v == nil || v.Dtype() != tensor.Float64 {
			break
		}
		if v.Dims() == 0 {
			return []float64{v.ScalarValue().(float64)}, nil
		}
		at, err := offsets(v)
		if err != nil {
			return nil, err
		}
		data := v.Data().([]float64)
		x := make([]float64, len(at))
		for i, k := range at {
			x[i] = data[k]
		}
		return x, nil
	}
	return nil, fmt.Errorf("a value of type %T, want float64", v)
}

// notFinite returns the index of the first number that is not finite, or -1.
func notFinite(x []float64) int {
	return slices.IndexFunc(x, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
}

// unravel returns the index of the i-th element in row-major order.
func unravel(i int, shape tensor.Shape) []int {
	index := make([]int, len(shape))
	for axis := len(shape) - 1; axis >= 0; axis-- {
		index[axis] = i % shape[axis]
		i /= shape[axis]
	}
	return index
}

// element returns the name of an element, such as x[1,2].
func element(name string, index []int) string {
	if len(index) == 0 {
		return name
	}
	parts := make([]string, len(index))
	for i, k := range index {
		parts[i] = strconv.Itoa(k)
	}
	return name + "[" + strings.Join(parts, ",") + "]"
}
