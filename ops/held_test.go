package ops_test

import (
	"testing"

	"github.com/gorgonorm/norm/diff"
	"github.com/gorgonorm/norm/gradcheck"
	"github.com/gorgonorm/norm/ops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A gorgonia.Reshape shares memory with its input, and a TapeMachine lets Square write
// into it. Here this happens for each input of an op, after the first or the second of
// two reshapes.
func TestReshapedInputs(t *testing.T) {
	eachOp(t, func(t *testing.T, c opCase) {
		gradients(t, costOfReshaped(c, c.stats(t)), flattened(c), append(c.checkOptions(), gradcheck.WithMachines(gradcheck.Tape))...)
	})
}

// The same is tested for gradients of the gradient with respect to the first input.
// Central differences of it have three or four correct digits, but a value that is read
// after it has been overwritten is off by as much as its size.
func TestReshapedInputsSecondOrder(t *testing.T) {
	eachOp(t, func(t *testing.T, c opCase) {
		gradients(t, firstGradient(costOfReshaped(c, c.stats(t))), flattened(c), append(c.checkOptions(),
			gradcheck.WithMachines(gradcheck.Tape), gradcheck.WithGrad(diff.Grad), gradcheck.WithMaxElements(2), gradcheck.WithTolerance(1e-2, 1e-5))...)
	})
}

// firstGradient returns the gradient of a cost with respect to the first input.
func firstGradient(cost gradcheck.Func) gradcheck.Func {
	return func(in G.Nodes) (*G.Node, error) {
		c, err := cost(in)
		if err != nil {
			return nil, err
		}
		ds, err := diff.Grad(c, in[0])
		if err != nil {
			return nil, err
		}
		return ds[0], nil
	}
}

// costOfReshaped returns Σ y³ of an op on reshaped values, plus Σ u² of these values.
func costOfReshaped(c opCase, s *ops.RunningStats) gradcheck.Func {
	return costOfShared(c, s, func(i int, u *G.Node) (value, shared *G.Node) {
		if i%2 == 1 {
			u = G.Must(G.Reshape(u, tensor.Shape{1, u.Shape().TotalSize()}))
		}
		return u, G.Must(G.Reshape(u, c.shapes[i].Clone()))
	})
}

// A gorgonia.Dropout that drops nothing returns its input, in evaluation and if the
// probability is 0. So does a Concat of a single tensor.
func TestInputsThatAreOthers(t *testing.T) {
	for name, same := range map[string]func(u *G.Node) (*G.Node, error){
		"dropout": func(u *G.Node) (*G.Node, error) { return G.Dropout(u, 0) },
		"concat":  func(u *G.Node) (*G.Node, error) { return G.Concat(0, u) },
	} {
		t.Run(name, func(t *testing.T) {
			eachOp(t, func(t *testing.T, c opCase) {
				cost := costOfShared(c, c.stats(t), func(_ int, u *G.Node) (value, shared *G.Node) { return u, G.Must(same(u)) })
				gradients(t, cost, c.values(tensor.Float64, 0.4), append(c.checkOptions(), gradcheck.WithMachines(gradcheck.Tape), gradcheck.WithGrad(diff.Grad))...)
			})
		})
	}
}

// costOfShared returns Σ y³ of an op on values that share memory, plus Σ u² of the values
// that they share it with.
func costOfShared(c opCase, s *ops.RunningStats, share func(i int, u *G.Node) (value, shared *G.Node)) gradcheck.Func {
	return func(in G.Nodes) (*G.Node, error) {
		shared := make(G.Nodes, len(in))
		values := make(G.Nodes, len(in))
		for i, n := range in {
			values[i], shared[i] = share(i, G.Must(G.Add(n, n))) // its own gradient needs no values
		}
		y, err := c.build(shared, s)
		if err != nil {
			return nil, err
		}
		cost := G.Must(G.Sum(G.Must(G.Cube(y))))
		for _, u := range values {
			cost = G.Must(G.Add(cost, G.Must(G.Sum(G.Must(G.Square(u))))))
		}
		return cost, nil
	}
}

// flattened returns the values of a case as vectors.
func flattened(c opCase) []*tensor.Dense {
	vs := c.values(tensor.Float64, 0.4)
	for _, v := range vs {
		_ = v.Reshape(v.Shape().TotalSize()) // never fails
	}
	return vs
}
