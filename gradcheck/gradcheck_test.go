package gradcheck_test

import (
	"errors"
	"math"
	"testing"

	"github.com/gorgonorm/norm/diff"
	"github.com/gorgonorm/norm/gradcheck"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// values returns an irregular tensor without zeros or equal elements, in ±(0.2, 1.7).
func values(shape ...int) *tensor.Dense {
	data := make([]float64, tensor.Shape(shape).TotalSize())
	for i := range data {
		data[i] = 0.95 + 0.75*math.Sin(float64(7*i+1))
		if i%3 == 1 {
			data[i] = -data[i]
		}
	}
	return dense(shape, data)
}

func lift1(f func(*G.Node) (*G.Node, error)) gradcheck.Func {
	return func(in G.Nodes) (*G.Node, error) { return f(in[0]) }
}

func lift2(f func(a, b *G.Node) (*G.Node, error)) gradcheck.Func {
	return func(in G.Nodes) (*G.Node, error) { return f(in[0], in[1]) }
}

func compose(first gradcheck.Func, rest ...func(*G.Node) (*G.Node, error)) gradcheck.Func {
	return func(in G.Nodes) (*G.Node, error) {
		n, err := first(in)
		for _, f := range rest {
			if err == nil {
				n, err = f(n)
			}
		}
		return n, err
	}
}

func sumAll(n *G.Node) (*G.Node, error) { return G.Sum(n) }

// layer has parameters of its own: it is tanh(x·W + b).
func layer(in G.Nodes) (*G.Node, error) {
	x := in[0]
	w := G.NewMatrix(x.Graph(), G.Float64, G.WithShape(x.Shape()[1], 3), G.WithInit(G.GlorotN(1)), G.WithName("w"))
	b := G.NewMatrix(x.Graph(), G.Float64, G.WithShape(1, 3), G.WithValue(values(1, 3)), G.WithName("b"))
	xw, err := G.Mul(x, w)
	if err != nil {
		return nil, err
	}
	xwb, err := G.BroadcastAdd(xw, b, nil, []byte{0})
	if err != nil {
		return nil, err
	}
	return G.Tanh(xwb)
}

// twice gives x two consumers: x³·tanh(x) + x.
func twice(in G.Nodes) (*G.Node, error) {
	c, err := newCube().of(in)
	if err != nil {
		return nil, err
	}
	t, err := G.Tanh(in[0])
	if err != nil {
		return nil, err
	}
	ct, err := G.HadamardProd(c, t)
	if err != nil {
		return nil, err
	}
	return G.Add(ct, in[0])
}

func TestRightGradientsPass(t *testing.T) {
	conv := func(im, filter *G.Node) (*G.Node, error) {
		return G.Conv2d(im, filter, tensor.Shape{2, 2}, []int{0, 0}, []int{1, 1}, []int{1, 1})
	}
	for _, tc := range []struct {
		name string
		f    gradcheck.Func
		in   []*tensor.Dense
	}{
		{"itself", lift1(func(n *G.Node) (*G.Node, error) { return n, nil }), []*tensor.Dense{values(2, 3)}},
		{"tanh", lift1(G.Tanh), []*tensor.Dense{values(3, 4)}},
		{"tanh of a vector", lift1(G.Tanh), []*tensor.Dense{values(5)}},
		{"one element", lift2(G.Add), []*tensor.Dense{values(1, 1), values(1, 1)}},
		{"exp of a scalar", lift1(G.Exp), []*tensor.Dense{tensor.New(tensor.FromScalar(0.7))}},
		{"scalar times tensor", lift2(G.Mul), []*tensor.Dense{values(2, 2), tensor.New(tensor.FromScalar(0.7))}},
		{"mean", compose(lift1(G.Square), func(n *G.Node) (*G.Node, error) { return G.Mean(n) }), []*tensor.Dense{values(3, 4)}},
		{"sum over an axis", compose(lift1(G.Exp), func(n *G.Node) (*G.Node, error) { return G.Sum(n, 1) }), []*tensor.Dense{values(3, 4)}},
		{"product", lift2(G.HadamardProd), []*tensor.Dense{values(2, 3, 2), values(2, 3, 2)}},
		{"matrix product", lift2(G.Mul), []*tensor.Dense{values(3, 4), values(4, 2)}},
		{"matrix vector product", lift2(G.Mul), []*tensor.Dense{values(3, 4), values(4)}},
		{"convolution", lift2(conv), []*tensor.Dense{values(1, 2, 4, 3), values(2, 2, 2, 2)}},
		{"binary cross-entropy", lift2(func(y, target *G.Node) (*G.Node, error) {
			return G.BinaryXent(G.Must(G.Square(G.Must(G.Sigmoid(y)))), target)
		}), []*tensor.Dense{values(2, 3), values(2, 3)}},
		{"custom op", lift1(func(n *G.Node) (*G.Node, error) { return newCube().of(G.Nodes{n}) }), []*tensor.Dense{values(2, 3)}},
		{"two consumers", twice, []*tensor.Dense{values(2, 3)}},
		{"own parameters", layer, []*tensor.Dense{values(4, 2)}},
		{"own parameters, scalar result", compose(layer, sumAll), []*tensor.Dense{values(4, 2)}},
		{"binary cross-entropy of probabilities", lift2(G.BinaryXent), []*tensor.Dense{dense([]int{3}, []float64{0.2, 0.7, 0.4}), dense([]int{3}, []float64{1, 0, 0.3})}},
		{"as much on one side as on the other", lift1(G.Square), []*tensor.Dense{dense([]int{1}, []float64{1.5 / (1 << 11)})}},
		{"large values", lift1(G.Sqrt), []*tensor.Dense{dense([]int{3}, []float64{1e6, 300, 2})}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.NoError(t, gradcheck.Check(tc.f, tc.in))
		})
	}
}

