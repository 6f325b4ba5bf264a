package gradcheck

import (
	"errors"
	"fmt"
	"math"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

const (
	// The four-point formula errs by about h⁴·|f⁽⁵⁾|/30 from truncation and by
	// about ε·|f|/h from rounding. Their sum is least near h = ε^(1/5), which is
	// 2^-10.4 in float64; a power of two keeps x ± h close to exact.
	defaultStep = 1.0 / (1 << 11)

	// At the default step truncation is 2e-15·|f⁽⁵⁾|. A relative 1e-7 leaves room
	// for a fifth derivative 5e7 times the first, yet a gradient that lacks even
	// a term of that relative size is a wrong one.
	defaultRel = 1e-7

	// The absolute term is noiseFactor·ε·S/h, where S is the root of the sum of squares
	// of w[i]·max(1, |y[i]|) over the outputs that move, and at least 1. It is a sum of
	// squares since their rounding errors are independent. The weights of the stencil
	// alone make up 1.5 of the factor; the rest is for rounding inside the expression. A
	// layer norm made of built-in ops, at values of order one, needs 1.5% of the term.
	// With one output of order one it is 3e-11.
	noiseFactor = 64

	epsilon = 0x1p-52
)

// Machine is one of Gorgonia's machines, or both as Tape|Lisp.
type Machine uint8

// The machines. Tape checks the gradients of SymDiff, Lisp those of DoDiff.
const (
	Tape Machine = 1 << iota
	Lisp
)

// String returns the name that the machine has in error texts.
func (m Machine) String() string {
	switch m {
	case Tape:
		return "tape machine"
	case Lisp:
		return "lisp machine"
	case Tape | Lisp:
		return "both machines"
	}
	return fmt.Sprintf("Machine(%d)", uint8(m))
}

// Option changes how Check works. If an option is invalid, Check returns an error.
type Option func(*config)

// WithNames names the inputs in order. The default is "input 0", "input 1", …
func WithNames(names ...string) Option {
	return func(c *config) { c.names = names }
}

// WithoutGrad excludes the gradients of inputs, counted from 0, with respect to which the
// expression is not differentiable.
func WithoutGrad(inputs ...int) Option {
	return func(c *config) { c.inputs = append(c.inputs, inputs...) }
}

// WithoutGradOf excludes inputs and leaves by name, also those that the function makes.
func WithoutGradOf(names ...string) Option {
	return func(c *config) { c.excluded = append(c.excluded, names...) }
}

// WithMachines chooses the machines: Tape, Lisp or Tape|Lisp, the default.
func WithMachines(m Machine) Option {
	return func(c *config) { c.machines = m }
}

// WithGrad sets the function that takes the gradients for the tape machine, by default
// gorgonia.Grad. diff.Grad is also right where Gorgonia's derivatives are wrong, and for
// expressions that contain gradients, such as that of a convolution.
func WithGrad(grad func(cost *G.Node, wrt ...*G.Node) (G.Nodes, error)) Option {
	return func(c *config) { c.grad, c.gradSet = grad, true }
}

// WithEvalMode builds the machines with gorgonia.EvalMode, so that ops with two modes are
// checked in evaluation.
func WithEvalMode() Option {
	return func(c *config) { c.eval = true }
}

// WithStep sets the step h of the differences: an element x is moved by multiples of
// h·max(1, |x|). The default is 2^-11, for which truncation and rounding are of the same
// size if the function is smooth and its values are of order one. Choose a smaller step
// for an expression that bends sharply, or for large values that lie close together.
func WithStep(h float64) Option {
	return func(c *config) { c.step = h }
}

// WithTolerance accepts a gradient that differs from the central difference by
// at most
//
//	rel·max(|gradient|, |difference|) + abs
//
// The default is rel = 1e-7 and an abs that follows the rounding error of the
// differences: 64·ε·S/h, where h is the step, ε = 2^-52, and S is the root of the
// sum of squares of w[i]·max(1, |y[i]|) over the elements of the result that
// move, and at least 1. It is 3e-11 for one output of order one.
func WithTolerance(rel, abs float64) Option {
	return func(c *config) { c.rel, c.abs, c.absSet = rel, abs, true }
}

// WithMaxElements bounds the work for large tensors. At most n elements of each input
// (and at least 2) are checked one by one, spread evenly, the first and the last among
// them. An input that has more is also checked along three random directions in which all
// elements move, so that an error in any of them shows. If a direction shows one and the
// single elements are right, the check searches for the element. The choice is the same
// in every run. By default all elements are checked.
func WithMaxElements(n int) Option {
	return func(c *config) { c.max, c.maxSet = n, true }
}

type config struct {
	inputCount int
	names      []string
	inputs     []int
	excluded   []string
	machines   Machine
	grad       func(cost *G.Node, wrt ...*G.Node) (G.Nodes, error)
	gradSet    bool
	eval       bool
	step       float64
	rel, abs   float64
	absSet     bool
	max        int
	maxSet     bool
}

// newConfig applies the options, and checks them and that the values are not nil.
func newConfig(values []*tensor.Dense, opts []Option) (*config, error) {
	c := &config{inputCount: len(values), machines: Tape | Lisp, grad: G.Grad, step: defaultStep, rel: defaultRel}
	for _, opt := range opts {
		if opt != nil {
			opt(c)
		}
	}
	switch {
	case len(values) == 0:
		return nil, errors.New("gradcheck: no values, want one for each input of the function, and at least one")
	case len(c.names) > len(values):
		return nil, fmt.Errorf("gradcheck: WithNames: %d names for %d inputs, want no more than there are", len(c.names), len(values))
	case c.machines == 0 || c.machines&^(Tape|Lisp) != 0:
		return nil, fmt.Errorf("gradcheck: WithMachines: %v, want Tape, Lisp or both", c.machines)
	case c.grad == nil:
		return nil, errors.New("gradcheck: WithGrad: nil, want a function such as diff.Grad")
	case !(c.step > 0) || math.IsInf(c.step, 0):
		return nil, fmt.Errorf("gradcheck: WithStep: %v, want > 0", c.step)
	case !(c.rel >= 0) || !(c.abs >= 0):
		return nil, fmt.Errorf("gradcheck: WithTolerance: %v and %v, want >= 0", c.rel, c.abs)
	case c.maxSet && c.max < 1:
		return nil, fmt.Errorf("gradcheck: WithMaxElements: %d, want >= 1", c.max)
	}
	seen := make(map[string]bool)
	for i := range values {
		if seen[c.name(i)] {
			return nil, fmt.Errorf("gradcheck: WithNames: two inputs are called %q, want names of their own", c.name(i))
		}
		seen[c.name(i)] = true
	}
	for _, i := range c.inputs {
		if i < 0 || i >= len(values) {
			return nil, fmt.Errorf("gradcheck: WithoutGrad: input %d, want 0 to %d", i, len(values)-1)
		}
		c.excluded = append(c.excluded, c.name(i))
	}
	return c, nil
}

func (c *config) name(input int) string {
	if input < len(c.names) {
		return c.names[input]
	}
	return fmt.Sprintf("input %d", input)
}

func (c *config) without(name string) bool { return slices.Contains(c.excluded, name) }

func (c *config) tolerance(got, want, noise float64) float64 {
	abs := noiseFactor * noise
	if c.absSet {
		abs = c.abs
	}
	return c.rel*math.Max(math.Abs(got), math.Abs(want)) + abs
}
