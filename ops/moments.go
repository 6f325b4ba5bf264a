package ops

import (
	"math"
	"slices"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	"gorgonia.org/tensor"
)

// Moments are the number, the mean and the squared deviations Σ(x − mean)² of the values
// of each channel, in float64. They can be merged: the merged moments of parts of the
// data are those of all of it, up to rounding. Package encoding/gob can send them, see
// MarshalBinary. RunningStats.SetMoments replaces running statistics by moments, such as
// those of a batch that is spread over workers, or of a whole data set.
//
// A NaN or an infinity makes the moments of its channel NaN. The methods are not safe
// for concurrent use: give each goroutine Moments of its own.
//
// Chan, Golub, LeVeque, "Algorithms for computing the sample variance: analysis
// and recommendations", The American Statistician 37 (1983), pages 242 to 247.
type Moments struct {
	axis    int // of the channels, as in BatchNormConfig
	of      kernel.ChannelMoments
	batches int64
}

// NewMoments returns empty moments, for batches with that number of channels in an axis.
// The axis is given as in BatchNormConfig.ChannelAxis: 0 means 1, and negative numbers
// count from the end.
//
// Errors: ErrShape.
func NewMoments(channels, channelAxis int) (*Moments, error) {
	if err := fault.Channels(momentsName, channels); err != nil {
		return nil, err
	}
	if err := fault.GivenChannelAxis(fault.ErrShape, momentsName, "a batch", channelAxis); err != nil {
		return nil, err
	}
	return &Moments{axis: channelAxis, of: kernel.NewChannelMoments(channels)}, nil
}

const momentsName = "moments"

// Add adds the values of a batch of any layout, of float32 or float64. After an
// error nothing has changed.
//
// Errors: ErrDtype, ErrShape, and ErrValue for a nil or masked batch.
func (m *Moments) Add(batch *tensor.Dense) error {
	switch {
	case batch == nil:
		return fault.New(fault.ErrValue, momentsName, "the batch is nil, want a tensor")
	case batch.Dtype() == tensor.Float32:
		return addBatch[float32](m, batch)
	case batch.Dtype() == tensor.Float64:
		return addBatch[float64](m, batch)
	default:
		return fault.New(fault.ErrDtype, momentsName, "the batch is %v, want float32 or float64", batch.Dtype())
	}
}

func addBatch[T dense.Float](m *Moments, batch *tensor.Dense) error {
	shape := batch.Shape()
	axis, err := fault.ChannelAxis(momentsName, "the batch", shape, m.axis)
	if err != nil {
		return err
	}
	if shape[axis] != m.Channels() || shape.TotalSize() == 0 {
		return fault.New(fault.ErrShape, momentsName, "the batch is %v, want %s and no empty axis", shape, fault.WithChannels(m.Channels(), axis))
	}
	data, err := dense.Elements[T](momentsName, "the batch", batch)
	if err != nil {
		return err
	}
	view := axisView(shape, axis)
	b := kernel.NewChannelMoments(m.Channels())
	b.N = float64(view.Count())
	kernel.Moments(data, nil, view, 0, b.Mean, b.Residual, b.M2)
	m.add(b, 1)
	return nil
}

func (m *Moments) add(b kernel.ChannelMoments, batches int64) {
	m.of.Merge(b)
	m.batches += batches
}

// Merge adds the values that other has seen. other is not changed.
//
// Errors: ErrShape for another number of channels, ErrValue for nil.
func (m *Moments) Merge(other *Moments) error {
	if other == nil {
		return fault.New(fault.ErrValue, momentsName, "the other moments are nil, want those to be merged")
	}
	if other.Channels() != m.Channels() {
		return fault.New(fault.ErrShape, momentsName, "%d channels to be merged into %d, want the same number", other.Channels(), m.Channels())
	}
	m.add(other.of, other.batches)
	return nil
}

// Channels returns the number of channels.
func (m *Moments) Channels() int { return len(m.of.Mean) }

// Count returns the number of values of each channel.
func (m *Moments) Count() int { return int(m.of.N) }

// Mean returns the mean of each channel, NaN if there are no values.
func (m *Moments) Mean() []float64 {
	if m.of.N == 0 {
		return slices.Repeat([]float64{math.NaN()}, m.Channels())
	}
	return slices.Clone(m.of.Mean) // float64 cannot hold the residual too
}

// Variance returns the biased variance Σ(x − mean)²/n of each channel, by which
// batch norm normalizes. It is NaN if there are no values.
func (m *Moments) Variance() []float64 { return m.variance(m.of.N) }

// UnbiasedVariance returns Σ(x − mean)²/(n−1), which running statistics keep.
// It is NaN if there are fewer than two values.
func (m *Moments) UnbiasedVariance() []float64 { return m.variance(max(m.of.N-1, 0)) }

func (m *Moments) variance(n float64) []float64 {
	v := make([]float64, m.Channels())
	for c, q := range m.of.M2 {
		v[c] = q / n
	}
	return v
}
