package gradcheck

import (
	"errors"
	"fmt"
	"math"
	"sync"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// gradient is the gradient of one leaf by one machine, in row-major order.
type gradient struct {
	machine Machine
	d       []float64
}

func (e *expression) vmOpts() []G.VMOpt {
	if e.eval {
		return []G.VMOpt{G.EvalMode()}
	}
	return nil
}

// bindAll binds every leaf to its value, with l moved by t times the steps.
func (e *expression) bindAll(l *leaf, steps []step, t float64) error {
	for _, k := range e.leaves {
		var err error
		if k == l {
			err = k.bind(steps, t)
		} else {
			err = k.bind(nil, 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// gradients returns the gradient of every target from each machine. The LispMachine comes
// first: it refuses a graph with the nodes that G.Grad adds, while the TapeMachine
// accepts what the LispMachine leaves behind.
func (e *expression) gradients() ([][]gradient, error) {
	cost, err := G.ApplyOp(&costOp{shape: e.yShape}, e.y)
	if err != nil {
		return nil, fmt.Errorf("gradcheck: building the cost: %w", err)
	}
	found := make([][]gradient, len(e.targets))
	for _, run := range []struct {
		machine Machine
		grads   func(*G.Node) ([]G.Value, error)
	}{{Lisp, e.lisp}, {Tape, e.tape}} {
		if e.machines&run.machine == 0 {
			continue
		}
		values, err := run.grads(cost)
		if err != nil {
			return nil, fmt.Errorf("gradcheck: %v: %w", run.machine, err)
		}
		for i, l := range e.targets {
			d, err := checkedGradient(l, values[i])
			if err != nil {
				return nil, fmt.Errorf("gradcheck: %v: gradient of %s: %w", run.machine, l.name, err)
			}
			found[i] = append(found[i], gradient{run.machine, d})
		}
	}
	return found, nil
}

// lisp runs a new LispMachine, since each can run only once. When a forward op fails, its
// goroutine goes on into the backward pass although RunAll has returned. The forward pass
// has run twice by now without an error, so this happens only with an op that fails now
// and then.
func (e *expression) lisp(cost *G.Node) ([]G.Value, error) {
	if err := e.bindAll(nil, nil, 0); err != nil {
		return nil, err
	}
	m := G.NewLispMachine(e.g.ExactSubgraphRoots(cost), e.vmOpts()...)
	defer m.Close()
	if err := m.RunAll(); err != nil {
		return nil, err
	}
	values := make([]G.Value, len(e.targets))
	for i, l := range e.targets {
		var err error
		if values[i], err = l.node.Grad(); err != nil {
			return nil, fmt.Errorf("gradient of %s: %w", l.name, err)
		}
	}
	return values, nil
}

// tape differentiates symbolically and runs the whole graph, as a user would.
func (e *expression) tape(cost *G.Node) ([]G.Value, error) {
	wrt := make(G.Nodes, len(e.targets))
	for i, l := range e.targets {
		wrt[i] = l.node
	}
	grads, err := e.symbolic(cost, wrt)
	if err != nil {
		return nil, err
	}
	// Only a read gives the true value: other ops may write into the memory of a result.
	values := make([]G.Value, len(grads))
	for i, n := range grads {
		G.Read(n, &values[i])
	}
	e.hold()
	if err := e.bindAll(nil, nil, 0); err != nil {
		return nil, err
	}
	m, err := newTape(e.g, e.vmOpts())
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return values, m.RunAll()
}

// gradMu lets checks run in parallel: gorgonia.Grad writes to its constant 1, a node that
// all graphs share.
var gradMu sync.Mutex

// symbolic takes the gradients. It returns an error if gorgonia.Grad panics on the
// results of a bad SymDiff, such as one gradient too few.
func (e *expression) symbolic(cost *G.Node, wrt G.Nodes) (grads G.Nodes, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("taking the gradients panicked (does each SymDiff return a gradient for every "+
				"differentiable input?): %v", r)
		}
	}()
	gradMu.Lock()
	defer gradMu.Unlock()
	grads, err = e.grad(cost, wrt...)
	if err != nil {
		return nil, fmt.Errorf("symbolic differentiation: %w", err)
	}
	return grads, nil
}

// newTape returns an error where gorgonia.NewTapeMachine panics, for a graph that does
// not compile.
func newTape(g *G.ExprGraph, opts []G.VMOpt) (m G.VM, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("compiling the graph: %v", r)
		}
	}()
	return G.NewTapeMachine(g, opts...), nil
}

// checkedGradient reads a gradient, and checks its shape. Neither machine does, but
// solvers rely on it.
func checkedGradient(l *leaf, v G.Value) ([]float64, error) {
	if v == nil {
		return nil, errors.New("there is none, want one")
	}
	if !sameShape(v.Shape(), l.shape) {
		return nil, fmt.Errorf("shape %v, want %v", v.Shape(), l.shape)
	}
	return floats(v)
}

// sameShape accepts all shapes of one element for each other.
func sameShape(a, b tensor.Shape) bool {
	return a.Eq(b) || a.TotalSize() == 1 && b.TotalSize() == 1
}

// forward evaluates the result in a program that computes nothing else.
type forward struct {
	*expression
	vm G.VM
}

func newForward(e *expression) (*forward, error) {
	m, err := newTape(e.g.ExactSubgraphRoots(e.y), e.vmOpts())
	if err != nil {
		return nil, fmt.Errorf("gradcheck: forward pass: %w", err)
	}
	return &forward{e, m}, nil
}

func (f *forward) close() { f.vm.Close() }

// eval returns the result after moving leaf l by t times the steps.
func (f *forward) eval(l *leaf, steps []step, t float64) ([]float64, error) {
	if err := f.bindAll(l, steps, t); err != nil {
		return nil, err
	}
	f.vm.Reset()
	if err := f.vm.RunAll(); err != nil {
		return nil, fmt.Errorf("gradcheck: forward pass: %w", err)
	}
	// Nothing runs after y in this program, so no op has overwritten its memory.
	v := f.y.Value()
	if v == nil {
		return nil, fmt.Errorf("gradcheck: forward pass: %v gave no value, want a float64 scalar or tensor", f.y.Op())
	}
	if !sameShape(v.Shape(), f.yShape) {
		return nil, fmt.Errorf("gradcheck: forward pass: the result has shape %v, its node has %v", v.Shape(), f.yShape)
	}
	y, err := floats(v)
	if err != nil {
		return nil, fmt.Errorf("gradcheck: forward pass: the result: %w", err)
	}
	if i := notFinite(y); i >= 0 {
		return nil, fmt.Errorf("gradcheck: forward pass: %s is %v, want a finite number", element("result", unravel(i, f.yShape)), y[i])
	}
	return y, nil
}

// checkRepeatable runs the expression twice at the same point. If it has noise, as with
// dropout, differences are meaningless.
func (f *forward) checkRepeatable() error {
	a, err := f.eval(nil, nil, 0)
	if err != nil {
		return err
	}
	b, err := f.eval(nil, nil, 0)
	if err != nil {
		return err
	}
	for i := range a {
		if math.Float64bits(a[i]) != math.Float64bits(b[i]) {
			return fmt.Errorf("gradcheck: two runs at the same values differ: %s is %v, then %v",
				element("result", unravel(i, f.yShape)), a[i], b[i])
		}
	}
	return nil
}
