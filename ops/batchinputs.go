package ops

import (
	"github.com/chewxy/hm"
	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	G "gorgonia.org/gorgonia"
)

// batchIn are the inputs of an op: those of the data's type and the statistics.
type batchIn[T dense.Float] struct {
	data   [maxInputs][]T // nil for the statistics
	mask   lent[T]        // to be released
	view   kernel.View
	stats  kernel.Stats
	batch  bool           // the statistics are those of x itself
	within *channelGroups // if not nil, those of its samples are meant
}

// batchInputs checks and unpacks the inputs, of which x is the first and the
// statistics are number statsAt, which the mask follows.
func batchInputs[T dense.Float](b *base, n *batchNorm, vs []G.Value, statsAt int) (in batchIn[T], err error) {
	if err = b.checkCount(vs); err != nil {
		return in, err
	}
	for i := range vs {
		if i == statsAt {
			continue
		}
		if in.data[i], err = input[T](b, vs, i); err != nil {
			return in, err
		}
	}
	packed, err := input[float64](b, vs, statsAt)
	if err != nil {
		return in, err
	}
	if in.stats, in.batch = unpackStats(packed, n.channels); in.batch {
		in.within = n.within
	}
	if in.view, err = n.view(b.label, vs[0].Shape()); err != nil {
		return in, err
	}
	in.mask, err = flagsOf(b.label, n.mask, in.data[statsAt+1], vs[0].Shape())
	return in, err
}

// fnTypeOfStats returns the type of an op from x, vectors of parameters,
// statistics, what there is of a mask, and tensors of further ranks, to one of the
// last rank.
func fnTypeOfStats[T dense.Float](rank, params int, mask masking, further ...int) hm.Type {
	ts := []hm.Type{tensorOf[T](rank)}
	for range params {
		ts = append(ts, tensorOf[T](1))
	}
	ts = append(ts, tensorOf[float64](1))
	for _, r := range append(mask.appendRank(nil), further...) {
		ts = append(ts, tensorOf[T](r))
	}
	return hm.NewFnType(ts...)
}

// wrtOf is true for all inputs but the statistics and the mask after them.
func (b *batchNorm) wrtOf(inputs, statsAt int) []bool {
	wrt := b.mask.wrt(inputs, statsAt+1)
	if statsAt < inputs {
		wrt[statsAt] = false
	}
	return wrt
}
