// Package opcall has methods that ops of several packages share, and calls methods of ops,
// which may be faulty ops of other packages.
package opcall

import (
	"fmt"
	"hash"
	"hash/fnv"

	G "gorgonia.org/gorgonia"
)

// Hashcode returns the hash of what WriteHash writes.
func Hashcode(op interface{ WriteHash(hash.Hash) }) uint32 {
	h := fnv.New32a()
	op.WriteHash(h)
	return h.Sum32()
}

// DiffWRT says with respect to which inputs an op can be differentiated. It returns an
// error if the op panics or returns fewer flags than there are inputs. Further flags, as
// those of Gorgonia's CTCLoss, are dropped.
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
