package gradcheck

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// maxLines is the largest number of elements that the text lists for each gradient.
const maxLines = 10

// Mismatch is one wrong element of a gradient, or one wrong directional derivative.
type Mismatch struct {
	Machine   Machine // Tape or Lisp
	Input     string  // the name of the input or leaf
	Index     []int   // the element; empty for a scalar or a direction
	Direction int     // counts random directions from 1; 0 for an element
	Got       float64 // the machine's gradient
	Want      float64 // the central difference
	Tol       float64 // how far apart they may be
}

// off is true for a NaN too, and for an infinity, which would make the relative tolerance
// infinite.
func (m Mismatch) off() bool {
	d := math.Abs(m.Got - m.Want)
	return !(d <= m.Tol) || math.IsInf(d, 1)
}

// badness orders mismatches; NaN is the worst of all.
func (m Mismatch) badness() float64 {
	b := math.Abs(m.Got-m.Want) / m.Tol
	if math.IsNaN(b) {
		return math.Inf(1)
	}
	return b
}

// String returns a line of the error text, such as
//
//	x[1,2]: gradient 0.31415, central difference 0.27182, off by 0.0423 (tolerance 2.1e-08)
func (m Mismatch) String() string {
	where := element(m.Input, m.Index)
	if m.Direction > 0 {
		where = fmt.Sprintf("%s along direction %d", m.Input, m.Direction)
	}
	return fmt.Sprintf("%s: gradient %.9g, central difference %.9g, off by %.3g (tolerance %.2g)",
		where, m.Got, m.Want, math.Abs(m.Got-m.Want), m.Tol)
}

// Error says which gradients are wrong.
type Error struct {
	// Mismatches lists all of them, grouped by input and machine, the worst first.
	Mismatches []Mismatch

	groups []group
}

// group is the result for one leaf with one machine.
type group struct {
	machine    Machine
	input      string
	elements   int // checked
	directions int // checked
	off        []Mismatch
}

// newError returns nil if no group has a mismatch.
func newError(groups []group) error {
	e := &Error{}
	for _, g := range groups {
		if len(g.off) == 0 {
			continue
		}
		slices.SortStableFunc(g.off, func(a, b Mismatch) int { return cmp.Compare(b.badness(), a.badness()) })
		e.groups = append(e.groups, g)
		e.Mismatches = append(e.Mismatches, g.off...)
	}
	if len(e.groups) == 0 {
		return nil
	}
	return e
}

// Error lists, for each wrong gradient, how many of its elements are off, and the ten
// worst.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("gradcheck: ")
	for i, g := range e.groups {
		if i > 0 {
			b.WriteString("\n")
		}
		g.write(&b)
	}
	return b.String()
}

func (g group) write(b *strings.Builder) {
	directions := 0
	for _, m := range g.off {
		if m.Direction > 0 {
			directions++
		}
	}
	fmt.Fprintf(b, "%v: d cost/d %s: %d of %d elements off", g.machine, g.input, len(g.off)-directions, g.elements)
	if g.directions > 0 {
		fmt.Fprintf(b, ", %d of %d directions off", directions, g.directions)
	}
	for i, m := range g.off {
		if i == maxLines {
			fmt.Fprintf(b, "\n  and %d more", len(g.off)-maxLines)
			break
		}
		fmt.Fprintf(b, "\n  %v", m)
	}
}
