// Package opname gives ops the name of the layer that applies them, for their errors at run time.
package opname

import (
	"github.com/gorgonorm/norm/internal/edges"
	G "gorgonia.org/gorgonia"
)

// Op is an op that can be given the name of a layer. It returns false if it has that of
// another.
type Op interface{ SetLayer(label string) bool }

// Part is an op that may be a part of a layer: then only another op of the same layer has its
// result as input.
type Part interface {
	Op
	IsPart() bool
}

// Set names the op of y, which is an Op, and the parts that it has as inputs. It returns false
// if the op of y has the name of another layer.
func Set(y *G.Node, label string) (named bool) {
	for _, n := range edges.From(y) {
		if op, ok := n.Op().(Part); ok && op.IsPart() {
			op.SetLayer(label)
		}
	}
	return y.Op().(Op).SetLayer(label)
}
