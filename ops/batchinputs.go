package ops

import (
	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	G "gorgonia.org/gorgonia"
)

// batchIn are the inputs of an op: those with the dtype of the data, and the statistics.
type batchIn[T dense.Float] struct {
	data   [maxInputs][]T // nil for the statistics
	mask   lent[T]        // to be released
	view   kernel.View
	stats  kernel.Stats
	batch  bool           // the statistics are those of x itself
	within *channelGroups // if not nil, each sample has statistics of its own
}

// batchInputs checks and unpacks the inputs. The first is x, number statsAt is the
// statistics, and the mask follows them.
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
