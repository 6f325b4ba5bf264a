package norm

import (
	"slices"

	"github.com/gorgonorm/norm/internal/fault"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// axesLayer is a layer that normalizes the trailing axes of its input, or those of
// WithAxes: layer norm and RMS norm.
type axesLayer struct {
	layer
	shape tensor.Shape
	axes  []int // nil: the trailing ones
}

// newAxesLayer checks the settings and makes the layer without its parameters.
func newAxesLayer(kind string, g *G.ExprGraph, dt tensor.Dtype, shape tensor.Shape, c config) (axesLayer, error) {
	l, err := newLayer(kind, g, dt, c.name, affineSuffixes(c)...)
	if err != nil {
		return axesLayer{}, err
	}
	if err := fault.NormalizedShape(l.label, shape); err != nil {
		return axesLayer{}, err
	}
	if err := fault.Eps(l.label, c.eps); err != nil {
		return axesLayer{}, err
	}
	if c.hasAxes && len(c.axes) != len(shape) {
		return axesLayer{}, fault.New(ErrShape, l.label, "the axes are %v for the normalized shape %v, want an axis for each size", c.axes, shape)
	}
	for i, a := range c.axes {
		if slices.Contains(c.axes[:i], a) {
			return axesLayer{}, fault.New(ErrShape, l.label, "the axes are %v, want each of them once", c.axes)
		}
	}
	return axesLayer{l, shape.Clone(), c.axes}, nil
}

// checkInput checks x as for any layer, and its sizes in the normalized axes.
func (l *axesLayer) checkInput(x *G.Node) error {
	if err := l.layer.checkInput(x); err != nil {
		return err
	}
	return l.checkAxes(x.Shape())
}

// checkAxes checks that x has the sizes of the layer in the axes of WithAxes: the op
// knows them only from the parameters, and there may be none. Without WithAxes the op
// checks the shape, and this only finds the case where WithAxes(1) was probably meant,
// since the op cannot name that option.
func (l *axesLayer) checkAxes(x tensor.Shape) error {
	if l.axes == nil {
		if n := l.shape[0]; len(l.shape) == 1 && len(x) > 2 && x[1] == n && x[len(x)-1] != n {
			return fault.New(ErrShape, l.label, "x is %v, want (..., %d) (or WithAxes(1))", x, n)
		}
		return nil
	}
	var sorted [8]int // on the stack, for Eval
	axes, err := fault.AppendAxes(sorted[:0], l.label, x, l.axes)
	if err != nil {
		return nil // the op reports it
	}
	for i, a := range axes {
		if x[a] != l.shape[i] {
			return fault.New(ErrShape, l.label, "x is %v, want %v in the axes %v", x, l.shape, slices.Clone(axes))
		}
	}
	return nil
}

// checkResidual checks the terms of a residual sum. The op checks their shapes.
func (l *axesLayer) checkResidual(x, r *G.Node) error {
	if err := l.layer.checkInput(x); err != nil {
		return err
	}
	if err := l.checkNode("r", r); err != nil {
		return err
	}
	return l.checkTrailing(x.Shape())
}

// checkTrailing checks that the axes are the trailing ones of x. The norm of a residual
// sum has no others.
func (l *axesLayer) checkTrailing(x tensor.Shape) error {
	if l.axes == nil {
		return nil
	}
	var sorted [8]int
	axes, err := fault.AppendAxes(sorted[:0], l.label, x, l.axes)
	if err == nil && axes[0] != len(x)-len(axes) {
		return fault.New(ErrOption, l.label, "the axes are %v of x %v, want the trailing ones for a residual sum", slices.Clone(axes), x)
	}
	return err
}

// inGraph makes the same layer in another graph, with the same storage.
func (l *axesLayer) inGraph(g *G.ExprGraph) (axesLayer, error) {
	other, err := l.in(g)
	return axesLayer{other, l.shape, l.axes}, err
}
