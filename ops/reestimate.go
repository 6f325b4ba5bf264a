package ops

import (
	"slices"
	"sync"

	"github.com/gorgonorm/norm/internal/fault"
)

// SetMoments replaces the running statistics by those of the values that m has seen,
// with the unbiased variance, and the number of batches by that of m. After an
// error nothing has changed.
//
// Errors: ErrValue for nil and for moments that are not finite, ErrShape for another
// number of channels, ErrBatch for fewer than two values a channel.
func (s *RunningStats) SetMoments(m *Moments) error {
	if err := s.checkMoments(m); err != nil {
		return err
	}
	return s.Set(m.Mean(), m.UnbiasedVariance(), m.batches)
}

func (s *RunningStats) checkMoments(m *Moments) error {
	const name = "runningstats"
	switch {
	case m == nil:
		return fault.New(fault.ErrValue, name, "the moments are nil, want those of a batch or more")
	case m.Channels() == s.Channels() && m.of.N < 2:
		return fault.New(fault.ErrBatch, name, "the moments are of %d values a channel, want at least 2", m.Count())
	}
	return s.check(m.Mean(), m.UnbiasedVariance(), m.batches)
}

// Reestimate replaces running statistics by those of a whole data set: the mean
// and the unbiased variance of all values that the training batches in run have,
// as if they were one batch. A running average lags behind the weights, and
// remembers the last batches best; statistics of the data at the current weights
// bring evaluation closer to training.
//
// run runs a machine in training mode on one batch after the other, and must not step
// a solver; batches may differ in size. Pass all batch norms of a model together, since
// each sees what the ones before it make of the batch. The running statistics stay as
// they are until run has returned, and if there is an error.
//
// Statistics of InstanceNorm are means over samples, which do not make those of a larger
// batch: they are ErrOption from RunAll.
//
// Errors: that of run; ErrGraph for nil statistics; ErrBatch for statistics
// whose ops saw no batch; ErrValue if they are not finite; ErrOption for a nil run, and if
// they are already being estimated.
//
// Wu, Johnson, "Rethinking 'Batch' in BatchNorm", 2021, arXiv:2105.07576v1,
// section 3.
func Reestimate(run func() error, stats ...*RunningStats) (err error) {
	const name = "reestimate"
	if run == nil {
		return fault.New(fault.ErrOption, name, "run is nil, want a function that runs the batches")
	}
	if i := slices.Index(stats, nil); i >= 0 {
		return fault.New(fault.ErrGraph, name, "statistics %d are nil, want some to be estimated", i)
	}
	pools := map[*RunningStats]*Moments{}
	release := sync.OnceFunc(func() {
		for s := range pools {
			s.poolInto(nil)
		}
	})
	defer release()
	for i, s := range stats {
		if pools[s] != nil {
			continue // given twice
		}
		m, err := NewMoments(s.Channels(), 0)
		if err != nil {
			return err
		}
		if !s.poolInto(m) {
			return fault.OfItem(name, "statistics", i, fault.New(fault.ErrOption, name, "an estimate is under way, want one at a time"))
		}
		pools[s] = m
	}
	if err := run(); err != nil {
		return err
	}
	release() // from here on the pools are nobody else's
	for i, s := range stats {
		if pools[s].batches == 0 {
			return fault.OfItem(name, "statistics", i, fault.New(fault.ErrBatch, name, "no batch was seen, want runs in training mode"))
		}
		if err := s.checkMoments(pools[s]); err != nil {
			return fault.OfItem(name, "statistics", i, err)
		}
	}
	for s, m := range pools {
		if err := s.SetMoments(m); err != nil {
			return err
		}
	}
	return nil
}

// poolInto makes training batches go to m instead of updating the statistics, or
// update them again for nil. It returns false if they go elsewhere already.
func (s *RunningStats) poolInto(m *Moments) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m != nil && s.pool != nil {
		return false
	}
	s.pool = m
	return true
}
