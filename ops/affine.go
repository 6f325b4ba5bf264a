package ops

import (
	"github.com/gorgonorm/norm/internal/dense"
	G "gorgonia.org/gorgonia"
)

// affine says which of the optional scale γ and shift β an op has. They follow
// x among its inputs, and their gradients follow dx in the packed vector.
type affine struct{ gamma, beta bool }

// count returns how many of the two there are.
func (a affine) count() (n int) {
	for _, b := range []bool{a.gamma, a.beta} {
		if b {
			n++
		}
	}
	return n
}

// inputSpecs returns x of the given rank, then γ and β, as far as there are any, of rank
// paramRank and n elements, and then further inputs.
func (a affine) inputSpecs(rank, paramRank, n int, further ...inputSpec) []inputSpec {
	in := []inputSpec{{name: "x", rank: rank}}
	if a.gamma {
		in = append(in, inputSpec{name: "gamma", rank: paramRank, size: n})
	}
	if a.beta {
		in = append(in, inputSpec{name: "beta", rank: paramRank, size: n})
	}
	return append(in, further...)
}

// affineOf returns γ and β from the inputs that follow x, nil for one that is absent.
func affineOf[T dense.Float](a affine, in [][]T) (gamma, beta []T) {
	if a.gamma {
		gamma, in = in[0], in[1:]
	}
	if a.beta {
		beta = in[0]
	}
	return gamma, beta
}

// affineParts returns dγ and dβ, of n elements each, from the part of a packed vector
// that follows dx.
func affineParts[T dense.Float](a affine, rest []T, n int) (dgamma, dbeta []T) {
	if a.gamma {
		dgamma, rest = rest[:n:n], rest[n:]
	}
	if a.beta {
		dbeta = rest[:n:n]
	}
	return dgamma, dbeta
}

// affineArgs returns x and those of γ and β that are not nil.
func affineArgs(x, gamma, beta *G.Node) ([]arg, affine) {
	in := []arg{{"x", x}}
	if gamma != nil {
		in = append(in, arg{"gamma", gamma})
	}
	if beta != nil {
		in = append(in, arg{"beta", beta})
	}
	return in, affine{gamma != nil, beta != nil}
}
