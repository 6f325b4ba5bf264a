package ops

import (
	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	"gorgonia.org/tensor"
)

// memory is where an op puts its results: into new memory on each run or, with reuse,
// into the same memory again. New memory has to be collected, and may not be in a cache
// or not yet be mapped. Kept memory is overwritten by the next run.
type memory[T dense.Float] struct {
	reuse bool
	kept  []T
}

// tensor returns a tensor of the shape, and its memory, whose content is not defined. The
// tensor itself is new each time, since Gorgonia may pool and wipe it.
func (m *memory[T]) tensor(shape ...int) (*tensor.Dense, []T) {
	n := tensor.Shape(shape).TotalSize()
	data := m.kept
	if len(data) < n {
		data = dense.Uninitialized[T](n)
		if m.reuse {
			m.kept = data
		}
	}
	data = data[:n:n]
	return dense.New(shape, data), data
}

// lent is data that may be in scratch memory, which has to be released.
type lent[T dense.Float] struct {
	data    []T
	scratch *kernel.Scratch[T] // nil: data is not in scratch
}

func (l lent[T]) release() {
	if l.scratch != nil {
		l.scratch.Release()
	}
}
