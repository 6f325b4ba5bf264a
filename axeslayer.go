package norm

import (
	"slices"

	"github.com/gorgonorm/norm/internal/fault"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// axesLayer is a layer that normalizes the trailing axes of its input, or others:
// layer norm and RMS norm.
type axesLayer struct {
	layer
	shape tensor.Shape
	axes  []int // nil: the trailing ones
}

// newAxesLayer makes the layer but for its parameters.
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

// checkInput also checks the sizes of x in the axes.
func (l *axesLayer) checkInput(x *G.Node) error {
	if err := l.layer.checkInput(x); err != nil {
		return err
	}
	return l.checkAxes(x.Shape())
}

// checkAxes checks that axes that were given have the sizes of the layer in x, which
// the op cannot know without parameters. Where none were, the op checks all of it, but
// has no options to name.
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
		return nil // the op finds it too
	}
	for i, a := range axes {
		if x[a] != l.shape[i] {
			return fault.New(ErrShape, l.label, "x is %v, want %v in the axes %v", x, l.shape, slices.Clone(axes))
		}
	}
	return nil
}

// checkResidual checks the terms of a residual sum. Their shapes the op checks.
func (l *axesLayer) checkResidual(x, r *G.Node) error {
	if err := l.layer.checkInput(x); err != nil {
		return err
	}
	if err := l.checkNode("r", r); err != nil {
		return err
	}
	return l.checkTrailing(x.Shape())
}

// checkTrailing checks that the axes are the trailing ones of x, as those of the norm
// of a residual sum have to be.
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
