package main

import (
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
	params := append(c.first.Learnables(), c.ln.Learnables()...)
	return append(params, c.w...)
}

// fwd returns the numbers of the points x, of shape (batch, 1).
func (c *critic) fwd(x *G.Node) (*G.Node, error) {
	h, err := c.first.Fwd(x)
	if err != nil {
		return nil, err
	}
	h = G.Must(G.Mul(G.Must(G.Tanh(h)), c.w[0]))
	if h, err = c.ln.Fwd(h); err != nil {
		return nil, err
	}
	return G.Mul(G.Must(G.Tanh(h)), c.w[1])
}

// slopePenalty is the mean of (‖∂D/∂x‖ − 1)² over the points x, and the slopes.
func (c *critic) slopePenalty(x *G.Node) (penalty, slopes *G.Node, err error) {
	d, err := c.fwd(x)
	if err != nil {
		return nil, nil, err
	}
	// Each D depends on its own x alone, so the sum has all gradients at once.
	grads, err := diff.Grad(G.Must(G.Sum(d)), x)
	if err != nil {
		return nil, nil, err
	}
	squares := G.Must(G.Sum(G.Must(G.Square(grads[0])), 1))
	slopes = G.Must(G.Sqrt(squares))
	return G.Must(G.Mean(G.Must(G.Square(G.Must(G.Sub(slopes, G.NewConstant(float32(1)))))))), slopes, nil
}

// point is what is known after a step.
type point struct{ distance, penalty, slope float64 }

// train takes steps of the critic between two clouds that stay as they are: a ring
// of points, which is real, and a blob in its middle, which is not.
func train(steps int, report func(step int, h point)) (history []point, err error) {
	g := G.NewGraph()
	c, err := newCritic(g)
	if err != nil {
		return nil, err
	}
	cloud := func(name string) *G.Node {
		return G.NewMatrix(g, tensor.Float32, G.WithShape(batch, 2), G.WithName(name))
	}
	real, fake, between := cloud("real"), cloud("fake"), cloud("between")
	onReal, err := c.fwd(real)
	if err != nil {
		return nil, err
	}
	onFake, err := c.fwd(fake)
	if err != nil {
		return nil, err
	}
	penalty, slopes, err := c.slopePenalty(between)
	if err != nil {
		return nil, err
	}
	distance := G.Must(G.Sub(G.Must(G.Mean(onReal)), G.Must(G.Mean(onFake))))
	cost := G.Must(G.Sub(G.Must(G.Mul(penalty, G.NewConstant(float32(penaltyWeight)))), distance))

	params := c.learnables()
	grads, err := diff.Grad(cost, params...)
	if err != nil {
		return nil, err
	}
	if err := diff.Bind(params, grads); err != nil {
		return nil, err
	}
	var values [3]G.Value
	for i, n := range []*G.Node{distance, penalty, G.Must(G.Mean(slopes))} {
		G.Read(n, &values[i])
	}
	vm := G.NewTapeMachine(g, G.BindDualValues(params...))
	defer vm.Close()
	solver := G.NewAdamSolver(G.WithLearnRate(learnRate), G.WithBeta1(0.5), G.WithBeta2(0.9))
	r := rand.New(rand.NewPCG(7, 8))
	for step := range steps {
		a, b, mid := clouds(r)
		for n, v := range map[*G.Node]*tensor.Dense{real: a, fake: b, between: mid} {
			if err := G.Let(n, v); err != nil {
				return nil, err
			}
		}
		if err := vm.RunAll(); err != nil {
			return nil, err
		}
		h := point{number(values[0]), number(values[1]), number(values[2])}
		history = append(history, h)
		report(step, h)
		if err := solver.Step(G.NodesToValueGrads(params)); err != nil {
			return nil, err
		}
		vm.Reset()
	}
	return history, nil
}

func number(v G.Value) float64 { return float64(v.Data().(float32)) }

// clouds draws points of a ring of eight and of a blob, and points on the lines
// between each two.
func clouds(r *rand.Rand) (real, fake, between *tensor.Dense) {
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