func TestWrongOpIsCaught(t *testing.T) {
	mean := func(dx, dy []float64) { // right when dy is the same everywhere
		m := 0.0
		for _, v := range dy {
			m += v / float64(len(dy))
		}
		for i := range dx {
			dx[i] *= m / dy[i]
		}
	}
	negate := func(dx, _ []float64) {
		for i := range dx {
			dx[i] = -dx[i]
		}
	}
	oneElement := func(dx, _ []float64) { dx[4] += 1e-5 }
	nan := func(dx, _ []float64) { dx[2] = math.NaN() }
	infinite := func(dx, _ []float64) { dx[2] = math.Inf(-1) }
	for _, tc := range []struct {
		name    string
		spoil   func(*cube)
		machine gradcheck.Machine
		off     int
		text    string
	}{
		{"sign in SymDiff", func(op *cube) { op.symbolic = negate }, gradcheck.Tape, 6, "6 of 6 elements off"},
		{"sign in DoDiff", func(op *cube) { op.direct = negate }, gradcheck.Lisp, 6, "6 of 6 elements off"},
		{"one element in SymDiff", func(op *cube) { op.symbolic = oneElement }, gradcheck.Tape, 1, "  x[1,1]: gradient "},
		{"one element in DoDiff", func(op *cube) { op.direct = oneElement }, gradcheck.Lisp, 1, "  x[1,1]: gradient "},
		{"uneven upstream only, SymDiff", func(op *cube) { op.symbolic = mean }, gradcheck.Tape, 6, "d cost/d x"},
		{"uneven upstream only, DoDiff", func(op *cube) { op.direct = mean }, gradcheck.Lisp, 6, "d cost/d x"},
		{"NaN", func(op *cube) { op.symbolic = nan }, gradcheck.Tape, 1, "x[0,2]: gradient NaN"},
		{"infinity in SymDiff", func(op *cube) { op.symbolic = infinite }, gradcheck.Tape, 1, "x[0,2]: gradient -Inf"},
		{"infinity in DoDiff", func(op *cube) { op.direct = infinite }, gradcheck.Lisp, 1, "x[0,2]: gradient -Inf"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			op := newCube()
			tc.spoil(op)
			f := func(in G.Nodes) (*G.Node, error) {
				y, err := op.of(in)
				if err != nil {
					return nil, err
				}
				return G.Add(y, in[1]) // whose gradient is right
			}
			x := []*tensor.Dense{values(2, 3), values(2, 3)}
			err := gradcheck.Check(f, x, gradcheck.WithNames("x", "b"))
			var e *gradcheck.Error
			require.ErrorAs(t, err, &e)
			require.Len(t, e.Mismatches, tc.off)
			for _, m := range e.Mismatches {
				require.Equal(t, tc.machine, m.Machine)
				require.Equal(t, "x", m.Input)
			}
			require.ErrorContains(t, err, tc.text)
			require.ErrorContains(t, err, "gradcheck: "+tc.machine.String()+": d cost/d x: ")
			other := (gradcheck.Tape | gradcheck.Lisp) &^ tc.machine
			require.NoError(t, gradcheck.Check(f, x, gradcheck.WithMachines(other)))
		})
	}
}

