package norm_test

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// whileTraining trains for some steps. Meanwhile it calls each of the others over and
// over, on a goroutine of its own. It trains for more steps if none of them has returned
// by then, as may happen with one processor.
func whileTraining(t *testing.T, steps int, train func(step int) error, others ...func() error) {
	t.Helper()
	var wait sync.WaitGroup
	var done atomic.Bool
	var runs atomic.Int64
	for _, other := range others {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for !done.Load() {
				if err := other(); err != nil {
					t.Error(err)
					return
				}
				runs.Add(1)
			}
		}()
	}
	for step := 0; step < steps || runs.Load() == 0 && !t.Failed(); step++ {
		if err := train(step); err != nil {
			t.Error(err)
			break
		}
	}
	done.Store(true)
	wait.Wait()
	require.Positive(t, runs.Load())
}

// evaluator returns a function that runs a machine in evaluation mode and checks the
// elements of y.
func evaluator(t *testing.T, machine string, y *G.Node, check func(y []float64) error) func() error {
	var tape G.VM = G.NewTapeMachine(y.Graph(), G.EvalMode())
	t.Cleanup(func() { tape.Close() })
	return func() error {
		vm := tape
		if machine == "lisp" { // which runs once
			vm = G.NewLispMachine(y.Graph(), G.EvalMode(), G.ExecuteFwdOnly())
			defer vm.Close()
		}
		if err := vm.RunAll(); err != nil {
			return err
		}
		v := graphtest.Floats(y.Value().(*tensor.Dense))
		if machine == "tape" {
			vm.Reset()
		}
		return check(v)
	}
}

// Step k trains on 0 and 2k in every channel, whose mean is k and whose unbiased variance
// is 2k². With a momentum of 1 these are the running statistics. They normalize 0 to
// −k/√(2k²) = −√½ for every k, but not if a mean and a variance come from different
// steps.
func TestEvaluationWhileTrainingSeesWholeStatistics(t *testing.T) {
	const channels, steps = 33, 300
	for _, machine := range []string{"tape", "lisp"} {
		for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			t.Run(fmt.Sprint(machine, " ", dt), func(t *testing.T) {
				opts := []norm.BatchNormOption{norm.WithMomentum(1), norm.WithEps(1e-30)}
				if machine == "lisp" { // its constructor writes to the values of a graph, so none may be shared
					opts = append(opts, norm.WithoutAffine())
				}
				x := input(G.NewGraph(), constant(dt, channels, 0, 0))
				bn := norm.Must(norm.NewBatchNorm(x.Graph(), dt, channels, opts...))
				norm.Must(bn.Fwd(x))
				vm := G.NewTapeMachine(x.Graph())
				defer vm.Close()
				train := func(step int) error {
					vm.Reset()
					if err := G.Let(x, constant(dt, channels, 0, 2*float64(step+1))); err != nil {
						return err
					}
					return vm.RunAll()
				}
				require.NoError(t, train(0))

				evaluate := func() func() error {
					x := input(G.NewGraph(), constant(dt, channels, 0))
					y := norm.Must(norm.Must(bn.In(x.Graph())).Fwd(x))
					return evaluator(t, machine, y, func(y []float64) error {
						for _, v := range y {
							if math.Abs(v+math.Sqrt(0.5)) > 1e-6 {
								return fmt.Errorf("0 is normalized to %v, by statistics of two steps", v)
							}
						}
						return nil
					})
				}
				read := func() error {
					mean, variance, batches := bn.Running().Values()
					for c := range mean {
						if mean[c] != float64(batches) || variance[c] != 2*mean[c]*mean[c] {
							return fmt.Errorf("mean %v and variance %v after %d batches", mean[c], variance[c], batches)
						}
					}
					return nil
				}
				whileTraining(t, steps, func(step int) error { return train(step + 1) }, evaluate(), evaluate(), read)
			})
		}
	}
}

