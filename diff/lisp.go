package diff

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A LispMachine takes gradients by an op's DoDiff. If the op has none, it takes them for
// 0, without an error.

// addGrad adds to the gradient that a node holds.
func addGrad(n *G.Node, d G.Value) error {
	to, err := n.Grad()
	if err != nil {
		return err
	}
	switch to := to.(type) {
	case *G.F64:
		*to += *d.(*G.F64)
	case *G.F32:
		*to += *d.(*G.F32)
	case *tensor.Dense:
		_, err = to.Add(d.(*tensor.Dense), tensor.UseUnsafe())
	default:
		err = fmt.Errorf("diff: the gradient of %v is a %T", n, to)
	}
	return err
}
