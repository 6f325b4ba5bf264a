package nn

import (
	"fmt"

	"github.com/gorgonorm/norm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Kinds are the normalizations that Hidden knows.
var Kinds = []string{"batch", "layer", "weight", "none"}

// Hidden returns the linear layer with the given number and its normalization.
// Weight normalization is a linear layer itself; the other two follow one, which
// then needs no bias, for their β does the same. init gives the weight, (in, out).
// The layer of every kind starts from the same one.
func Hidden(g *G.ExprGraph, kind string, number, in, out int, init G.InitWFn) ([]Stage, error) {
	name := fmt.Sprint(kind, number)
	linear := func(bias bool) Stage { return StageOf(NewLinear(g, fmt.Sprint("fc", number), in, out, bias, init)) }
	switch kind {
	case "batch":
		bn, err := norm.NewBatchNorm(g, Dtype, out, norm.WithName(name))
		if err != nil {
			return nil, err
		}
		return []Stage{linear(false), StageOf(bn)}, nil
	case "layer":
		ln, err := norm.NewLayerNorm(g, Dtype, tensor.Shape{out}, norm.WithName(name))
		if err != nil {
			return nil, err
		}
		return []Stage{linear(false), StageOf(ln)}, nil
	case "weight":
		wn, err := norm.NewWeightNormLinear(g, Dtype, in, out, norm.WithName(name), norm.WithWeightInit(transposed(init)))
		if err != nil {
			return nil, err
		}
		return []Stage{StageOf(wn)}, nil
	case "none":
		return []Stage{linear(true)}, nil
	}
	return nil, fmt.Errorf("normalization %q: want one of %v", kind, Kinds)
}

// transposed gives what init gives for the matrix with rows and columns exchanged.
func transposed(init G.InitWFn) G.InitWFn {
	return func(dt tensor.Dtype, s ...int) any {
		rows, cols := s[0], s[1]
		from, to := init(dt, cols, rows).([]float32), make([]float32, rows*cols)
		for i := range rows {
			for j := range cols {
				to[i*cols+j] = from[j*rows+i]
			}
		}
		return to
	}
}
