package norm_test

import (
	"testing"
	"time"

	"github.com/gorgonorm/norm"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A machine that goes on training after run has returned adds nothing more to the
// estimate. The race detector checks that none of its batches reach what is being read.
func TestReestimateBesideARunThatGoesOn(t *testing.T) {
	x := input(G.NewGraph(), constant(tensor.Float64, 5, 0, 2))
	// With a momentum of 0 the batches after the estimate do not change the statistics.
	bn := norm.Must(norm.NewBatchNorm(x.Graph(), tensor.Float64, 5, norm.WithMomentum(0)))
	norm.Must(bn.Fwd(x))
	vm := G.NewTapeMachine(x.Graph())
	defer vm.Close()

	first, stop, stopped := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	goesOn := func() error {
		for batch := 0; ; batch++ {
			select {
			case <-stop:
				return nil
			default:
			}
			if err := vm.RunAll(); err != nil {
				return err
			}
			vm.Reset()
			if batch == 0 {
				close(first)
			}
		}
	}
	err := norm.Reestimate(func() error {
		go func() { stopped <- goesOn() }()
		select {
		case <-first:
		case err := <-stopped:
			return err
		}
		time.Sleep(50 * time.Millisecond) // for batches that nothing orders before the end of run
		return nil
	}, bn)
	mean, variance := bn.Stats()
	close(stop)
	require.NoError(t, err)
	require.NoError(t, <-stopped)
	for c := range mean { // of k zeros and k twos
		require.Equal(t, 1.0, mean[c])
		require.Greater(t, variance[c], 1.0)
		require.LessOrEqual(t, variance[c], 2.0)
	}
}
