package diff_test

import (
	"hash"
	"testing"

	"github.com/chewxy/hm"
	"github.com/gorgonorm/norm/diff"
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

// faulty is an op whose derivative is what the fields say.
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

func TestErrors(t *testing.T) {
	g, other := G.NewGraph(), G.NewGraph()
	vector := func(g *G.ExprGraph, name string) *G.Node {
		return G.NewVector(g, tensor.Float64, G.WithShape(3), G.WithName(name))
	}
	x, y, z := vector(g, "x"), vector(g, "y"), vector(other, "z")
	cost := sum(must(G.Square(x)))
	through := func(op G.Op) *G.Node { return sum(must(G.ApplyOp(op, x))) }
	whole := G.NewScalar(g, tensor.Int, G.WithName("whole"))
	for name, row := range map[string]struct {
		cost *G.Node
		wrt  []*G.Node
		kind error
		text string
	}{
		"nil cost":     {nil, G.Nodes{x}, diff.ErrGraph, "the cost is nil"},
		"vector cost":  {x, G.Nodes{x}, diff.ErrCost, `the cost "x" has the shape (3), want a scalar`},
		"int cost":     {whole, G.Nodes{x}, diff.ErrCost, `the cost "whole" is int, want a float32 or float64 scalar`},
		"nothing":      {cost, nil, diff.ErrGraph, "no nodes"},
		"nil node":     {cost, G.Nodes{x, nil}, diff.ErrGraph, "node 1 to differentiate with respect to is nil"},
		"other graph":  {cost, G.Nodes{z}, diff.ErrGraph, `"z" belongs to another graph`},
		"no way":       {cost, G.Nodes{x, y}, diff.ErrPath, `does not depend on "y" by differentiable ops`},
		"blocked":      {sum(must(G.Gt(x, y, true))), G.Nodes{x}, diff.ErrPath, "not differentiable there"},
		"no SDOp":      {through(&identity{"plain"}), G.Nodes{x}, diff.ErrOp, "op plain has no symbolic derivative"},
		"few flags":    {through(&faulty{identity{"few flags"}, func(int) []bool { return nil }, nil}), G.Nodes{x}, diff.ErrOp, "few flags: DiffWRT tells of 0 inputs"},
		"flags panic":  {through(&faulty{identity{"flags"}, func(int) []bool { panic("no") }, nil}), G.Nodes{x}, diff.ErrOp, "DiffWRT panics: no"},
		"panic":        {through(&faulty{identity{"panics"}, yes, func(G.Nodes, *G.Node) (G.Nodes, error) { panic("no") }}), G.Nodes{x}, diff.ErrOp, "op panics cannot be differentiated: SymDiff panics: no"},
		"few":          {through(&faulty{identity{"few"}, yes, func(G.Nodes, *G.Node) (G.Nodes, error) { return nil, nil }}), G.Nodes{x}, diff.ErrOp, "few: SymDiff gives 0 gradients for 1 inputs"},
		"nil gradient": {through(&faulty{identity{"nil"}, yes, func(G.Nodes, *G.Node) (G.Nodes, error) { return G.Nodes{nil}, nil }}), G.Nodes{x}, diff.ErrOp, "nil: SymDiff gives no gradient of input 0"},
		"shape": {through(&faulty{identity{"shape"}, yes, func(_ G.Nodes, d *G.Node) (G.Nodes, error) { return G.Nodes{sum(d)}, nil }}),
			G.Nodes{x}, diff.ErrOp, "shape: SymDiff gives a gradient of shape () for input 0, which is (3)"},
	} {
		t.Run(name, func(t *testing.T) {
			grads, err := diff.Grad(row.cost, row.wrt...)
			require.ErrorIs(t, err, row.kind)
			require.ErrorContains(t, err, row.text)
			require.ErrorContains(t, err, "diff: ")
			require.Nil(t, grads)
		})
	}
	// An op without a derivative beside the way is none of our business.
	beside := must(G.Add(cost, sum(must(G.ApplyOp(&identity{"beside"}, y)))))
	_, err := diff.Grad(beside, x)
	require.NoError(t, err)
}

func TestBindErrors(t *testing.T) {
	g := G.NewGraph()
	x := G.NewVector(g, tensor.Float64, G.WithShape(3), G.WithName("x"))
	y := G.NewVector(g, tensor.Float64, G.WithShape(2), G.WithName("y"))
	z := G.NewVector(G.NewGraph(), tensor.Float64, G.WithShape(3), G.WithName("z"))
	grads := must(diff.Grad(sum(must(G.Square(x))), x))
	require.ErrorIs(t, diff.Bind(G.Nodes{x, y}, grads), diff.ErrGraph)
	require.ErrorIs(t, diff.Bind(G.Nodes{nil}, grads), diff.ErrGraph)
	require.ErrorIs(t, diff.Bind(G.Nodes{z}, grads), diff.ErrGraph)
	require.ErrorIs(t, diff.Bind(G.Nodes{y}, grads), diff.ErrShape)
	require.ErrorIs(t, diff.Bind(G.Nodes{x, x}, append(grads, grads...)), diff.ErrBound)
	require.Nil(t, x.Deriv())
	require.NoError(t, diff.Bind(G.Nodes{x}, grads))
	require.ErrorIs(t, diff.Bind(G.Nodes{x}, grads), diff.ErrBound)
}