// DoDiff of an op that assigns is right until its input has a second consumer whose
// gradient arrives first.
func TestAssignmentInDoDiffIsCaught(t *testing.T) {
	op := newCube()
	op.assign = true
	require.NoError(t, gradcheck.Check(op.of, []*tensor.Dense{values(2, 3)}))

	op = newCube()
	op.assign = true
	f := func(in G.Nodes) (*G.Node, error) {
		a, err := op.of(in)
		if err != nil {
			return nil, err
		}
		b, err := G.HadamardProd(a, in[0])
		if err != nil {
			return nil, err
		}
		return G.Tanh(b)
	}
	err := gradcheck.Check(f, []*tensor.Dense{values(2, 3)})
	require.ErrorContains(t, err, "gradcheck: lisp machine: d cost/d input 0: 6 of 6 elements off\n  input 0[")
}

// Wrong gradients of leaves that the function makes are reported under the leaf's name.
func TestWrongLeafIsNamed(t *testing.T) {
	op := newCube()
	op.symbolic = func(dx, _ []float64) { dx[1] *= 2 }
	f := func(in G.Nodes) (*G.Node, error) {
		gamma := G.NewVector(in[0].Graph(), G.Float64, G.WithShape(3), G.WithValue(values(3)), G.WithName("gamma"))
		require.NotSame(t, in[0], gamma, "as a node of its name would be")
		y, err := G.ApplyOp(op, gamma)
		if err != nil {
			return nil, err
		}
		return G.HadamardProd(in[0], y)
	}
	x := []*tensor.Dense{values(3)}
	err := gradcheck.Check(f, x, gradcheck.WithNames("gamma"))
	require.ErrorContains(t, err, "gradcheck: tape machine: d cost/d gamma: 1 of 3 elements off\n  gamma[1]: gradient")
	require.NoError(t, gradcheck.Check(f, x, gradcheck.WithoutGradOf("gamma")))
}

func TestOpsForOneMachine(t *testing.T) {
	x := []*tensor.Dense{values(2, 3)}
	lispOnly := func(in G.Nodes) (*G.Node, error) {
		op := newCube()
		return G.ApplyOp(&adOnly{struct{ G.Op }{op}, op.DoDiff}, in[0])
	}
	require.ErrorContains(t, gradcheck.Check(lispOnly, x), "no symbolic derivative")
	require.NoError(t, gradcheck.Check(lispOnly, x, gradcheck.WithMachines(gradcheck.Lisp)))

	tapeOnly := func(in G.Nodes) (*G.Node, error) {
		op := newCube()
		return G.ApplyOp(&sdOnly{struct{ G.Op }{op}, op}, in[0])
	}
	require.ErrorContains(t, gradcheck.Check(tapeOnly, x), "lisp machine: d cost/d input 0: 6 of 6 elements off")
	require.NoError(t, gradcheck.Check(tapeOnly, x, gradcheck.WithMachines(gradcheck.Tape)))
}

