package main

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The loss and its gradient against the formula, with logits whose exponentials
// leave the range of the numbers.
func TestCrossEntropy(t *testing.T) {
	logits := []float64{
		-900, 1, 2, 3, 4, 5, 6, 7, 8, 9,
		900, -800, -5, 0, 0, 0, 0, 0, 0, 0,
		0.1, -0.2, 0.3, -0.4, 0.5, -0.6, 0.7, -0.8, 0.9, -1,
	}
	labels := []int{3, 0, 8}
	n := len(labels)

	// Reference: p = softmax(logits), loss = −mean log p[label].
	wantLoss := 0.0
	wantGrad := make([]float64, len(logits))
	y := make([]float64, len(logits))
	for i, label := range labels {
		row := logits[i*classes : (i+1)*classes]
		top := math.Inf(-1)
		for _, v := range row {
			top = math.Max(top, v)
		}
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(v - top)
		}
		wantLoss -= (row[label] - top - math.Log(sum)) / float64(n)
		for j, v := range row {
			wantGrad[i*classes+j] = math.Exp(v-top) / sum / float64(n)
		}
		wantGrad[i*classes+label] -= 1 / float64(n)
		y[label*n+i] = 1
	}

	g := G.NewGraph()
	l := G.NewMatrix(g, G.Float64, G.WithName("logits"), G.WithShape(n, classes),
		G.WithValue(tensor.New(tensor.WithShape(n, classes), tensor.WithBacking(logits))))
	yn := G.NewMatrix(g, G.Float64, G.WithName("y"), G.WithShape(classes, n),
		G.WithValue(tensor.New(tensor.WithShape(classes, n), tensor.WithBacking(y))))
	cost, err := crossEntropy(l, yn)
	require.NoError(t, err)
	_, err = G.Grad(cost, l)
	require.NoError(t, err)
	vm := G.NewTapeMachine(g, G.BindDualValues(l))
	defer vm.Close()
	require.NoError(t, vm.RunAll())

	assert.InDelta(t, wantLoss, cost.Value().Data(), 1e-12)
	grad, err := l.Grad()
	require.NoError(t, err)
	assert.InDeltaSlice(t, wantGrad, grad.Data(), 1e-12)
}

// The gradient of every parameter against central differences, through the
// machine that trains.
func TestGradient(t *testing.T) {
	const inputs, batch = 16, 12
	for _, kind := range normKinds {
		t.Run(kind, func(t *testing.T) {
			net, err := newNetwork(kind, inputs, rand.New(rand.NewPCG(1, 1)))
			require.NoError(t, err)
			tr, err := newTrainer(net, inputs, batch)
			require.NoError(t, err)
			defer tr.vm.Close()
			rng := rand.New(rand.NewPCG(2, 2))
			for i := range tr.x {
				tr.x[i] = float32(rng.NormFloat64())
			}
			for i := range batch {
				tr.y[rng.IntN(classes)*batch+i] = 1
			}
			loss := func() float64 {
				require.NoError(t, tr.vm.RunAll())
				defer tr.vm.Reset()
				return float64(tr.cost.Data().(float32))
			}

			loss()
			// All of them now: with every run the machine adds to the gradients.
			grads := map[*G.Node][]float32{}
			for _, p := range net.learnables() {
				grad, err := p.Grad()
				require.NoError(t, err)
				grads[p] = append([]float32(nil), grad.Data().([]float32)...)
			}

			for _, p := range net.learnables() {
				grad := grads[p]
				w := p.Value().Data().([]float32)

				// Along the gradient itself the loss changes most, which keeps
				// the difference clear of the rounding of float32.
				norm := 0.0
				for _, v := range grad {
					norm += float64(v) * float64(v)
				}
				norm = math.Sqrt(norm)
				require.NotZero(t, norm, p.Name())
				const step = 0.01
				before := append([]float32(nil), w...)
				move := func(s float64) float64 {
					for i := range w {
						w[i] = before[i] + float32(s*float64(grad[i])/norm)
					}
					return loss()
				}
				numeric := (move(step) - move(-step)) / (2 * step)
				copy(w, before)
				assert.InEpsilon(t, norm, numeric, 0.02, p.Name())
			}
		})
	}
}

// What the training graph learns the evaluation graph must see, in all its
// parameters.
func TestEvaluatorSharesParameters(t *testing.T) {
	for _, kind := range normKinds {
		t.Run(kind, func(t *testing.T) {
			net, err := newNetwork(kind, 16, rand.New(rand.NewPCG(1, 1)))
			require.NoError(t, err)
			net2, err := net.in(G.NewGraph())
			require.NoError(t, err)
			a, b := net.learnables(), net2.learnables()
			require.Len(t, b, len(a))
			for i := range a {
				a[i].Value().Data().([]float32)[0] = 42
				assert.EqualValues(t, 42, b[i].Value().Data().([]float32)[0], a[i].Name())
			}
		})
	}
}

func TestHeUniform(t *testing.T) {
	w := heUniform(rand.New(rand.NewPCG(1, 1)), 6)(dt, 100, 30).([]float32)
	require.Len(t, w, 3000)
	sum, squares := 0.0, 0.0
	for _, v := range w {
		require.LessOrEqual(t, math.Abs(float64(v)), 1.0) // √(6/6)
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	assert.InDelta(t, 0, sum/3000, 0.05)
	assert.InDelta(t, 1.0/3, squares/3000, 0.02) // 2/fanIn
}
