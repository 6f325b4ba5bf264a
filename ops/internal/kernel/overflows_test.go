package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// An infinity passes where rounding gives it, or errors allow it, and nowhere else.
func TestOverflows(t *testing.T) {
	const top, half = math.MaxFloat32, 0x1p103
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		got            float32
		want, distance float64
		ok             bool
	}{
		{inf, top + half, 0, true},
		{inf, top + half/2, 0, false},
		{inf, top + half/2, half / 2, true},
		{inf, top, half / 2, false},
		{inf, top, half, true},
		{-inf, -top - half, 0, true},
		{-inf, top + half, 0, false},
		{top, top + half, 0, false},
		{inf, math.Inf(1), 0, true},
	} {
		require.Equal(t, c.ok, overflows(c.got, c.want, c.distance), c)
	}
	beyond := float64(top + half)
	require.Equal(t, inf, float32(beyond))
	require.Equal(t, float32(top), float32(math.Nextafter(beyond, 0)))
	require.True(t, overflows(math.Inf(1), math.MaxFloat64, 0x1p970))
	require.False(t, overflows(math.Inf(1), math.MaxFloat64, 0x1p969))
}
