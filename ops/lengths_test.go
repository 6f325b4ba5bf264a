package ops

import (
	"testing"

	"github.com/gorgonorm/norm/internal/fault"
	"github.com/stretchr/testify/require"
)

// In float32 an axis of 2²⁴ + 3 rounds to 2²⁴ + 4, but a length of 2²⁴ + 4 is still too
// long for it.
func TestLengthBeyondFloat32(t *testing.T) {
	const n = 1<<24 + 3
	require.ErrorIs(t, fromLengths("op", make([]float32, n), []float32{n + 1}, n), fault.ErrValue)
}
