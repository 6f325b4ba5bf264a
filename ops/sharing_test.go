package ops_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/gorgonorm/norm/gradcheck"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// One op with one γ and β is applied to two inputs. The gradients of γ and β are the sums
// of those of each application, and both batches update the statistics.
func TestAppliedTwice(t *testing.T) {
	eachOp(t, func(t *testing.T, c opCase) {
		dy := c.dy(t, tensor.Float64)
		vs := c.values(tensor.Float64, 0.4)
		second := slices.Clone(vs)
		second[0] = c.values(tensor.Float64, 5)[0]
		one, err := graphtest.Tape(c.with(c.stats(t)), vs, dy, c.opts...)
		require.NoError(t, err)
		two, err := graphtest.Tape(c.with(c.stats(t)), second, dy, c.opts...)
		require.NoError(t, err)
		for name, m := range graphtest.Machines {
			s := c.stats(t)
			before := batchesOf(s)
			r, err := m(func(n G.Nodes) (*G.Node, error) {
				a, err := c.build(n[1:], s)
				require.NoError(t, err)
				b, err := c.build(append(G.Nodes{n[0]}, n[2:]...), s)
				require.NoError(t, err)
				return G.Add(a, b)
			}, append([]*tensor.Dense{second[0]}, vs...), dy, c.opts...)
			require.NoError(t, err)
			if c.moves() {
				require.Equal(t, before+2, batchesOf(s))
			}
			requireNear(t, sum(one.Y, two.Y), floats(r.Y), 1e-13, name+": y")
			requireNear(t, floats(two.Grads[0]), floats(r.Grads[0]), 1e-13, name+": second input")
			requireNear(t, floats(one.Grads[0]), floats(r.Grads[1]), 1e-13, name+": first input")
			for i := 1; i < len(c.names); i++ {
				requireNear(t, sum(one.Grads[i], two.Grads[i]), floats(r.Grads[i+1]), 1e-13, name+": "+c.names[i])
			}
		}
	})
}

// neighbours are graphs around an op in which Gorgonia writes over memory or passes on an
// alias of it. Each takes the op's inputs and a further input of the shape of y, and only
// in ways that Gorgonia's own ops survive.
var neighbours = []struct {
	name  string
	build func(c opCase, s *ops.RunningStats, n G.Nodes, w *G.Node) (*G.Node, error)
}{
	{"y overwritten by sums", func(c opCase, s *ops.RunningStats, n G.Nodes, w *G.Node) (*G.Node, error) {
		y, err := c.build(n, s)
		if err != nil {
			return nil, err
		}
		return G.Add(G.Must(G.Add(y, w)), w)
	}},
	{"y overwritten by a product", func(c opCase, s *ops.RunningStats, n G.Nodes, w *G.Node) (*G.Node, error) {
		y, err := c.build(n, s)
		if err != nil {
			return nil, err
		}
		return G.Tanh(G.Must(G.HadamardProd(G.Must(G.HadamardProd(y, w)), w)))
	}},
	{"inputs overwritten", func(c opCase, s *ops.RunningStats, n G.Nodes, w *G.Node) (*G.Node, error) {
		var in G.Nodes
		for _, v := range n {
			if v.Shape().TotalSize() > 1 { // a lisp machine fails on the tanh of one element
				v = G.Must(G.Tanh(v))
			}
			in = append(in, v)
		}
		y, err := c.build(in, s)
		if err != nil {
			return nil, err
		}
		late := G.Must(G.Sum(G.Must(G.Add(in[0], n[0]))))
		return G.Add(G.Must(G.HadamardProd(y, w)), late)
	}},
	{"y reshaped and overwritten", func(c opCase, s *ops.RunningStats, n G.Nodes, w *G.Node) (*G.Node, error) {
		y, err := c.build(n, s)
		if err != nil {
			return nil, err
		}
		size := tensor.Shape{y.Shape().TotalSize()}
		return G.Add(G.Must(G.Reshape(y, size)), G.Must(G.Reshape(w, size)))
	}},
	{"input reshaped", func(c opCase, s *ops.RunningStats, n G.Nodes, w *G.Node) (*G.Node, error) {
		shape := n[0].Shape()
		flat := G.Must(G.Reshape(n[0], tensor.Shape{shape.TotalSize()}))
		in := slices.Clone(n)
		in[0] = G.Must(G.Reshape(G.Must(G.Tanh(flat)), shape))
		y, err := c.build(in, s)
		if err != nil {
			return nil, err
		}
		return G.HadamardProd(y, w)
	}},
	{"input with three consumers", func(c opCase, s *ops.RunningStats, n G.Nodes, w *G.Node) (*G.Node, error) {
		y, err := c.build(n, s)
		if err != nil {
			return nil, err
		}
		direct := G.Must(G.Sum(G.Must(G.HadamardProd(n[0], n[0]))))
		tanh := G.Must(G.Sum(G.Must(G.Tanh(n[0]))))
		return G.Add(G.Must(G.Add(G.Must(G.HadamardProd(y, w)), direct)), tanh)
	}},
}

