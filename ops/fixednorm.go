package ops

import (
	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/ops/internal/kernel"
)

// fixedNorm is batch norm by fixed running statistics. For a single row it takes longer
// to compute the constants of the channels, with a root and a quotient, than to
// normalize. So they are kept between calls, with the running statistics, whose lock
// guards them.
type fixedNorm[T dense.Float] struct {
	norm  kernel.FixedBatchNorm[T]
	users int // how many calls are reading it

	// What the constants are computed from.
	changes     uint64
	eps         float64
	gamma, beta []T // empty for none
}

// acquireFixed returns batch norm by the statistics. It returns nil if they are nil, or
// if the constants have to be computed anew while others read the old ones. The result
// has to be given back with release.
func acquireFixed[T dense.Float](s *RunningStats, gamma, beta []T, eps float64) *fixedNorm[T] {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.fixed.(*fixedNorm[T])
	if !ok {
		f = &fixedNorm[T]{norm: kernel.NewFixedBatchNorm[T](len(s.mean))}
		s.fixed = f
	} else if f.matches(s.changes, eps, gamma, beta) {
		f.users++
		return f
	}
	if f.users > 0 {
		return nil
	}
	packed := kernel.Borrow[float64](statsLen(len(s.mean)))
	defer packed.Release()
	stats, _ := unpackStats(packed.Data, len(s.mean))
	s.readLocked(stats, eps)
	f.norm.Set(gamma, beta, stats)
	f.changes, f.eps = s.changes, eps
	f.gamma, f.beta = append(f.gamma[:0], gamma...), append(f.beta[:0], beta...)
	f.users++
	return f
}

// matches says whether the constants are computed from these.
func (f *fixedNorm[T]) matches(changes uint64, eps float64, gamma, beta []T) bool {
	return f.changes == changes && f.eps == eps && dense.Same(f.gamma, gamma) && dense.Same(f.beta, beta)
}

func (f *fixedNorm[T]) release(s *RunningStats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.users--
}
