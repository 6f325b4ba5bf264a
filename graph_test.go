package norm_test

import (
	"fmt"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/diff"
	"github.com/gorgonorm/norm/internal/golden"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The MLP cases: Linear(100,200), norm, ReLU, Linear(200,10) and cross-entropy. 20 steps
// of training through the layers, a solver and a tape machine give PyTorch's numbers.
func TestMLPMatchesGolden(t *testing.T) {
	cases, err := golden.Cases("MLP")
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			m := newMLP(t, c)
			m.train(t)
			m.evaluate(t)
			for name, v := range m.finals() {
				require.NoError(t, c.Check(name, v, golden.Strict))
			}
		})
	}
}

// mlp is the model of one case.
type mlp struct {
	c      *golden.Case
	dt     tensor.Dtype
	values map[string]*tensor.Dense // the parameters that are not a layer's
	bn     *norm.BatchNorm
	ln     *norm.LayerNorm
	fc     [2]*norm.WeightNormLinear
}

func newMLP(t *testing.T, c *golden.Case) *mlp {
	m := &mlp{c: c, dt: tensor.Float32, values: map[string]*tensor.Dense{}}
	if c.DType == "float64" {
		m.dt = tensor.Float64
	}
	for _, name := range []string{"W1", "b1", "W2", "b2"} {
		if v, ok := c.Inputs[name]; ok {
			m.values[name] = graphtest.Dense(m.dt, v.F64, v.Shape...)
		}
	}
	return m
}

// input returns some rows of an input of the case.
func (m *mlp) input(name string, from, to int) *tensor.Dense {
	v := m.c.Inputs[name]
	cols := v.Shape[1]
	return graphtest.Dense(m.dt, v.F64[from*cols:to*cols], to-from, cols)
}

// forward builds the logits of x in the graph of x, with new layers the first time and
// the same layers later. It returns the parameters too.
func (m *mlp) forward(t *testing.T, x *G.Node) (logits *G.Node, params G.Nodes) {
	g := x.Graph()
	if m.c.Attrs["norm"] == "weightnorm" {
		for i := range m.fc {
			m.fc[i] = m.weightNormLinear(t, g, i)
			params = append(params, m.fc[i].Learnables()...)
		}
		h := norm.Must(m.fc[0].Fwd(x))
		return norm.Must(m.fc[1].Fwd(norm.Must(G.Rectify(h)))), params
	}
	linear := func(x *G.Node, w, b string) *G.Node {
		wn := m.node(g, w)
		params = append(params, wn)
		y := norm.Must(G.Mul(x, norm.Must(G.Transpose(wn))))
		if m.values[b] != nil {
			bn := m.node(g, b)
			params = append(params, bn)
			y = norm.Must(G.BroadcastAdd(y, norm.Must(G.Reshape(bn, tensor.Shape{1, bn.Shape()[0]})), nil, []byte{0}))
		}
		return y
	}
	h := linear(x, "W1", "b1")
	h, ps := m.normalize(t, h)
	params = append(params, ps...)
	return linear(norm.Must(G.Rectify(h)), "W2", "b2"), params
}

func (m *mlp) node(g *G.ExprGraph, name string) *G.Node {
	return graphtest.Leaf(g, name, m.values[name])
}

func (m *mlp) normalize(t *testing.T, h *G.Node) (*G.Node, G.Nodes) {
	g := h.Graph()
	eps, _ := m.c.Float("eps")
	momentum, _ := m.c.Float("momentum")
	switch m.c.Attrs["norm"] {
	case "batchnorm":
		if m.bn == nil {
			m.bn = norm.Must(norm.NewBatchNorm(g, m.dt, 200, norm.WithEps(eps), norm.WithMomentum(momentum)))
			set(t, m.bn.Learnables()[0], m.c.Inputs["gamma"].F64)
			set(t, m.bn.Learnables()[1], m.c.Inputs["beta"].F64)
		} else {
			m.bn = norm.Must(m.bn.In(g))
		}
		return norm.Must(m.bn.Fwd(h)), m.bn.Learnables()
	case "layernorm":
		if m.ln == nil {
			m.ln = norm.Must(norm.NewLayerNorm(g, m.dt, tensor.Shape{200}, norm.WithEps(eps)))
			set(t, m.ln.Learnables()[0], m.c.Inputs["gamma"].F64)
			set(t, m.ln.Learnables()[1], m.c.Inputs["beta"].F64)
		} else {
			m.ln = norm.Must(m.ln.In(g))
		}
		return norm.Must(m.ln.Fwd(h)), m.ln.Learnables()
	}
	t.Fatalf("norm %v", m.c.Attrs["norm"])
	return nil, nil
}

func (m *mlp) weightNormLinear(t *testing.T, g *G.ExprGraph, i int) *norm.WeightNormLinear {
	if m.fc[i] != nil {
		return norm.Must(m.fc[i].In(g))
	}
	v, start := m.values[fmt.Sprintf("W%d", i+1)], m.c.Inputs[fmt.Sprintf("g%d", i+1)]
	l, err := norm.NewWeightNormLinear(g, m.dt, v.Shape()[1], v.Shape()[0], norm.WithWeight(v), norm.WithName(fmt.Sprintf("fc%d", i+1)))
	require.NoError(t, err)
	set(t, l.Learnables()[1], start.F64)
	set(t, l.Learnables()[2], m.c.Inputs[fmt.Sprintf("b%d", i+1)].F64)
	return l
}