// Others set and reset the statistics, count batches and evaluate while two machines
// train. Every reading of the statistics must come from a single write.
func TestStatisticsSetWhileTraining(t *testing.T) {
	const channels, steps = 17, 300
	x := input(G.NewGraph(), constant(tensor.Float64, channels, 0, 2))
	bn := norm.Must(norm.NewBatchNorm(x.Graph(), tensor.Float64, channels, norm.WithMomentum(1)))
	machine := func(x *G.Node, bn *norm.BatchNorm) func(int) error {
		norm.Must(bn.Fwd(x))
		vm := G.NewTapeMachine(x.Graph())
		t.Cleanup(func() { vm.Close() })
		return func(int) error {
			vm.Reset()
			return vm.RunAll()
		}
	}
	first := machine(x, bn)
	x2 := input(G.NewGraph(), constant(tensor.Float64, channels, 0, 6))
	second := machine(x2, norm.Must(bn.In(x2.Graph())))
	sevens, eights := slices.Repeat([]float64{7}, channels), slices.Repeat([]float64{8}, channels)
	whole := map[[2]float64]bool{{0, 1}: true, {1, 2}: true, {3, 18}: true, {7, 8}: true}
	whileTraining(t, steps, first,
		func() error { return second(0) },
		func() error { bn.ResetStats(); return nil },
		func() error { return bn.SetStats(sevens, eights) },
		func() error {
			mean, variance := bn.Stats()
			for c := range mean {
				if !whole[[2]float64{mean[c], variance[c]}] || mean[c] != mean[0] {
					return fmt.Errorf("mean %v and variance %v", mean, variance)
				}
			}
			return nil
		})
}

// An iteration ends with u = Wv/‖Wv‖, which shows if u and v are from different
// iterations.
func TestEvaluationWhileTrainingSeesWholeVectors(t *testing.T) {
	const rows, cols, steps = 24, 17, 300
	w := wave(tensor.Float64, 0.3, rows, cols)
	g := G.NewGraph()
	sn := norm.Must(norm.NewSpectralNorm(g, tensor.Float64, tensor.Shape{rows, cols}, norm.WithWeight(w)))
	norm.Must(sn.Weight())
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	data, random := w.Data().([]float64), wave(tensor.Float64, 5, rows, cols).Data().([]float64)
	train := func(step int) error {
		vm.Reset()
		if step%10 == 0 { // so that the next iteration changes them a lot
			if err := sn.Vectors().Set(random[:rows], random[:cols]); err != nil {
				return err
			}
		}
		return vm.RunAll()
	}
	whileTraining(t, steps, train, func() error {
		u, v := sn.Vectors().Values()
		if u[0] == random[0] {
			return nil // just set, not from an iteration
		}
		wv, square := make([]float64, rows), 0.0
		for i := range wv {
			for j := range v {
				wv[i] += data[i*cols+j] * v[j]
			}
			square += wv[i] * wv[i]
		}
		for i := range u {
			if math.Abs(u[i]-wv[i]/math.Sqrt(square)) > 1e-12 {
				return fmt.Errorf("u and v are of two iterations")
			}
		}
		return nil
	}, func() error { // of which the race detector has the last word
		return errorOf(sn.EvalWeight(nil))
	})
}

// Each worker may make layers in a graph of its own.
func TestLayersOfWorkers(t *testing.T) {
	var wait sync.WaitGroup
	for range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for range 100 {
				norm.Must(norm.NewGroupNorm(G.NewGraph(), tensor.Float32, 1, 1))
			}
		}()
	}
	wait.Wait()
}

// A worker has its own graph of the layer, and may build its machine while others build
// and run theirs. This is mainly a test for the race detector.
func TestMachinesOfWorkers(t *testing.T) {
	eachServed(t, func(t *testing.T, g *G.ExprGraph, l served, dt tensor.Dtype) {
		var wait sync.WaitGroup
		defer wait.Wait()
		for range 3 {
			own := G.NewGraph()
			other := norm.Must(l.in(own))
			other.apply(own, dt)
			wait.Add(1)
			go func() {
				defer wait.Done()
				vm := G.NewTapeMachine(own, G.EvalMode())
				defer vm.Close()
				if err := vm.RunAll(); err != nil {
					t.Error(err)
				}
			}()
		}
	})
}
