package nn

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gorgonorm/norm/examples/internal/mnist"
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
		row := logits[i*mnist.Classes : (i+1)*mnist.Classes]
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
			wantGrad[i*mnist.Classes+j] = math.Exp(v-top) / sum / float64(n)
		}
		wantGrad[i*mnist.Classes+label] -= 1 / float64(n)
		y[label*n+i] = 1
	}

	g := G.NewGraph()
	l := G.NewMatrix(g, G.Float64, G.WithName("logits"), G.WithShape(n, mnist.Classes),
		G.WithValue(tensor.New(tensor.WithShape(n, mnist.Classes), tensor.WithBacking(logits))))
	yn := G.NewMatrix(g, G.Float64, G.WithName("y"), G.WithShape(mnist.Classes, n),
		G.WithValue(tensor.New(tensor.WithShape(mnist.Classes, n), tensor.WithBacking(y))))
	cost, err := CrossEntropy(l, yn)
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

// What the trainer and the evaluator say of one network and the same images.
func TestEvaluatorAgreesWithTrainer(t *testing.T) {
	const inputs, batch = 5, 8
	rng := rand.New(rand.NewPCG(1, 1))
	init := func(_ tensor.Dtype, s ...int) any {
		w := make([]float32, tensor.Shape(s).TotalSize())
		for i := range w {
			w[i] = float32(rng.NormFloat64())
		}
		return w
	}
	d := &mnist.Dataset{Pixels: inputs, Scale: &mnist.Standardized}
	for i := range batch {
		d.Labels = append(d.Labels, byte(i%mnist.Classes))
		for range inputs {
			d.Images = append(d.Images, byte(rng.UintN(256)))
		}
	}

	n := New()
	var seen G.Value
	n.Add(StageOf(NewLinear(n.Graph, "fc", inputs, mnist.Classes, true, init)), Observe(&seen))
	tr, err := NewTrainer(n, inputs, batch, G.NewVanillaSolver(G.WithLearnRate(0.5)))
	require.NoError(t, err)
	defer tr.Close()
	e, err := NewEvaluator(n, inputs, 3)
	require.NoError(t, err)
	defer e.Close()

	for range 3 { // both see what a step has changed
		wantLoss, wantAccuracy, err := e.Measure(d)
		require.NoError(t, err)
		loss, err := tr.Step(d, mnist.Sequence(0, batch))
		require.NoError(t, err)
		assert.InDelta(t, wantLoss, loss, 1e-5)

		right := 0.0 // before the step
		for i, label := range d.Labels {
			if argmax(seen.Data().([]float32)[i*mnist.Classes:(i+1)*mnist.Classes]) == int(label) {
				right++
			}
		}
		assert.Equal(t, wantAccuracy, right/batch)
	}
}

func TestDivergence(t *testing.T) {
	d := &mnist.Dataset{Pixels: 1, Images: []byte{255}, Labels: []byte{3}, Scale: &mnist.Binary}
	n := New()
	n.Add(StageOf(NewLinear(n.Graph, "fc", 1, mnist.Classes, false, func(tensor.Dtype, ...int) any {
		w := make([]float32, mnist.Classes)
		w[0] = float32(math.NaN())
		return w
	})))
	tr, err := NewTrainer(n, 1, 1, G.NewVanillaSolver())
	require.NoError(t, err)
	defer tr.Close()
	_, err = tr.Step(d, []int{0})
	assert.ErrorIs(t, err, ErrDiverged)
}

func TestHeUniform(t *testing.T) {
	w := HeUniform(rand.New(rand.NewPCG(1, 1)), 6)(Dtype, 100, 30).([]float32)
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

// A network starts from the same weights whatever its normalization.
func TestHiddenStartsAlike(t *testing.T) {
	const in, out = 6, 4
	weights := func(kind string) []float32 {
		g := G.NewGraph()
		stages, err := Hidden(g, kind, 1, in, out, Normal(rand.New(rand.NewPCG(1, 1)), 0.1))
		require.NoError(t, err)
		return stages[0].Learnables[0].Value().Data().([]float32)
	}
	want := weights("none")
	assert.Equal(t, want, weights("batch"))
	assert.Equal(t, want, weights("layer"))
	v := weights("weight") // (out, in)
	for i := range in {
		for j := range out {
			assert.Equal(t, want[i*out+j], v[j*in+i])
		}
	}

	_, err := Hidden(G.NewGraph(), "group", 1, in, out, nil)
	assert.ErrorContains(t, err, `normalization "group"`)
}
