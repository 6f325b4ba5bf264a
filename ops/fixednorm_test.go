package ops

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"
)

// Kept constants are computed anew for other statistics as soon as nobody reads them any
// more.
func TestFixedNormIsRemade(t *testing.T) {
	s, err := NewRunningStats(2)
	require.NoError(t, err)
	acquire := func() *fixedNorm[float64] { return acquireFixed[float64](s, nil, nil, 1e-5) }
	a, b := acquire(), acquire()
	require.Same(t, a, b)
	require.NoError(t, s.Set([]float64{1, 2}, []float64{3, 4}, KeepBatches))
	require.Nil(t, acquire())
	a.release(s)
	require.Nil(t, acquire())
	b.release(s)
	require.Same(t, a, acquire())
	require.True(t, a.matches(s.changes, 1e-5, nil, nil))
}

// An evaluation computes the constants and gives them back, so that they can be computed
// anew.
func TestEvaluationGivesFixedNormBack(t *testing.T) {
	s, err := NewRunningStats(2)
	require.NoError(t, err)
	x := tensor.New(tensor.WithShape(1, 2), tensor.WithBacking([]float64{1, 2}))
	_, err = EvalBatchNorm(nil, x, nil, nil, s, BatchNormConfig{Eps: 1e-5})
	require.NoError(t, err)
	kept := s.fixed.(*fixedNorm[float64])
	require.True(t, kept.matches(s.changes, 1e-5, nil, nil))
	s.Reset()
	require.Same(t, kept, acquireFixed[float64](s, nil, nil, 1e-5))
}
