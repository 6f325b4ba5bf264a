package diff_test

import (
	"hash"
	"testing"

	"github.com/chewxy/hm"
	"github.com/gorgonorm/norm/diff"
	"github.com/gorgonorm/norm/internal/badcall"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// identity is an op on vectors that has no derivative.
type identity struct{ name string }

func (o *identity) Arity() int { return 1 }
func (o *identity) Type() hm.Type {
	v := G.TensorType{Dims: 1, Of: tensor.Float64}
	return hm.NewFnType(v, v)
}
func (o *identity) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	return in[0].(tensor.Shape), nil
}
func (o *identity) Do(v ...G.Value) (G.Value, error) { return v[0], nil }
func (o *identity) ReturnsPtr() bool                 { return true }
func (o *identity) CallsExtern() bool                { return false }
func (o *identity) OverwritesInput() int             { return -1 }
func (o *identity) WriteHash(h hash.Hash)            { h.Write([]byte(o.name)) }
func (o *identity) Hashcode() uint32                 { return 7 }
func (o *identity) String() string                   { return o.name }

// faulty is an op whose derivative is as its fields say.
type faulty struct {
	identity
	wrt   func(int) []bool
	grads func(in G.Nodes, grad *G.Node) (G.Nodes, error)
}

func (o *faulty) DiffWRT(n int) []bool { return o.wrt(n) }
func (o *faulty) SymDiff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	return o.grads(in, grad)
}

func yes(n int) []bool { return []bool{true} }

// pair is a faulty op of two vectors.
type pair struct{ faulty }

func (o *pair) Arity() int { return 2 }
func (o *pair) Type() hm.Type {
	v := G.TensorType{Dims: 1, Of: tensor.Float64}
	return hm.NewFnType(v, v, v)
}

func both(n int) []bool { return []bool{true, true} }

