package ops

import (
	"slices"
	"sync"

	"github.com/gorgonorm/norm/internal/fault"
)

// SetMoments replaces the running statistics by the mean and the unbiased variance of the
// values that m has seen, and the number of batches by that of m. After an error nothing
// has changed.
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

// Reestimate replaces running statistics by those of a whole data set: the mean and the
// unbiased variance of all values in the training batches of run, as if they were one
// batch. A running average lags behind the weights, and gives the last batches the most
// weight. Statistics of the data at the current weights bring evaluation closer to
// training.
//
// run runs a machine in training mode on one batch after the other, and must not step a
// solver. Batches may differ in size. Pass the statistics of all batch norms of a model
// together: those that are left out go on as running averages meanwhile. The others change
// when run has returned, and not at all after an error.
//
// The statistics of InstanceNorm cannot be re-estimated, since they are means over
// samples, which do not add up to the statistics of a larger batch: RunAll returns
// ErrOption.
//
// Errors: that of run; ErrGraph for nil statistics; ErrBatch for statistics whose ops saw
// no batch; ErrValue if they are not finite; ErrOption for a nil run, and for statistics
// that are in another Reestimate already.
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
	release() // no op writes to the pools after this
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

// poolInto makes training batches go to m instead of the statistics, or, for nil, to the
// statistics again. It returns false if they go to other moments already.
func (s *RunningStats) poolInto(m *Moments) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m != nil && s.pool != nil {
		return false
	}
	s.pool = m
	return true
}
