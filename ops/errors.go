package ops

import (
	"errors"
	"fmt"
	"strings"

	G "gorgonia.org/gorgonia"
)

// The kinds of errors of this package and of package norm. The errors
// themselves say what was given and what is wanted; test for a kind with
// errors.Is, or with Is if they come out of a machine.
var (
	// ErrShape: a shape, a rank or a number of channels does not fit.
	ErrShape = errors.New("shape does not fit")

	// ErrDtype: neither float32 nor float64, or not the same everywhere.
	ErrDtype = errors.New("dtype does not fit")

	// ErrOption: a number such as eps or momentum is out of its range.
	ErrOption = errors.New("option out of range")

	// ErrGraph: a nil node or graph, or nodes of different graphs.
	ErrGraph = errors.New("node or graph does not fit")

	// ErrName: the name is already taken in the graph.
	ErrName = errors.New("name is taken")

	// ErrBatch: training with one value per channel.
	ErrBatch = errors.New("batch has one value per channel")

	// ErrSecondOrder: the gradient of a gradient was asked for.
	ErrSecondOrder = errors.New("no second derivative")

	// ErrValue: at run time, a value is not what its node promised.
	ErrValue = errors.New("value does not fit its node")
)

// opError says what is wrong in words and unwraps to its kind.
type opError struct {
	kind error
	text string
}

func (e *opError) Error() string { return e.text }
func (e *opError) Unwrap() error { return e.kind }

// Errorf returns an error of the given kind that reads
// "norm: layernorm: x is (4, 7), want (..., 8)" for op "layernorm".
func Errorf(kind error, op, format string, args ...any) error {
	op = strings.TrimPrefix(op, "norm.") // the label of an op
	return &opError{kind, fmt.Sprintf("norm: %s: %s", op, fmt.Sprintf(format, args...))}
}

// noSecondOrder is the text of every ErrSecondOrder.
const noSecondOrder = "a second derivative is not implemented"

// Is is errors.Is for errors that come out of a machine's RunAll or of G.Grad:
// Gorgonia wraps them in types that errors.Is does not see through.
func Is(err, kind error) bool {
	// G.Grad shows no more of its cause than the text.
	var symbolic G.SymDiffError
	if kind == ErrSecondOrder && errors.As(err, &symbolic) && strings.Contains(symbolic.Error(), noSecondOrder) {
		return true
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
