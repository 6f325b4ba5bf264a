package ops_test

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"
)

// Any number of goroutines may evaluate at once.
func TestEvalAtOnce(t *testing.T) {
	eachEval(t, func(t *testing.T, c evalCase, dt tensor.Dtype) {
		in, s := c.values(dt, 0.4), c.stats(t)
		want, err := c.eval(nil, in, s)
		require.NoError(t, err)
		var all sync.WaitGroup
		got := make([]*tensor.Dense, 4)
		for i := range got {
			got[i] = poisoned(dt, want.Shape()...)
			all.Add(1)
			go func() {
				defer all.Done()
				for range 20 {
					if _, err := c.eval(got[i], in, s); err != nil {
						t.Error(err)
					}
				}
			}()
		}
		all.Wait()
		for i := range got {
			requireBits(t, want, got[i], fmt.Sprint("goroutine ", i))
		}
	})
}

// Running statistics that change all the time are read as a whole. Each result is that of
// one state or of the other.
func TestEvalReadsStatisticsWhole(t *testing.T) {
	const channels = 4096
	all := func(v float64) []float64 { return slices.Repeat([]float64{v}, channels) }
	s := running(channels)
	x := graphtest.Dense(tensor.Float64, all(3), 1, channels)
	stop := make(chan struct{})
	var writers, readers sync.WaitGroup
	writers.Add(1)
	go func() {
		defer writers.Done()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			var err error
			if i%2 == 0 {
				err = s.Set(all(1), all(4), ops.KeepBatches) // y = 1
			} else {
				err = s.Set(all(-1), all(1), ops.KeepBatches) // y = 4
			}
			if err != nil {
				t.Error(err)
			}
			runtime.Gosched()
		}
	}()
	require.NoError(t, s.Set(all(1), all(4), ops.KeepBatches))
	for range 4 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			dst, seen := poisoned(tensor.Float64, 1, channels), map[float64]int{}
			for i := 0; seen[1] < 300 || seen[4] < 300; i++ {
				if i == 100_000 {
					t.Errorf("the states were not seen: %v", seen)
					return
				}
				if _, err := ops.EvalBatchNorm(dst, x, nil, nil, s, ops.BatchNormConfig{Eps: 1e-12}); err != nil {
					t.Error(err)
				}
				y := dst.Data().([]float64)
				for _, v := range y {
					if v != y[0] {
						t.Errorf("one result has %v and %v", y[0], v)
						return
					}
				}
				seen[math.Round(y[0]*1e6)/1e6]++
				runtime.Gosched()
			}
			if len(seen) != 2 {
				t.Errorf("mixed states were seen: %v", seen)
			}
		}()
	}
	readers.Wait()
	close(stop)
	writers.Wait()
}

// The constants that batch norm keeps between calls follow every change of the values
// that they are computed from.
func TestEvalFollowsWhatItKeeps(t *testing.T) {
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		s := statsOf(t, 5)
		x, gamma, beta := graphtest.Dense(dt, floats(wave(0.4, 2, 5)), 2, 5), graphtest.Dense(dt, floats(wave(1, 5)), 5), graphtest.Dense(dt, floats(wave(2, 5)), 5)
		cfg := ops.BatchNormConfig{Eps: 1e-3, Momentum: 0.1}
		last := []uint64(nil)
		check := func(what string) {
			t.Helper()
			got, err := ops.EvalBatchNorm(nil, x, gamma, beta, s, cfg)
			require.NoError(t, err, what)
			fresh := running(5) // for which nothing is kept
			mean, variance, _ := s.Values()
			require.NoError(t, fresh.Set(mean, variance, 0))
			want, err := ops.EvalBatchNorm(nil, x, gamma, beta, fresh, cfg)
			require.NoError(t, err, what)
			requireBits(t, want, got, what)
			require.NotEqual(t, last, bits(got), "%s: nothing changed, so the test says nothing", what)
			last = bits(got)
		}
		set := func(d *tensor.Dense, v float64) {
			require.NoError(t, d.SetAt(map[tensor.Dtype]any{tensor.Float32: float32(v), tensor.Float64: v}[dt], 3))
		}
		check("first")
		require.NoError(t, s.Set([]float64{1, 2, 3, 4, 5}, []float64{1, 2, 3, 4, 5}, 0))
		check("statistics set")
		set(gamma, 7)
		check("gamma changed in place")
		set(beta, 5)
		check("beta changed in place")
		gamma, beta = beta, gamma
		check("gamma and beta swapped")
		cfg.Eps = 1
		check("eps changed")
		gamma = nil
		check("no gamma")
		beta = nil
		check("no beta")
		p := newProgram(t, batchNormCase("", 5, cfg, tensor.Shape{2, 5}).with(s), []string{"x", "gamma", "beta"},
			[]*tensor.Dense{x, graphtest.Dense(dt, floats(wave(1, 5)), 5), graphtest.Dense(dt, floats(wave(2, 5)), 5)}, x, false)
		p.run(t)
		check("a training run")
		require.NoError(t, s.SetMoments(momentsOf(t, x)))
		check("moments set")
		s.Reset()
		check("reset")
	}
}

