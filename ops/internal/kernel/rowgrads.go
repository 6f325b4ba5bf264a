package kernel

// rowGrads has room for the sums that tasks take for dγ and dβ over rows: for each task
// four arrays of padded columns, see rowSums.
type rowGrads struct {
	scratch *Scratch[float64] // nil: dγ and dβ are not wanted
	n       int               // columns, padded
}

func borrowRowGrads(tasks, cols int) rowGrads {
	n := padded(cols)
	return rowGrads{Borrow[float64](tasks * 4 * n), n}
}

func (g rowGrads) release() { g.scratch.Release() }

// rowSums are the sums of one task, empty where they are not wanted.
type rowSums struct {
	sums  []float64 // for dγ and, after them, for dβ
	short []float64 // memory for as many, in which the assembly adds up a few rows in the type of the data
}

// of returns the sums of a task, at 0.
func (g rowGrads) of(task int) rowSums {
	if g.scratch == nil {
		return rowSums{}
	}
	clear(g.scratch.part(2*task, 2*g.n))
	return rowSums{g.scratch.part(2*task, 2*g.n), g.scratch.part(2*task+1, 2*g.n)}
}

// part returns what a task has added up for dγ (0) or dβ (1).
func (g rowGrads) part(task, i int) []float64 { return g.scratch.part(4*task+i, g.n) }

// addUpRowGrads sets dγ and dβ, of which either may be nil, to what all tasks have added up.
func addUpRowGrads[T Float](dgamma, dbeta []T, g rowGrads) {
	sumGrads(dgamma, dbeta, g.scratch.Data, g.n, 4*g.n)
}