func TestMaxElementsStillFindsOneWrongElement(t *testing.T) {
	for _, at := range []int{0, 321, 999} {
		op := newCube()
		op.symbolic = func(dx, _ []float64) { dx[at] += 1e-4 }
		op.direct = op.symbolic
		x := []*tensor.Dense{values(40, 25)}
		err := gradcheck.Check(op.of, x, gradcheck.WithMaxElements(5), gradcheck.WithNames("x"))
		var e *gradcheck.Error
		require.ErrorAs(t, err, &e)
		found := map[bool]string{false: "1 of 5 elements off", true: "1 of 6 elements off"}[at == 321] // which had to be searched for
		require.ErrorContains(t, err, found+", 3 of 3 directions off")
		for _, machine := range []gradcheck.Machine{gradcheck.Tape, gradcheck.Lisp} {
			elements, directions := 0, 0
			for _, m := range e.Mismatches {
				switch {
				case m.Machine != machine:
				case m.Direction > 0:
					directions++
				default:
					elements++
					require.Equal(t, []int{at / 25, at % 25}, m.Index)
				}
			}
			require.Equal(t, 1, elements)
			require.Equal(t, 3, directions)
		}
	}
	op := newCube()
	require.NoError(t, gradcheck.Check(op.of, []*tensor.Dense{values(40, 25)}, gradcheck.WithMaxElements(1)))
	require.Less(t, op.calls, 50)

	// Where all elements are checked there is nothing for a direction to find.
	op.symbolic = func(dx, _ []float64) { dx[0]++ }
	err := gradcheck.Check(op.of, []*tensor.Dense{values(5)}, gradcheck.WithMaxElements(5))
	require.ErrorContains(t, err, "1 of 5 elements off\n")
}

// A NaN is the worst of the elements that are off.
func TestNaNIsTheWorst(t *testing.T) {
	op := newCube()
	op.symbolic = func(dx, _ []float64) { dx[0], dx[1], dx[2] = 1e300, math.NaN(), math.Inf(1) }
	var e *gradcheck.Error
	require.ErrorAs(t, gradcheck.Check(op.of, []*tensor.Dense{values(3)}, gradcheck.WithMachines(gradcheck.Tape)), &e)
	require.Len(t, e.Mismatches, 3)
	require.Equal(t, []int{0}, e.Mismatches[2].Index)
}

// The tolerance does not count the rounding of large elements of the result that do not
// move.
func TestToleranceIsOfWhatMoves(t *testing.T) {
	x := tensor.New(tensor.WithShape(2), tensor.WithBacking([]float64{0.5, 1e4}))
	op := newCube()
	require.NoError(t, gradcheck.Check(op.of, []*tensor.Dense{x}))
	op.symbolic = func(dx, _ []float64) { dx[0] += 1e-3 }
	var e *gradcheck.Error
	require.ErrorAs(t, gradcheck.Check(op.of, []*tensor.Dense{x}), &e)
	require.Len(t, e.Mismatches, 1)

	// The step grows with x, so the rounding of y = 1e18 does not hide an error of a
	// millionth.
	x, op = tensor.New(tensor.WithShape(1), tensor.WithBacking([]float64{1e6})), newCube()
	require.NoError(t, gradcheck.Check(op.of, []*tensor.Dense{x}))
	op.symbolic = func(dx, _ []float64) { dx[0] *= 1 + 1e-6 }
	require.ErrorAs(t, gradcheck.Check(op.of, []*tensor.Dense{x}), &e)
}

// Where the result does not move a gradient may be what rounding leaves of 0.
func TestToleranceOfWhatDoesNotMove(t *testing.T) {
	op := newCube()
	f := func(in G.Nodes) (*G.Node, error) {
		y, err := op.of(in)
		if err != nil {
			return nil, err
		}
		return G.HadamardProd(y, G.NewConstant(dense([]int{2}, []float64{0, 0})))
	}
	tape := gradcheck.WithMachines(gradcheck.Tape)
	op.symbolic = func(dx, _ []float64) { dx[0] = 1e-13 }
	require.NoError(t, gradcheck.Check(f, []*tensor.Dense{values(2)}, tape))
	op.symbolic = func(dx, _ []float64) { dx[0] = 1e-9 }
	require.Error(t, gradcheck.Check(f, []*tensor.Dense{values(2)}, tape))
}

