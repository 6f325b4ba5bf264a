// Package opcall calls methods of ops, whoever wrote them.
package opcall

import (
	"fmt"
	"hash"
	"hash/fnv"

	G "gorgonia.org/gorgonia"
)

// Hashcode returns the hash of what an op writes.
func Hashcode(op interface{ WriteHash(hash.Hash) }) uint32 {
	h := fnv.New32a()
	op.WriteHash(h)
	return h.Sum32()
}

// DiffWRT says by which inputs an op can be differentiated. A panic of the op is an error,
// and so are fewer flags than inputs. More, as those of Gorgonia's CTCLoss, are left out.
func DiffWRT(op G.SDOp, inputs int) (wrt []bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("op %v: DiffWRT panics: %v", op, r)
		}
	}()
	if wrt = op.DiffWRT(inputs); len(wrt) < inputs {
		return nil, fmt.Errorf("op %v: DiffWRT has %d entries for %d inputs", op, len(wrt), inputs)
	}
	return wrt[:inputs], nil
}
