package ops_test

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"math"
	"slices"
	"testing"

	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"
)

// Moments that were sent merge to the same bits as the original ones.
func TestMomentsAreSent(t *testing.T) {
	batch := func(from float64) *tensor.Dense { return wave(from, 5, 3, 2) }
	here, there := newMoments(t, 3, 1, batch(0), batch(9)), newMoments(t, 3, 1, batch(1e6))
	var wire bytes.Buffer
	require.NoError(t, gob.NewEncoder(&wire).Encode(there))
	var sent ops.Moments
	require.NoError(t, gob.NewDecoder(&wire).Decode(&sent))
	require.Equal(t, there, &sent)
	require.NoError(t, sent.Add(batch(2)), "the axis is the same")
	require.NoError(t, there.Add(batch(2)))

	other := newMoments(t, 3, 1, batch(0), batch(9))
	require.NoError(t, here.Merge(there))
	require.NoError(t, other.Merge(&sent))
	require.Equal(t, here, other)
	require.Equal(t, 40, other.Count())

	// A NaN stays a NaN.
	nan := newMoments(t, 1, 1, tensor.New(tensor.WithShape(1, 1), tensor.WithBacking([]float64{math.NaN()})))
	b, err := nan.MarshalBinary()
	require.NoError(t, err)
	require.NoError(t, sent.UnmarshalBinary(b))
	require.True(t, math.IsNaN(sent.Mean()[0]))
}

func TestMomentsRefuseOtherBytes(t *testing.T) {
	sound, err := newMoments(t, 2, -1, wave(0, 3, 2)).MarshalBinary()
	require.NoError(t, err)
	with := func(at int, x any) []byte {
		b := slices.Clone(sound)
		_, err := binary.Encode(b[at:], binary.LittleEndian, x)
		require.NoError(t, err)
		return b
	}
	const axis, batches, n, channels, m2 = 8, 16, 24, 32, 40 + 2*2*8
	for name, c := range map[string]struct {
		bytes []byte
		want  string
	}{
		"none":              {nil, "0 bytes that do not begin as moments do, want those of MarshalBinary"},
		"a part":            {sound[:39], "39 bytes that do not begin as moments do, want those of MarshalBinary"},
		"others":            {with(0, int64(1)), "88 bytes that do not begin as moments do, want those of MarshalBinary"},
		"one short":         {sound[:87], "87 bytes for 2 channels, want those of MarshalBinary"},
		"one more":          {append(slices.Clone(sound), 0), "89 bytes for 2 channels, want those of MarshalBinary"},
		"a channel short":   {with(channels, int64(1)), "88 bytes for 1 channels, want those of MarshalBinary"},
		"no channels":       {with(channels, int64(0))[:40], "40 bytes for 0 channels, want those of MarshalBinary"},
		"less than none":    {with(n, -1.0), "-1 values of 1 batches, want whole numbers of at least 0"},
		"half a value":      {with(n, 0.5), "0.5 values of 1 batches, want whole numbers of at least 0"},
		"NaN values":        {with(n, math.NaN()), "NaN values of 1 batches, want whole numbers of at least 0"},
		"endless":           {with(n, math.Inf(1)), "+Inf values of 1 batches, want whole numbers of at least 0"},
		"negative batches":  {with(batches, int64(-1)), "3 values of -1 batches, want whole numbers of at least 0"},
		"another axis":      {with(axis, int64(5)), "the channel axis is 5, want -5 to 4, as a batch has rank 2 to 5"},
		"negative variance": {with(m2+8, -2.0), "the squared deviations of channel 1 are -2, want at least 0"},
	} {
		m := newMoments(t, 4, 1, wave(0, 3, 4))
		before, err := m.MarshalBinary()
		require.NoError(t, err)
		err = m.UnmarshalBinary(c.bytes)
		require.EqualError(t, err, "norm: moments: "+c.want, name)
		require.ErrorIs(t, err, ops.ErrValue, name)
		after, err := m.MarshalBinary()
		require.NoError(t, err)
		require.Equal(t, before, after, name)
	}
}
