package ops

import (
	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/ops/internal/kernel"
)

// fixedNorm is batch norm by running statistics as they are. For a row of values it
// takes longer to make the constants of the channels, a root and a quotient among
// them, than to normalize, so they are kept from call to call: with the running
// statistics, whose lock guards it.
type fixedNorm[T dense.Float] struct {
	norm  kernel.FixedBatchNorm[T]
	users int // who read it at the moment

	// What it is made of.
	changes     uint64
	eps         float64
	gamma, beta []T // empty for none
}

// acquireFixed returns batch norm by the statistics, or nil where they are nil, or where it
// has to be remade while others read the old one. Give it back with release.
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

// matches says whether it is made of these.
func (f *fixedNorm[T]) matches(changes uint64, eps float64, gamma, beta []T) bool {
	return f.changes == changes && f.eps == eps && dense.Same(f.gamma, gamma) && dense.Same(f.beta, beta)
}

func (f *fixedNorm[T]) release(s *RunningStats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.users--
}
