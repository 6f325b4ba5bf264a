package main

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/diff"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

const (
	batch  = 64
	hidden = 32

	penaltyWeight = 10   // λ of the paper
	learnRate     = 3e-3 // of Adam
)

// critic gives each point (x, y) a number by two hidden layers. Layer norm is in the
// second: directly after a linear map of the point it would leave little but its
// direction.
type critic struct {
	first *norm.WeightNormLinear
	w     G.Nodes
	ln    *norm.LayerNorm
}

func newCritic(g *G.ExprGraph) (c *critic, err error) {
	c = &critic{}
	if c.first, err = norm.NewWeightNormLinear(g, tensor.Float32, 2, hidden, norm.WithWeight(weights(0, hidden, 2))); err != nil {
		return nil, err
	}
	if c.ln, err = norm.NewLayerNorm(g, tensor.Float32, tensor.Shape{hidden}); err != nil {
		return nil, err
	}
	for i, out := range []int{hidden, 1} {
		c.w = append(c.w, G.NewMatrix(g, tensor.Float32, G.WithShape(hidden, out), G.WithName(fmt.Sprintf("w%d", i)),
			G.WithValue(weights(uint64(i+1), hidden, out))))
	}
	return c, nil
}

// weights are normal with a variance of 1/rows.
func weights(seed uint64, rows, cols int) *tensor.Dense {
	r := rand.New(rand.NewPCG(seed, 1))
	w := make([]float32, rows*cols)
	for i := range w {
		w[i] = float32(r.NormFloat64() / math.Sqrt(float64(rows)))
	}
	return tensor.New(tensor.WithShape(rows, cols), tensor.WithBacking(w))
}

func (c *critic) learnables() G.Nodes {
	return append(norm.Learnables(c.first, c.ln), c.w...)
}

// fwd returns the numbers of the points x, of shape (batch, 1).
func (c *critic) fwd(x *G.Node) (*G.Node, error) {
	return chain(x, c.first.Fwd, G.Tanh, times(c.w[0]), c.ln.Fwd, G.Tanh, times(c.w[1]))
}

// slopePenalty is the mean of (‖∂D/∂x‖ − 1)² over the points x, and the mean of the
// slopes ‖∂D/∂x‖.
func (c *critic) slopePenalty(x *G.Node) (penalty, slope *G.Node, err error) {
	// Each D depends on its own x alone, so the sum has all gradients at once.
	sum, err := chain(x, c.fwd, total)
	if err != nil {
		return nil, nil, err
	}
	grads, err := diff.Grad(sum, x)
	if err != nil {
		return nil, nil, err
	}
	slopes, err := chain(grads[0], G.Square, sumOfRows, G.Sqrt)
	if err != nil {
		return nil, nil, err
	}
	if penalty, err = chain(slopes, minus(G.NewConstant(float32(1))), G.Square, mean); err != nil {
		return nil, nil, err
	}
	slope, err = mean(slopes)
	return penalty, slope, err
}

// cost is what training makes small: λ times the penalty, minus the distance, which is how
// much higher the mean number of the real points is than that of the fakes. of has the
// distance, the penalty and the slope.
func (c *critic) cost(reals, fakes, between *G.Node) (cost *G.Node, of [3]*G.Node, err error) {
	onReals, err := chain(reals, c.fwd, mean)
	if err != nil {
		return nil, of, err
	}
	onFakes, err := chain(fakes, c.fwd, mean)
	if err != nil {
		return nil, of, err
	}
	distance, err := G.Sub(onReals, onFakes)
	if err != nil {
		return nil, of, err
	}
	penalty, slope, err := c.slopePenalty(between)
	if err != nil {
		return nil, of, err
	}
	cost, err = chain(penalty, times(G.NewConstant(float32(penaltyWeight))), minus(distance))
	return cost, [3]*G.Node{distance, penalty, slope}, err
}