// The texts of the errors are in testdata/errors.txt.
func TestBadInput(t *testing.T) {
	var calls []badcall.Call
	g, other := G.NewGraph(), G.NewGraph()
	vector := func(g *G.ExprGraph, name string) *G.Node {
		return G.NewVector(g, tensor.Float64, G.WithShape(3), G.WithName(name))
	}
	x, y, z := vector(g, "x"), vector(g, "y"), vector(other, "z")
	cost := sum(must(G.Square(x)))
	through := func(op G.Op) *G.Node { return sum(must(G.ApplyOp(op, x))) }
	whole := G.NewScalar(g, tensor.Int, G.WithName("whole"))
	grad := func(name string, cost *G.Node, wrt G.Nodes, kind error) {
		calls = append(calls, badcall.Call{Name: "Grad: " + name, Kind: kind, Make: func(t *testing.T) error {
			grads, err := diff.Grad(cost, wrt...)
			require.Nil(t, grads)
			return err
		}})
	}
	grad("nil cost", nil, G.Nodes{x}, diff.ErrGraph)
	grad("vector cost", x, G.Nodes{x}, diff.ErrCost)
	grad("int cost", whole, G.Nodes{x}, diff.ErrCost)
	grad("nothing", cost, nil, diff.ErrGraph)
	grad("nil node", cost, G.Nodes{x, nil}, diff.ErrGraph)
	grad("other graph", cost, G.Nodes{z}, diff.ErrGraph)
	grad("no way", cost, G.Nodes{x, y}, diff.ErrPath)
	grad("blocked", sum(must(G.Gt(x, y, true))), G.Nodes{x}, diff.ErrPath)
	at := G.NewVector(g, tensor.Int, G.WithShape(3), G.WithName("at"))
	picked := must(G.ByIndices(x, at, 0)) // differentiable, as are the ops before it
	grad("blocked twice above", sum(must(G.Add(must(G.Gt(picked, y, true)), must(G.Gt(y, picked, true))))), G.Nodes{x}, diff.ErrPath)
	row := must(G.Reshape(y, tensor.Shape{1, 3}))                       // has the memory of y
	dx := must(diff.Grad(must(G.Add(cost, sum(cubeOf(row)))), x, y))[0] // a copy that needs the gradient by y
	grad("needed only", sum(dx), G.Nodes{y}, diff.ErrPath)
	grad("no SDOp", through(&identity{"plain"}), G.Nodes{x}, diff.ErrOp)
	grad("few flags", through(&faulty{identity{"few flags"}, func(int) []bool { return nil }, nil}), G.Nodes{x}, diff.ErrOp)
	grad("flags panic", through(&faulty{identity{"flags"}, func(int) []bool { panic("no") }, nil}), G.Nodes{x}, diff.ErrOp)
	grad("panic", through(&faulty{identity{"panics"}, yes, func(G.Nodes, *G.Node) (G.Nodes, error) { panic("no") }}), G.Nodes{x}, diff.ErrOp)
	grad("few", through(&faulty{identity{"few"}, yes, func(G.Nodes, *G.Node) (G.Nodes, error) { return nil, nil }}), G.Nodes{x}, diff.ErrOp)
	grad("fewer", sum(must(G.ApplyOp(&pair{faulty{identity{"fewer"}, both, func(_ G.Nodes, d *G.Node) (G.Nodes, error) { return G.Nodes{d}, nil }}}, x, y))), G.Nodes{x}, diff.ErrOp)
	grad("nil gradient", through(&faulty{identity{"nil"}, yes, func(G.Nodes, *G.Node) (G.Nodes, error) { return G.Nodes{nil}, nil }}), G.Nodes{x}, diff.ErrOp)
	grad("shape", through(&faulty{identity{"shape"}, yes, func(_ G.Nodes, d *G.Node) (G.Nodes, error) { return G.Nodes{sum(d)}, nil }}), G.Nodes{x}, diff.ErrOp)
	bind := func(name string, kind error, wrt G.Nodes, grads G.Nodes) {
		calls = append(calls, badcall.Call{Name: "Bind: " + name, Kind: kind, Make: func(*testing.T) error { return diff.Bind(wrt, grads) }})
	}
	short := G.NewVector(g, tensor.Float64, G.WithShape(2), G.WithName("short"))
	single := G.NewVector(g, tensor.Float32, G.WithShape(3), G.WithName("single"))
	bound := vector(g, "bound")
	grads, boundGrads := must(diff.Grad(cost, x)), must(diff.Grad(sum(must(G.Cube(bound))), bound))
	require.NoError(t, diff.Bind(G.Nodes{bound}, boundGrads))
	bind("more nodes than gradients", diff.ErrGraph, G.Nodes{x, y}, grads)
	bind("no nodes", diff.ErrGraph, nil, grads)
	bind("nil node", diff.ErrGraph, G.Nodes{nil}, grads)
	bind("nil gradient", diff.ErrGraph, G.Nodes{x}, G.Nodes{nil})
	bind("other graph", diff.ErrGraph, G.Nodes{z}, grads)
	bind("other shape", diff.ErrShape, G.Nodes{short}, grads)
	bind("other dtype", diff.ErrShape, G.Nodes{single}, grads)
	bind("node twice", diff.ErrBound, G.Nodes{x, x}, append(grads, grads...))
	bind("node with a gradient", diff.ErrBound, G.Nodes{bound}, boundGrads)
	badcall.Check(t, "diff: ", false, calls)
	require.Nil(t, x.Deriv())

	// An op without a derivative that is not between x and the cost does no harm.
	beside := must(G.Add(cost, sum(must(G.ApplyOp(&identity{"beside"}, y)))))
	_, err := diff.Grad(beside, x)
	require.NoError(t, err)

	// Neither does the op of the node that is asked for, since the path ends there.
	h := must(G.ApplyOp(&identity{"last"}, y))
	_, err = diff.Grad(sum(must(G.Square(h))), h)
	require.NoError(t, err)

	// Neither does a missing gradient of an input that is not asked for.
	half := &pair{faulty{identity{"half"}, both, func(_ G.Nodes, d *G.Node) (G.Nodes, error) { return G.Nodes{d, nil}, nil }}}
	_, err = diff.Grad(sum(must(G.ApplyOp(half, x, y))), x)
	require.NoError(t, err)
	require.NoError(t, diff.Bind(G.Nodes{x}, grads))
	require.ErrorIs(t, diff.Bind(G.Nodes{x}, grads), diff.ErrBound)
}