// train runs the steps of the case and checks the losses.
func (m *mlp) train(t *testing.T) {
	steps, _ := m.c.Int("steps")
	batch, _ := m.c.Int("batch")
	g := G.NewGraph()
	x := G.NewMatrix(g, m.dt, G.WithShape(batch, 100), G.WithName("x"))
	labels := G.NewMatrix(g, m.dt, G.WithShape(batch, 10), G.WithName("labels"))
	logits, params := m.forward(t, x)
	cost := m.crossEntropy(logits, labels, batch)
	var loss G.Value
	G.Read(cost, &loss)
	_, err := G.Grad(cost, params...)
	require.NoError(t, err)
	vm := G.NewTapeMachine(g, G.BindDualValues(params...))
	defer vm.Close()
	solver := m.solver()
	var losses []float64
	for s := range steps {
		from := batch * (s % 5)
		require.NoError(t, G.Let(x, m.input("X", from, from+batch)))
		require.NoError(t, G.Let(labels, m.oneHot(from, from+batch)))
		require.NoError(t, vm.RunAll())
		switch v := loss.Data().(type) {
		case float32:
			losses = append(losses, float64(v))
		case float64:
			losses = append(losses, v)
		}
		require.NoError(t, solver.Step(G.NodesToValueGrads(params)))
		vm.Reset()
	}
	require.NoError(t, m.c.Check("loss", losses, golden.Strict))
}

func (m *mlp) solver() G.Solver {
	lr, _ := m.c.Float("lr")
	if m.c.Attrs["optimizer"] == "adam" {
		return G.NewAdamSolver(G.WithLearnRate(lr), G.WithBeta1(0.9), G.WithBeta2(0.999), G.WithEps(1e-8))
	}
	return G.NewVanillaSolver(G.WithLearnRate(lr))
}

func (m *mlp) oneHot(from, to int) *tensor.Dense {
	hot := make([]float64, (to-from)*10)
	for i, l := range m.c.Inputs["labels"].F64[from:to] {
		hot[i*10+int(l)] = 1
	}
	return graphtest.Dense(m.dt, hot, to-from, 10)
}

// crossEntropy is −Σ labels·log softmax(logits) / batch.
func (m *mlp) crossEntropy(logits, labels *G.Node, batch int) *G.Node {
	p := norm.Must(G.SoftMax(logits))
	sum := norm.Must(G.Sum(norm.Must(G.HadamardProd(labels, norm.Must(G.Log(p))))))
	scale := G.NewConstant(float32(-1 / float64(batch)))
	if m.dt == tensor.Float64 {
		scale = G.NewConstant(-1 / float64(batch))
	}
	return norm.Must(G.Mul(sum, scale))
}

// evaluate checks the logits in a second graph with another batch size.
func (m *mlp) evaluate(t *testing.T) {
	rows := m.c.Inputs["X_eval"].Shape[0]
	g := G.NewGraph()
	x := G.NewMatrix(g, m.dt, G.WithShape(rows, 100), G.WithName("x"), G.WithValue(m.input("X_eval", 0, rows)))
	y, _ := m.forward(t, x)
	var logits G.Value
	G.Read(y, &logits)
	vm := G.NewTapeMachine(g, G.EvalMode())
	defer vm.Close()
	require.NoError(t, vm.RunAll())
	require.NoError(t, m.c.Check("logits_eval", graphtest.Floats(logits.(*tensor.Dense)), golden.Strict))
}

// finals returns the outputs of the case that are parameters and statistics.
func (m *mlp) finals() map[string][]float64 {
	out := map[string][]float64{}
	add := func(name string, v []float64) {
		if _, ok := m.c.Outputs[name]; ok {
			out[name] = v
		}
	}
	for name, v := range m.values {
		add(name+"_final", graphtest.Floats(v))
	}
	for i, l := range m.fc {
		if l != nil {
			for j, name := range []string{"W", "g", "b"} {
				add(fmt.Sprintf("%s%d_final", name, i+1), graphtest.Floats(l.Learnables()[j].Value().(*tensor.Dense)))
			}
		}
	}
	var affine G.Nodes
	if m.bn != nil {
		affine = m.bn.Learnables()
		mean, variance := m.bn.Stats()
		add("running_mean", mean)
		add("running_var", variance)
	}
	if m.ln != nil {
		affine = m.ln.Learnables()
	}
	for i, n := range affine {
		add([]string{"gamma_final", "beta_final"}[i], graphtest.Floats(n.Value().(*tensor.Dense)))
	}
	return out
}

// A parameter may already have a gradient, from another cost.
func TestGradOfTwoCostsThroughOneLayer(t *testing.T) {
	g := G.NewGraph()
	ln := norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{3}))
	cost := func(x *G.Node) *G.Node { return norm.Must(G.Sum(norm.Must(G.Cube(norm.Must(ln.Fwd(x)))))) }
	x := G.NewMatrix(g, tensor.Float64, G.WithName("another"), G.WithValue(wave(tensor.Float64, 1, 4, 3)))
	norm.Must(G.Grad(cost(input(g, wave(tensor.Float64, 0, 4, 3))), ln.Learnables()...))
	c := cost(x)
	got := norm.Must(G.Grad(c, x))[0]
	want := norm.Must(diff.Grad(c, x))[0]
	m := G.NewTapeMachine(g)
	defer m.Close()
	require.NoError(t, m.RunAll())
	require.Equal(t, want.Value().Data(), got.Value().Data())
}