// step is what the critic has for the points of a training step.
type step struct{ distance, penalty, slope float64 }

// train takes steps of the critic between two clouds that stay as they are: a ring
// of points, which are the real ones, and a blob in its middle, the fakes. report is
// told the number of each step, from 1.
func train(steps int, report func(number int, s step)) (history []step, err error) {
	g := G.NewGraph()
	c, err := newCritic(g)
	if err != nil {
		return nil, err
	}
	cloud := func(name string) *G.Node {
		return G.NewMatrix(g, tensor.Float32, G.WithShape(batch, 2), G.WithName(name))
	}
	ring, blob, between := cloud("ring"), cloud("blob"), cloud("between")
	cost, of, err := c.cost(ring, blob, between)
	if err != nil {
		return nil, err
	}
	params := c.learnables()
	grads, err := diff.Grad(cost, params...)
	if err != nil {
		return nil, err
	}
	if err := diff.Bind(params, grads); err != nil {
		return nil, err
	}
	var values [3]G.Value
	for i, n := range of {
		G.Read(n, &values[i])
	}
	vm := G.NewTapeMachine(g, G.BindDualValues(params...))
	defer func() { err = errors.Join(err, vm.Close()) }()
	solver := G.NewAdamSolver(G.WithLearnRate(learnRate), G.WithBeta1(0.5), G.WithBeta2(0.9))
	r := rand.New(rand.NewPCG(7, 8))
	for number := 1; number <= steps; number++ {
		a, b, mid := clouds(r)
		for n, v := range map[*G.Node]*tensor.Dense{ring: a, blob: b, between: mid} {
			if err := G.Let(n, v); err != nil {
				return nil, err
			}
		}
		if err := vm.RunAll(); err != nil {
			return nil, err
		}
		s := step{float(values[0]), float(values[1]), float(values[2])}
		history = append(history, s)
		report(number, s)
		if err := solver.Step(G.NodesToValueGrads(params)); err != nil {
			return nil, err
		}
		vm.Reset()
	}
	return history, nil
}

func float(v G.Value) float64 { return float64(v.Data().(float32)) }

// chain applies functions one after another.
func chain(x *G.Node, fs ...func(*G.Node) (*G.Node, error)) (_ *G.Node, err error) {
	for _, f := range fs {
		if x, err = f(x); err != nil {
			return nil, err
		}
	}
	return x, nil
}

func times(w *G.Node) func(*G.Node) (*G.Node, error) {
	return func(x *G.Node) (*G.Node, error) { return G.Mul(x, w) }
}

func minus(y *G.Node) func(*G.Node) (*G.Node, error) {
	return func(x *G.Node) (*G.Node, error) { return G.Sub(x, y) }
}

func mean(x *G.Node) (*G.Node, error)      { return G.Mean(x) }
func total(x *G.Node) (*G.Node, error)     { return G.Sum(x) }
func sumOfRows(x *G.Node) (*G.Node, error) { return G.Sum(x, 1) }

// clouds draws points of a ring of eight small clouds and points of a blob, and for each
// such pair a point on the line between them.
func clouds(r *rand.Rand) (ring, blob, between *tensor.Dense) {
	a, b, mid := make([]float32, 2*batch), make([]float32, 2*batch), make([]float32, 2*batch)
	for i := range batch {
		angle, t := 2*math.Pi*float64(r.IntN(8))/8, r.Float32()
		centre := [2]float64{2 * math.Cos(angle), 2 * math.Sin(angle)}
		for k := range 2 {
			j := 2*i + k
			a[j] = float32(centre[k] + 0.1*r.NormFloat64())
			b[j] = float32(0.3 * r.NormFloat64())
			mid[j] = t*a[j] + (1-t)*b[j]
		}
	}
	matrix := func(v []float32) *tensor.Dense {
		return tensor.New(tensor.WithShape(batch, 2), tensor.WithBacking(v))
	}
	return matrix(a), matrix(b), matrix(mid)
}
