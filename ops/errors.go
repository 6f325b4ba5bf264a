package ops

import (
	"errors"
	"fmt"
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
	return &opError{kind, fmt.Sprintf("norm: %s: %s", op, fmt.Sprintf(format, args...))}
}

// Is is errors.Is for errors that come out of a machine's RunAll: Gorgonia wraps
// them in a type that errors.Is does not see through.
func Is(err, kind error) bool {
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
