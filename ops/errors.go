package ops

import "github.com/gorgonorm/norm/internal/fault"

// The kinds of errors of this package. The errors themselves say what was given
// and what is wanted; test for a kind with errors.Is, or with Is if they come
// from a machine or from gorgonia.Grad.
var (
	// ErrShape: a shape, a rank or a number of channels does not fit.
	ErrShape = fault.ErrShape

	// ErrDtype: neither float32 nor float64, or not the same everywhere.
	ErrDtype = fault.ErrDtype

	// ErrOption: a setting such as eps or momentum is out of its range, or does not
	// go with the other arguments.
	ErrOption = fault.ErrOption

	// ErrGraph: a nil node or graph, or nodes of different graphs.
	ErrGraph = fault.ErrGraph

	// ErrBatch: too few values to take statistics of.
	ErrBatch = fault.ErrBatch

	// ErrOrder: a third derivative was asked for.
	ErrOrder = fault.ErrOrder

	// ErrValue: at run time a value does not fit its node, or a value is not valid as an
	// initial value, a statistic or a singular vector.
	ErrValue = fault.ErrValue

	// ErrInternal: a bug in this package, or an inconsistent value, such as a
	// tensor whose memory is shorter than its shape. It is an error of RunAll like
	// the others, and the process goes on.
	ErrInternal = fault.ErrInternal
)

// Is is errors.Is for errors from a machine's RunAll or from gorgonia.Grad, which
// wrap them in types that errors.Is does not see through.
func Is(err, kind error) bool { return fault.Is(err, kind) }
