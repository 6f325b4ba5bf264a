// Package fault has the kinds of errors of this module, and the form of their texts.
package fault

import (
	"errors"
	"fmt"
	"strings"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The kinds of errors. The errors themselves say what was given and what is
// wanted.
var (
	ErrShape  = errors.New("shape does not fit")
	ErrDtype  = errors.New("dtype does not fit")
	ErrOption = errors.New("option out of range")
	ErrGraph  = errors.New("node or graph does not fit")
	ErrName   = errors.New("name is taken")
	ErrBatch  = errors.New("too few values to take statistics of")
	ErrOrder  = errors.New("no derivative of that order")
	ErrValue  = errors.New("value does not fit")
	ErrState  = errors.New("entries do not fit")
	ErrFormat = errors.New("file is damaged")

	// ErrInternal is a bug in this module itself.
	ErrInternal = errors.New("internal fault")
)

// fault says what is wrong in words and unwraps to its kind.
type fault struct {
	kind error
	op   string // or the layer, or the file
	text string
	item int // of several that were given: its number from 1, or 0
}

func (e *fault) Error() string { return fmt.Sprintf("norm: %s: %s", e.op, e.text) }
func (e *fault) Unwrap() error { return e.kind }

// New returns an error of the given kind that reads
// "norm: layernorm: x is (4, 7), want (..., 8)" for op "layernorm".
func New(kind error, op, format string, args ...any) error {
	op = strings.TrimPrefix(op, "norm.") // the label of an op
	for i, a := range args {
		if dt, ok := a.(tensor.Dtype); ok && dt.Type == nil { // which does not print
			args[i] = "<no dtype>"
		}
	}
	return &fault{kind: kind, op: op, text: fmt.Sprintf(format, args...)}
}

// Of returns an error of New under another name: that of the layer that applies the op,
// or of the file.
func Of(name string, err error) error {
	if e, ok := err.(*fault); ok {
		return &fault{kind: e.kind, op: name, text: e.text}
	}
	return err
}

// OfItem is Of for item i of several that an op was given, such as statistics.
func OfItem(op, things string, i int, err error) error {
	if e, ok := err.(*fault); ok {
		return &fault{e.kind, fmt.Sprintf("%s: %s %d", op, things, i), e.text, i + 1}
	}
	return err
}

// Item returns the index i of an error of OfItem.
func Item(err error) (i int, ok bool) {
	e, _ := err.(*fault)
	if e == nil || e.item == 0 {
		return 0, false
	}
	return e.item - 1, true
}

// Every ErrOrder has one of these texts, by which Is recognizes it.
const (
	noThirdOrder = "a third derivative is not implemented, want the second at most"
	wantDiff     = "want diff.Grad for the gradient of a gradient"
)

// NewOrder returns the error of an op that has no derivative.
func NewOrder(op string) error { return New(ErrOrder, op, noThirdOrder) }

// NewSecondGrad returns the error of a second gorgonia.Grad through a node.
func NewSecondGrad(op, node string) error {
	return New(ErrOrder, op, "%s has a gradient from gorgonia.Grad, which would make a wrong one of it; "+wantDiff, node)
}

// Is is errors.Is for errors that come out of a machine's RunAll or of G.Grad:
// Gorgonia wraps them in types that errors.Is does not see through.
func Is(err, kind error) bool {
	// G.Grad keeps only the text of its cause.
	var symbolic G.SymDiffError
	if kind == ErrOrder && errors.As(err, &symbolic) {
		for _, text := range []string{noThirdOrder, wantDiff} {
			if strings.Contains(symbolic.Error(), text) {
				return true
			}
		}
	}
	for err != nil {
		if errors.Is(err, kind) {
			return true
		}
		var machine interface{ Err() error }
		if !errors.As(err, &machine) {
			return false
		}
		err = machine.Err()
	}
	return false
}
