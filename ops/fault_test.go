package ops_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/gorgonorm/norm/diff"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// faultyCase is an op with a fault in one of its kernels, whose work is shared with other
// goroutines.
func faultyCase(in *string) opCase {
	rows, cols := 520, 512 // enough to wake workers
	if raceDetector {
		rows = 40 // the kernels' own tests cover the workers
	}
	return opCase{
		name: "faulty", names: []string{"x", "gamma", "beta"}, shapes: []tensor.Shape{{rows, cols}, {cols}, {cols}},
		build: func(n G.Nodes, _ *ops.RunningStats) (*G.Node, error) {
			return ops.FaultyNorm(n[0], n[1], n[2], in)
		},
	}
}

// A panic in a kernel, in a goroutine of its own or not, is an error of RunAll that names
// the op, in both machines. Afterwards the machine, the op and the pools of the kernels
// work as before.
func TestFaultIsAnErrorOfRunAll(t *testing.T) {
	const rounds = 2
	for _, procs := range []int{1, 4} {
		for _, where := range []string{"forward", "backward", "second"} {
			t.Run(fmt.Sprintf("%s on %d", where, procs), func(t *testing.T) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
				var fault string
				c := faultyCase(&fault)
				dy := c.dy(t, tensor.Float64)
				p := newProgram(t, c.with(nil), c.names, c.values(tensor.Float64, 0.4), dy, true)
				second, err := diff.Grad(G.Must(G.Sum(G.Must(G.Square(p.grads[0])))), p.in[0])
				require.NoError(t, err)
				p.grads = append(p.grads, second...)

				vm := G.NewTapeMachine(p.g)
				defer vm.Close()
				require.NoError(t, vm.RunAll())
				want := clones(p.values())
				goroutines := runtime.NumGoroutine()
				for range rounds {
					fault = where
					vm.Reset()
					requireFault(t, vm.RunAll())
					fault = ""
					vm.Reset()
					require.NoError(t, vm.RunAll())
					for i, v := range p.values() {
						require.True(t, slices.Equal(want[i].Data().([]float64), v.Data().([]float64)), "output %d after a fault", i)
					}
				}
				require.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+procs }, time.Minute, time.Millisecond)
			})
		}
	}
}

func requireFault(t *testing.T, err error) {
	t.Helper()
	require.True(t, ops.Is(err, ops.ErrInternal), "%v", err)
	require.ErrorContains(t, err, "norm: Faulty")
	require.ErrorContains(t, err, "internal fault: runtime error")
}

func TestFaultIsAnErrorOfLispMachines(t *testing.T) {
	if raceDetector {
		t.Skip("Gorgonia's lisp machine has a race of its own when its run fails")
	}
	var fault string
	c := faultyCase(&fault)
	dy, vs := c.dy(t, tensor.Float64), c.values(tensor.Float64, 0.4)
	want, err := graphtest.Lisp(c.with(nil), vs, dy)
	require.NoError(t, err)
	for _, fault = range []string{"forward", "backward"} {
		_, err := graphtest.Lisp(c.with(nil), vs, dy)
		requireFault(t, err)
		fault = ""
		got, err := graphtest.Lisp(c.with(nil), vs, dy)
		require.NoError(t, err)
		requireSameResult(t, want, got, 0, "after a fault")
	}
}

// Every op turns panics into errors. Do panics inside for a value whose memory is shorter
// than its shape, and DoDiff if there are no nodes.
func TestEveryOpReturnsItsFaults(t *testing.T) {
	eachCall(t, tensor.Float64, func(t *testing.T, c call) {
		for i, v := range c.in {
			short := v.(*tensor.Dense).Clone().(*tensor.Dense)
			if short.Size() == 1 {
				continue // a tensor without memory is a masked one
			}
			short.Raw = short.Raw[:8]
			_, err := c.op.Do(c.replaced(i, short)...)
			require.ErrorIs(t, err, ops.ErrInternal, "input %d", i)
			require.ErrorContains(t, err, c.op.String()[len("norm."):])
		}
		err := c.op.(G.ADOp).DoDiff(G.ExecutionContext{}, nil, nil)
		if !slices.Contains(c.op.(G.SDOp).DiffWRT(len(c.in)), true) { // the op has no gradient
			require.NoError(t, err)
		} else if !errors.Is(err, ops.ErrOrder) {
			require.ErrorIs(t, err, ops.ErrInternal)
			require.ErrorContains(t, err, c.op.String()[len("norm."):])
		}
	})
}