// Checks may run in parallel, even on the same values.
func TestParallelChecks(t *testing.T) {
	x := []*tensor.Dense{transposed(t, values(2, 3))}
	for range 4 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for range 5 {
				require.NoError(t, gradcheck.Check(twice, x))
			}
		})
	}
}

func TestHoldIsReleased(t *testing.T) {
	none := func(in G.Nodes) (*G.Node, error) { return G.ApplyOp(holdsNothing{newCube()}, in[0]) }
	require.NoError(t, gradcheck.Check(none, []*tensor.Dense{values(3)}))

	boom := errors.New("boom")
	for _, tc := range []struct {
		name  string
		spoil func(*cube)
		then  func(*G.Node) (*G.Node, error)
		text  string
		holds int
	}{
		{"pass", func(*cube) {}, G.Tanh, "", 1},
		{"two nodes", func(*cube) {}, nil, "", 2},
		{"wrong gradient", func(op *cube) { op.direct = func(dx, _ []float64) { dx[0]++ } }, G.Tanh, "off by", 1},
		{"op fails at once", func(op *cube) { op.failAfter = 1 }, G.Tanh, "forward pass: ", 1},
		{"DoDiff fails", func(op *cube) { op.diffErr = boom }, G.Tanh, "lisp machine: ", 1},
		{"op fails in the tape machine", func(op *cube) { op.failAfter = 4 }, G.Tanh, "tape machine: ", 1},
		{"op fails in a difference", func(op *cube) { op.failAfter = 6 }, G.Tanh, "central difference at input 0[0,0]", 1},
		{"bad SymDiff", func(op *cube) { op.grads = 0 }, G.Tanh, "taking the gradients panicked", 1},
		{"shape of the gradient", func(op *cube) { op.total = true }, G.Tanh, "tape machine: gradient of input 0: shape (), want (2, 3)", 1},
		{"noise", func(op *cube) { op.noise = true }, G.Tanh, "two runs at the same values differ: result[0,0] is", 1},
		{"function fails", func(*cube) {}, func(*G.Node) (*G.Node, error) { return nil, boom }, "boom", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			op := newCube()
			tc.spoil(op)
			then := tc.then
			if then == nil {
				then = func(n *G.Node) (*G.Node, error) { return op.of(G.Nodes{n}) }
			}
			err := gradcheck.Check(compose(op.of, then), []*tensor.Dense{values(2, 3)})
			if tc.text == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tc.text)
			}
			require.Equal(t, tc.holds, op.holds)
			require.Zero(t, op.held)
			require.Zero(t, op.state)
		})
	}
}

// An op that only the gradient has is held as well.
func TestGradientIsHeld(t *testing.T) {
	op, inner := newCube(), newCube()
	f := func(in G.Nodes) (*G.Node, error) { return G.ApplyOp(&cubeOfState{op, inner}, in[0]) }
	require.NoError(t, gradcheck.Check(f, []*tensor.Dense{values(3)}))
	require.NotZero(t, inner.calls)
	require.Zero(t, inner.held)
	require.Zero(t, inner.state)
}

func TestEvalMode(t *testing.T) {
	op := newCube()
	op.trainNoise = true
	x := []*tensor.Dense{values(2, 3)}
	require.ErrorContains(t, gradcheck.Check(op.of, x), "two runs at the same values differ")
	require.NoError(t, gradcheck.Check(op.of, x, gradcheck.WithEvalMode()))
}

