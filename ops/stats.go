package ops

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	G "gorgonia.org/gorgonia"
)

// RunningStats are the running mean and variance of the channels of a batch
// norm, in float64 whatever the dtype of the data. They start at mean 0 and
// variance 1 and move towards those of each training batch:
//
//	running ← (1−m)·running + m·batch
//
// with the unbiased variance of the batch, Σ(x − mean)²/(n−1). A batch with a NaN or an
// infinity makes the statistics of its channel NaN, as in PyTorch, except that the mean
// of an infinity is infinite. They stay so until Set or Reset is called. The other
// channels are not affected.
//
// In a training run the statistics are updated when the op runs, once for each op and all
// channels at once. If the run fails before or inside the op, they are unchanged. If it
// fails later, they have been updated; to undo that, Set the earlier Values.
//
// All methods may be called at any time from any goroutine: every read is a consistent
// snapshot of the mean, the variance and the number of batches. Several ops, graphs or
// machines may share one RunningStats. An evaluation reads once per run, so it
// normalizes by one snapshot even while others train.
type RunningStats struct {
	id uint64 // tells ops with different running statistics apart

	mu             sync.Mutex
	mean, variance []float64
	batches        int64
	pool           *Moments // batches go here instead, see Reestimate

	changes uint64 // how often the mean and the variance have changed
	fixed   any    // nil, or the *fixedNorm[T] that was made last, for either T
}

// lastState is the last id that was given to running statistics or singular vectors.
var lastState atomic.Uint64

// NewRunningStats returns the statistics of a number of channels, at mean 0 and
// variance 1.
//
// Errors: ErrShape for a number that is not positive.
func NewRunningStats(channels int) (*RunningStats, error) {
	if err := fault.Channels("runningstats", channels); err != nil {
		return nil, err
	}
	s := &RunningStats{id: lastState.Add(1), mean: make([]float64, channels), variance: make([]float64, channels)}
	s.Reset()
	return s, nil
}

// Channels returns the number of channels.
func (s *RunningStats) Channels() int { return len(s.mean) }

// Values returns copies of the mean and the variance, and the number of batches that
// updated them. The number counts from the start, from the last Reset, or from the number
// that was last set.
func (s *RunningStats) Values() (mean, variance []float64, batches int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mean), slices.Clone(s.variance), s.batches
}

// KeepBatches as a number of batches leaves the number unchanged.
const KeepBatches = -1

// Set replaces the statistics and the number of batches, which only a cumulative
// average uses. Every value must be finite and no variance negative; if not, nothing
// changes.
//
// Errors: ErrShape for another number of channels, ErrValue.
func (s *RunningStats) Set(mean, variance []float64, batches int64) error {
	if err := s.check(mean, variance, batches); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	copy(s.mean, mean)
	copy(s.variance, variance)
	s.changes++
	if batches != KeepBatches {
		s.batches = batches
	}
	return nil
}

// check returns what is wrong with values for Set.
func (s *RunningStats) check(mean, variance []float64, batches int64) error {
	const name = "runningstats"
	if len(mean) != len(s.mean) || len(variance) != len(s.mean) {
		return fault.New(fault.ErrShape, name, "%d means and %d variances, want %d of each", len(mean), len(variance), len(s.mean))
	}
	for c := range mean {
		if !finite(mean[c]) {
			return fault.New(fault.ErrValue, name, "the mean of channel %d is %v, want a finite number", c, mean[c])
		}
		if !(variance[c] >= 0 && finite(variance[c])) {
			return fault.New(fault.ErrValue, name, "the variance of channel %d is %v, want a finite number of at least 0", c, variance[c])
		}
	}
	if batches < 0 && batches != KeepBatches {
		return fault.New(fault.ErrValue, name, "%d batches, want at least 0, or KeepBatches", batches)
	}
	return nil
}

// SetTraining sets the mode of the ops in a graph that have these statistics,
// as building a machine does for all ops.
func (s *RunningStats) SetTraining(g *G.ExprGraph, training bool) { setTraining(g, s, training) }

// Training says whether an op in a graph that has these statistics is in training mode,
// and so updates them. applied says whether there is such an op.
func (s *RunningStats) Training(g *G.ExprGraph) (training, applied bool) { return trainingIn(g, s) }

// Reset goes back to mean 0, variance 1 and no batches.
func (s *RunningStats) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.mean {
		s.mean[c], s.variance[c] = 0, 1
	}
	s.changes++
	s.batches = 0
}

// update updates the statistics by those of a batch or, with means, by the means of those
// of its samples. A cumulative average takes 1/k of the k-th batch. Errors name the op.
func (s *RunningStats) update(name string, batch kernel.ChannelMoments, means bool, cfg BatchNormConfig) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pool != nil {
		if means {
			return fault.New(fault.ErrOption, name, "the running statistics are means over samples, want those of batch norm for Reestimate")
		}
		s.pool.add(batch, 1)
		return nil
	}
	s.batches++
	s.changes++
	m := cfg.Momentum
	if cfg.Cumulative {
		m = 1 / float64(s.batches)
	}
	if m == 0 {
		return nil // they never change, not even by a NaN
	}
	n := len(s.mean)
	mean, variance := s.mean, s.variance[:n]
	hi, lo, m2, dof := batch.Mean[:n], batch.Residual[:n], batch.M2[:n], batch.N-1
	for c := range mean {
		mean[c] = (1-m)*mean[c] + m*(hi[c]+lo[c])
		variance[c] = (1-m)*variance[c] + m*(m2[c]/dof)
	}
	return nil
}

// read copies the statistics that batch norm normalizes by.
func (s *RunningStats) read(to kernel.Stats, eps float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readLocked(to, eps)
}

func (s *RunningStats) readLocked(to kernel.Stats, eps float64) {
	clear(to.Residual)
	copy(to.Mean, s.mean)
	kernel.Rstd(to.Rstd, s.variance, 1, eps)
}
