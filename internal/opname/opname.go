// Package opname gives ops the name of the layer that applies them, for errors of a run.
package opname

import (
	"github.com/gorgonorm/norm/internal/edges"
	G "gorgonia.org/gorgonia"
)

// Op is an op that can be given the name of a layer. SetLayer returns false if it has
// that of another layer.
type Op interface{ SetLayer(label string) bool }

// Part is an op that may be a part of a layer. If it is, its result is an input only of
// another op of the same layer.
type Part interface {
	Op
	IsPart() bool
}

// Set names the op of y, which has to be an Op, and the parts among its inputs. It
// returns false if the op of y has the name of another layer.
func Set(y *G.Node, label string) (named bool) {
	for _, n := range edges.From(y) {
		if op, ok := n.Op().(Part); ok && op.IsPart() {
			op.SetLayer(label)
		}
	}
	return y.Op().(Op).SetLayer(label)
}