// These faults of Gorgonia v0.9.18 affect a check. If one of these checks fails, the
// fault has been fixed.
func TestFaultsOfGorgonia(t *testing.T) {
	dropout := compose(lift1(G.Exp), func(n *G.Node) (*G.Node, error) { return G.Dropout(n, 0.5) })
	x := []*tensor.Dense{values(4, 5)}
	require.ErrorContains(t, gradcheck.Check(dropout, x), "two runs at the same values differ")
	// In evaluation dropout leaves values unchanged but still doubles gradients.
	err := gradcheck.Check(dropout, x, gradcheck.WithEvalMode(), gradcheck.WithMachines(gradcheck.Tape))
	require.ErrorContains(t, err, "tape machine: d cost/d input 0: 20 of 20 elements off")

	// The LispMachine cannot differentiate tanh of a single element.
	err = gradcheck.Check(lift1(G.Tanh), []*tensor.Dense{values(1, 1)})
	require.ErrorContains(t, err, "gradcheck: lisp machine: ")
	require.NoError(t, gradcheck.Check(lift1(G.Tanh), []*tensor.Dense{values(1, 1)}, gradcheck.WithMachines(gradcheck.Tape)))
}

// Gorgonia's derivative of the gradient of a broadcast slice is wrong, and that of a
// convolution ends the process.
func TestWithGrad(t *testing.T) {
	of := func(f gradcheck.Func) gradcheck.Func {
		return func(in G.Nodes) (*G.Node, error) {
			y, err := f(in)
			if err != nil {
				return nil, err
			}
			ds, err := diff.Grad(G.Must(G.Sum(G.Must(G.Cube(y)))), in[0])
			if err != nil {
				return nil, err
			}
			return ds[0], nil
		}
	}
	scaled := func(in G.Nodes) (*G.Node, error) {
		first := G.Must(G.Tanh(G.Must(G.Slice(in[0], G.S(0)))))
		return G.BroadcastHadamardProd(in[0], first, nil, []byte{0})
	}
	convolved := func(in G.Nodes) (*G.Node, error) {
		return G.Conv2d(in[0], in[1], tensor.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1})
	}
	tape, byDiff := gradcheck.WithMachines(gradcheck.Tape), gradcheck.WithGrad(diff.Grad)
	require.Error(t, gradcheck.Check(of(scaled), []*tensor.Dense{values(3, 4)}, tape))
	require.NoError(t, gradcheck.Check(of(scaled), []*tensor.Dense{values(3, 4)}, tape, byDiff))
	require.NoError(t, gradcheck.Check(of(convolved), []*tensor.Dense{values(2, 2, 4, 4), values(3, 2, 3, 3)}, tape, byDiff))
	// DiffWRT of the gradient of a softmax panics, and that of a slice omits the other
	// input.
	softmax := lift1(func(n *G.Node) (*G.Node, error) { return G.SoftMax(n) })
	require.ErrorContains(t, gradcheck.Check(of(softmax), []*tensor.Dense{values(3, 4)}, tape), "DiffWRT panics")
	require.NoError(t, gradcheck.Check(of(softmax), []*tensor.Dense{values(3, 4)}, tape, byDiff))
	sliced := lift2(func(a, b *G.Node) (*G.Node, error) {
		return G.HadamardProd(G.Must(G.Slice(a, G.S(1, 3))), b)
	})
	require.NoError(t, gradcheck.Check(of(sliced), []*tensor.Dense{values(3, 4), values(2, 4)}, tape, byDiff))
}

// DiffWRT of CTCLoss has one entry more than there are inputs.
func TestMoreFlagsThanInputs(t *testing.T) {
	loss := func(in G.Nodes) (*G.Node, error) {
		ints := func(name string, data []int, shape ...int) *G.Node {
			v := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
			return G.NewTensor(in[0].Graph(), tensor.Int, len(shape), G.WithShape(shape...), G.WithName(name), G.WithValue(v))
		}
		targets, steps, lengths := ints("targets", []int{1, 2}, 2, 1), ints("steps", []int{4, 4}, 2), ints("lengths", []int{1, 1}, 2)
		return G.CTCLoss(G.Must(G.LogSoftMax(in[0], 2)), targets, steps, lengths, G.ReductionSum)
	}
	require.NoError(t, gradcheck.Check(loss, []*tensor.Dense{values(4, 2, 3)}, gradcheck.WithMachines(gradcheck.Tape)))
}
