package main

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gorgonorm/norm/examples/internal/mnist"
	"github.com/gorgonorm/norm/examples/internal/nn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
)

// The gradient of every parameter against central differences, through the
// machine that trains.
func TestGradient(t *testing.T) {
	const inputs, batch = 16, 12
	for _, kind := range nn.Kinds {
		t.Run(kind, func(t *testing.T) {
			net, err := newNetwork(kind, inputs, rand.New(rand.NewPCG(1, 1)))
			require.NoError(t, err)
			tr, err := nn.NewTrainer(net, inputs, batch, nil)
			require.NoError(t, err)
			defer tr.Close()
			rng := rand.New(rand.NewPCG(2, 2))
			for i := range tr.X {
				tr.X[i] = float32(rng.NormFloat64())
			}
			for i := range batch {
				tr.Y[rng.IntN(mnist.Classes)*batch+i] = 1
			}
			loss := func() float64 {
				loss, err := tr.Run()
				require.NoError(t, err)
				return loss
			}

			loss()
			// All of them now: with every run the machine adds to the gradients.
			grads := map[*G.Node][]float32{}
			for _, p := range net.Learnables() {
				grad, err := p.Grad()
				require.NoError(t, err)
				grads[p] = append([]float32(nil), grad.Data().([]float32)...)
			}

			for _, p := range net.Learnables() {
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
	for _, kind := range nn.Kinds {
		t.Run(kind, func(t *testing.T) {
			net, err := newNetwork(kind, 16, rand.New(rand.NewPCG(1, 1)))
			require.NoError(t, err)
			net2, err := net.In(G.NewGraph())
			require.NoError(t, err)
			a, b := net.Learnables(), net2.Learnables()
			require.Len(t, b, len(a))
			for i := range a {
				a[i].Value().Data().([]float32)[0] = 42
				assert.EqualValues(t, 42, b[i].Value().Data().([]float32)[0], a[i].Name())
			}
		})
	}
}