func momentsOf(t *testing.T, x *tensor.Dense) *ops.Moments {
	m, err := ops.NewMoments(5, 1)
	require.NoError(t, err)
	require.NoError(t, m.Add(x))
	return m
}

// Two dtypes that share statistics each have constants of their own.
func TestEvalOfTwoDtypes(t *testing.T) {
	s := statsOf(t, 3)
	for range 3 {
		for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			x := graphtest.Dense(dt, floats(wave(0.4, 2, 3)), 2, 3)
			got := must(ops.EvalBatchNorm(nil, x, nil, nil, s, cfg))
			requireBits(t, must(ops.EvalBatchNorm(nil, x, nil, nil, statsOf(t, 3), cfg)), got, dt.String())
		}
	}
}

// A residual norm fills both destinations, and the sum may replace x or r.
func TestEvalOfResiduals(t *testing.T) {
	layer, rms := ops.LayerNormConfig{Eps: 1e-3}, ops.RMSNormConfig{Eps: 1e-3, ScalePlusOne: true}
	for _, name := range []string{"addlayernorm", "addrmsnorm"} {
		for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			c, eval := evalResidual(name, 0), evalSum(name)
			in := c.values(dt, 0.4)
			y, sum, err := eval(nil, nil, in, layer, rms)
			require.NoError(t, err)
			requireBits(t, c.graph(t, in), y, "y")
			requireBits(t, evalResidual(name, 1).graph(t, in), sum, "sum")

			to := [2]*tensor.Dense{poisoned(dt, 4, 6), poisoned(dt, 4, 6)}
			gotY, gotSum, err := eval(to[0], to[1], in, layer, rms)
			require.NoError(t, err)
			require.Same(t, to[0], gotY)
			require.Same(t, to[1], gotSum)
			requireBits(t, y, gotY, "y")
			requireBits(t, sum, gotSum, "sum")

			for i := range 2 {
				in := c.values(dt, 0.4)
				gotY, gotSum, err := eval(in[1-i], in[i], in, layer, rms) // over both
				require.NoError(t, err)
				requireBits(t, y, gotY, "y")
				requireBits(t, sum, gotSum, "sum")
			}

			gotY, gotSum, err = eval(to[0], to[0], in, layer, rms)
			require.Nil(t, gotY)
			require.Nil(t, gotSum)
			require.ErrorIs(t, err, ops.ErrValue)
			require.EqualError(t, err, "norm: "+name+": the destination of the sum shares memory with that of y, want other memory")
			before := bits(to[0])
			_, _, err = eval(to[0], poisoned(dt, 4, 5), in, layer, rms)
			require.ErrorIs(t, err, ops.ErrShape)
			require.EqualError(t, err, "norm: "+name+": the destination of the sum is (4, 5), want (4, 6)")
			_, _, err = eval(poisoned(dt, 4, 5), to[0], in, layer, rms)
			require.EqualError(t, err, "norm: "+name+": the destination of y is (4, 5), want (4, 6)")
			require.Equal(t, before, bits(to[0]))
		}
	}
}
