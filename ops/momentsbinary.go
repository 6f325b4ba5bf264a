package ops

import (
	"encoding/binary"
	"math"

	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops/internal/kernel"
)

// momentsHeader is the beginning of marshalled moments, in little endian. It is followed
// by the means of all channels, their rounding errors and the squared deviations.
type momentsHeader struct {
	Magic    [8]byte
	Axis     int64
	Batches  int64
	N        float64
	Channels int64
}

var momentsMagic = [8]byte([]byte("moments1"))

// MarshalBinary returns the moments as bytes, for another process that merges them.
// Package encoding/gob, and so net/rpc, uses it to send them.
//
// Errors: none.
func (m *Moments) MarshalBinary() ([]byte, error) {
	h := momentsHeader{momentsMagic, int64(m.axis), m.batches, m.of.N, int64(m.Channels())}
	out, err := binary.Append(nil, binary.LittleEndian, h)
	for _, values := range [][]float64{m.of.Mean, m.of.Residual, m.of.M2} {
		if err == nil {
			out, err = binary.Append(out, binary.LittleEndian, values)
		}
	}
	return out, err
}

// UnmarshalBinary sets the moments to those that MarshalBinary has returned, bit for bit.
// After an error nothing has changed.
//
// Errors: ErrValue for bytes that are not moments.
func (m *Moments) UnmarshalBinary(data []byte) error {
	var h momentsHeader
	used, err := binary.Decode(data, binary.LittleEndian, &h)
	values := data[used:]
	switch {
	case err != nil || h.Magic != momentsMagic:
		return fault.New(fault.ErrValue, momentsName, "%d bytes that do not begin as moments do, want those of MarshalBinary", len(data))
	case h.Channels < 1 || h.Channels != int64(len(values)/(3*8)) || len(values)%(3*8) != 0:
		return fault.New(fault.ErrValue, momentsName, "%d bytes for %d channels, want those of MarshalBinary", len(data), h.Channels)
	case !(h.N >= 0) || h.N != math.Trunc(h.N) || math.IsInf(h.N, 1) || h.Batches < 0:
		return fault.New(fault.ErrValue, momentsName, "%v values of %d batches, want whole numbers of at least 0", h.N, h.Batches)
	}
	if err := fault.GivenChannelAxis(fault.ErrValue, momentsName, "a batch", int(h.Axis)); err != nil {
		return err
	}
	of := kernel.NewChannelMoments(int(h.Channels))
	of.N = h.N
	for _, into := range [][]float64{of.Mean, of.Residual, of.M2} {
		n, err := binary.Decode(values, binary.LittleEndian, into)
		if err != nil {
			return fault.New(fault.ErrInternal, momentsName, "%v", err)
		}
		values = values[n:]
	}
	for c, q := range of.M2 {
		if q < 0 {
			return fault.New(fault.ErrValue, momentsName, "the squared deviations of channel %d are %v, want at least 0", c, q)
		}
	}
	*m = Moments{int(h.Axis), of, h.Batches}
	return nil
}