// The lisp machine gives the same numbers, and never writes in place. Finite differences
// check both machines.
func TestNeighboursInPlace(t *testing.T) {
	eachOp(t, func(t *testing.T, c opCase) {
		for _, n := range neighbours {
			t.Run(n.name, func(t *testing.T) {
				s := c.stats(t)
				vs := append(c.values(tensor.Float64, 0.4), wave(1.5, c.output(t)...))
				before := clones(vs)
				start := snapshot(s)
				opts := append(c.checkOptions(), gradcheck.WithMaxElements(3))
				f := func(in G.Nodes) (*G.Node, error) {
					return n.build(c, s, in[:len(in)-1], in[len(in)-1])
				}
				require.NoError(t, gradcheck.Check(f, vs, opts...))
				require.Equal(t, start, snapshot(s))
				requireSame(t, before, vs, 0, "the values of the user")
			})
		}
	})
}

func clones(vs []*tensor.Dense) (cs []*tensor.Dense) {
	for _, v := range vs {
		cs = append(cs, v.Clone().(*tensor.Dense))
	}
	return cs
}

// In the tape machine the user's values are unchanged, and the statistics are updated by
// one batch at most.
func TestNeighboursLeaveTheUserAlone(t *testing.T) {
	eachOp(t, func(t *testing.T, c opCase) {
		for _, n := range neighbours {
			plain := c.stats(t)
			_, err := graphtest.Tape(c.with(plain), c.values(tensor.Float64, 0.4), c.dy(t, tensor.Float64), c.opts...)
			require.NoError(t, err)

			s := c.stats(t)
			w := wave(1.5, c.output(t)...)
			vs := append(c.values(tensor.Float64, 0.4), w)
			before := clones(vs)
			g := G.NewGraph()
			in := leaves(g, append(slices.Clone(c.names), "w"), vs)
			y, err := n.build(c, s, in[:len(in)-1], in[len(in)-1])
			require.NoError(t, err)
			_, err = G.Grad(G.Must(G.Sum(y)), in...)
			require.NoError(t, err)
			vm := G.NewTapeMachine(g, c.opts...)
			require.NoError(t, vm.RunAll())
			vm.Close()
			requireSame(t, before, vs, 0, n.name)
			if n.name != "inputs overwritten" && n.name != "input reshaped" { // another batch
				require.Equal(t, snapshot(plain), snapshot(s), n.name)
			}
		}
	})
}

// Ops keep nothing of a run, so clones of a graph may run at the same time, each with its
// own values. They share running statistics.
func TestClonedGraphsRunConcurrently(t *testing.T) {
	const clones, runs = 3, 6
	eachOp(t, func(t *testing.T, c opCase) {
		s, dy := c.stats(t), c.dy(t, tensor.Float64)
		before := batchesOf(s)
		p := newProgram(t, c.with(s), c.names, c.values(tensor.Float64, 0), dy, true)
		var want [clones][]*tensor.Dense
		for k := range want {
			r, err := graphtest.Tape(c.with(c.stats(t)), c.values(tensor.Float64, float64(k)), dy, c.opts...)
			require.NoError(t, err)
			want[k] = append([]*tensor.Dense{r.Y}, r.Grads...)
		}
		var wait sync.WaitGroup
		for k := range clones {
			q := p.clone()
			for i, v := range c.values(tensor.Float64, float64(k)) {
				require.NoError(t, G.Let(q.in[i], v))
			}
			wait.Add(1)
			go func() {
				defer wait.Done()
				vm := G.NewTapeMachine(q.g, c.opts...)
				defer vm.Close()
				for range runs {
					if err := vm.RunAll(); err != nil {
						t.Error(err)
						return
					}
					for i, v := range q.values() {
						if !slices.Equal(bits(want[k][i]), bits(v)) {
							t.Errorf("clone %d: output %d is wrong", k, i)
						}
					}
					vm.Reset()
				}
			}()
		}
		wait.Wait()
		if c.moves() {
			require.Equal(t, before+clones*runs, batchesOf(s))
		}
	})
}

// clone returns the program in a clone of its graph.
func (p *program) clone() *program {
	g := p.g.Clone().(*G.ExprGraph)
	at := map[*G.Node]*G.Node{}
	for i, n := range p.g.AllNodes() {
		at[n] = g.AllNodes()[i]
	}
	q := &program{g: g, y: at[p.y], dy: at[p.dy], cost: at[p.cost]}
	for _, n := range p.in {
		q.in = append(q.in, at[n])
	}
	for _, n := range p.grads {
		q.grads = append(q.grads, at[n])
	}
	return q
}
