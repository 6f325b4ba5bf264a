package gradcheck_test

import (
	"errors"
	"fmt"
	"hash"
	"sync/atomic"

	"github.com/chewxy/hm"
	"github.com/gorgonorm/norm/internal/opcall"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

var instances atomic.Int64

// cube computes x³, with a derivative that is right or wrong as the fields say.
type cube struct {
	id       int64
	symbolic func(dx, dy []float64) // spoils the gradient from SymDiff
	direct   func(dx, dy []float64) // spoils the gradient that DoDiff adds
	assign   bool                   // DoDiff overwrites instead of adding
	diffErr  error
	total    bool // SymDiff returns the sum of the gradient
	wrt      []bool
	grads    int // how many gradients SymDiff returns

	failAfter int // Do fails from this call on, if positive
	calls     int
	noise     bool
	training  bool

	trainNoise bool
	held       int
	holds      int
	state      int
}

func newCube() *cube {
	return &cube{id: instances.Add(1), wrt: []bool{true}, grads: 1}
}

// adOnly hides the methods of an SDOp, sdOnly those of an ADOp.
type adOnly struct {
	G.Op
	diff func(G.ExecutionContext, G.Nodes, *G.Node) error
}

func (op *adOnly) DoDiff(ctx G.ExecutionContext, in G.Nodes, out *G.Node) error {
	return op.diff(ctx, in, out)
}

type sdOnly struct {
	G.Op
	sd G.SDOp
}

func (op *sdOnly) DiffWRT(n int) []bool { return op.sd.DiffWRT(n) }
func (op *sdOnly) SymDiff(in G.Nodes, out, grad *G.Node) (G.Nodes, error) {
	return op.sd.SymDiff(in, out, grad)
}

func (op *cube) of(in G.Nodes) (*G.Node, error) { return G.ApplyOp(op, in[0]) }

func elementwise(arity int) hm.Type {
	types := make([]hm.Type, arity+1)
	for i := range types {
		types[i] = hm.TypeVariable('a')
	}
	return hm.NewFnType(types...)
}

func (op *cube) Arity() int            { return 1 }
func (op *cube) Type() hm.Type         { return elementwise(1) }
func (op *cube) ReturnsPtr() bool      { return true }
func (op *cube) CallsExtern() bool     { return false }
func (op *cube) OverwritesInput() int  { return -1 }
func (op *cube) String() string        { return fmt.Sprintf("cube%d", op.id) }
func (op *cube) WriteHash(h hash.Hash) { fmt.Fprint(h, op) }
func (op *cube) Hashcode() uint32      { return opcall.Hashcode(op) }
func (op *cube) DiffWRT(int) []bool    { return op.wrt }
func (op *cube) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	return in[0].(tensor.Shape).Clone(), nil
}

func (op *cube) SetTraining(training bool) error {
	op.training = training
	return nil
}

func (op *cube) Hold() func() {
	op.held++
	op.holds++
	return func() { op.held-- }
}

// holdsNothing returns a nil release.
type holdsNothing struct{ *cube }

func (holdsNothing) Hold() func() { return nil }

// cubeOfState has an op with state in its symbolic derivative.
type cubeOfState struct {
	*cube
	inner *cube
}

func (op *cubeOfState) SymDiff(in G.Nodes, out, grad *G.Node) (G.Nodes, error) {
	dx, err := op.cube.SymDiff(in, out, grad)
	if err != nil {
		return nil, err
	}
	y, err := op.inner.of(in)
	if err != nil {
		return nil, err
	}
	zero, err := G.Sub(y, y)
	if err != nil {
		return nil, err
	}
	dx[0], err = G.Add(dx[0], zero)
	return dx, err
}

// flattened has another shape than it says.
type flattened struct{ *cube }

func (flattened) Type() hm.Type {
	return hm.NewFnType(G.TensorType{Dims: 2, Of: tensor.Float64}, G.TensorType{Dims: 1, Of: tensor.Float64})
}
func (flattened) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	return tensor.Shape{in[0].(tensor.Shape).TotalSize()}, nil
}

func (op *cube) Do(in ...G.Value) (G.Value, error) {
	op.calls++
	if op.held == 0 {
		op.state++
	}
	if op.failAfter > 0 && op.calls >= op.failAfter {
		return nil, errors.New("out of toys")
	}
	y := elements(in[0])
	for i, v := range y {
		y[i] = v * v * v
		if op.noise || op.trainNoise && op.training {
			y[i] += float64(op.calls)
		}
	}
	return dense(in[0].Shape(), y), nil
}

func (op *cube) SymDiff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	dx, err := G.ApplyOp(&cubeGrad{op}, in[0], grad)
	if err == nil && op.total {
		dx, err = G.Sum(dx)
	}
	return G.Nodes{dx}[:op.grads], err
}

func (op *cube) DoDiff(_ G.ExecutionContext, in G.Nodes, out *G.Node) error {
	if op.diffErr != nil {
		return op.diffErr
	}
	dy, err := out.Grad()
	if err != nil {
		return err
	}
	g, err := in[0].Grad()
	if err != nil {
		return err
	}
	term := cubeTerm(elements(in[0].Value()), elements(dy), op.direct)
	t := g.(*tensor.Dense)
	data := t.Data().([]float64)
	for i, k := range positions(t) {
		if op.assign {
			data[k] = 0
		}
		data[k] += term[i]
	}
	return nil
}

func cubeTerm(x, dy []float64, spoil func(dx, dy []float64)) []float64 {
	dx := make([]float64, len(x))
	for i, v := range x {
		dx[i] = 3 * v * v * dy[i]
	}
	if spoil != nil {
		spoil(dx, dy)
	}
	return dx
}

type cubeGrad struct{ of *cube }

func (op *cubeGrad) Arity() int            { return 2 }
func (op *cubeGrad) Type() hm.Type         { return elementwise(2) }
func (op *cubeGrad) ReturnsPtr() bool      { return true }
func (op *cubeGrad) CallsExtern() bool     { return false }
func (op *cubeGrad) OverwritesInput() int  { return -1 }
func (op *cubeGrad) String() string        { return fmt.Sprintf("cubeGrad%d", op.of.id) }
func (op *cubeGrad) WriteHash(h hash.Hash) { fmt.Fprint(h, op) }
func (op *cubeGrad) Hashcode() uint32      { return opcall.Hashcode(op) }
func (op *cubeGrad) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	return in[0].(tensor.Shape).Clone(), nil
}

func (op *cubeGrad) Do(in ...G.Value) (G.Value, error) {
	return dense(in[0].Shape(), cubeTerm(elements(in[0]), elements(in[1]), op.of.symbolic)), nil
}

func dense(shape tensor.Shape, data []float64) *tensor.Dense {
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
}

// positions returns where each element of a tensor is in its data, by its strides.
func positions(t *tensor.Dense) []int {
	at := []int{0}
	for axis, n := range t.Shape() {
		stride := 1 // as in a single row or column in column-major order, which has no stride for each axis
		if len(t.Strides()) == t.Dims() {
			stride = t.Strides()[axis]
		}
		var next []int
		for _, start := range at {
			for i := range n {
				next = append(next, start+i*stride)
			}
		}
		at = next
	}
	return at
}

func elements(v G.Value) []float64 {
	t := v.(*tensor.Dense)
	var x []float64
	for _, k := range positions(t) {
		x = append(x, t.Data().([]float64)[k])
	}
	return x
}
