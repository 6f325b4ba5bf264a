package diff

import (
	"hash/fnv"

	G "gorgonia.org/gorgonia"
)

// pure is embedded by the ops of this package: their results are new, and their inputs are left
// as they are.
type pure struct{}

func (pure) ReturnsPtr() bool     { return false }
func (pure) CallsExtern() bool    { return false }
func (pure) OverwritesInput() int { return -1 }

// hashcode returns the hash of what an op writes.
func hashcode(op G.Op) uint32 {
	h := fnv.New32a()
	op.WriteHash(h)
	return h.Sum32()
}
