package nn

import (
	"errors"
	"fmt"
	"math"

	"github.com/gorgonorm/norm/examples/internal/mnist"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// ErrDiverged is the error of a training step whose loss is not a finite number.
var ErrDiverged = errors.New("training diverges")

// Trainer takes training steps.
type Trainer struct {
	// X and Y are the memory of the images and of the right classes; see
	// CrossEntropy for their layout.
	X, Y []float32

	vm     G.VM
	solver G.Solver
	params []G.ValueGrad
	cost   G.Value
}

// NewTrainer adds the cost and its gradients to the graph of the network.
func NewTrainer(n *Network, inputs, batch int, solver G.Solver) (*Trainer, error) {
	t := &Trainer{X: make([]float32, batch*inputs), Y: make([]float32, mnist.Classes*batch), solver: solver}
	x := G.NewMatrix(n.Graph, Dtype, G.WithName("x"), G.WithShape(batch, inputs),
		G.WithValue(tensor.New(tensor.WithShape(batch, inputs), tensor.WithBacking(t.X))))
	y := G.NewMatrix(n.Graph, Dtype, G.WithName("y"), G.WithShape(mnist.Classes, batch),
		G.WithValue(tensor.New(tensor.WithShape(mnist.Classes, batch), tensor.WithBacking(t.Y))))

	logits, err := n.Fwd(x)
	if err != nil {
		return nil, err
	}
	cost, err := CrossEntropy(logits, y)
	if err != nil {
		return nil, err
	}
	G.Read(cost, &t.cost)

	params := n.Learnables()
	if _, err := G.Grad(cost, params...); err != nil {
		return nil, err
	}
	t.vm = G.NewTapeMachine(n.Graph, G.BindDualValues(params...))
	t.params = G.NodesToValueGrads(params)
	return t, nil
}

// Run returns the loss of what is in X and Y, and adds its gradients to those that
// the parameters hold.
func (t *Trainer) Run() (loss float64, err error) {
	defer t.vm.Reset()
	if err := t.vm.RunAll(); err != nil {
		return 0, err
	}
	return float64(t.cost.Data().(float32)), nil
}

// Step trains on the images with the given indices and returns their loss.
func (t *Trainer) Step(d *mnist.Dataset, indices []int) (loss float64, err error) {
	d.Fill(t.X, indices)
	d.FillOneHot(t.Y, indices)
	if loss, err = t.Run(); err != nil {
		return 0, err
	}
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return 0, fmt.Errorf("%w: the loss is %v", ErrDiverged, loss)
	}
	return loss, t.solver.Step(t.params)
}

// Close ends the machine.
func (t *Trainer) Close() error { return t.vm.Close() }

// Evaluator measures a network in a graph of its own: the number of images in a
// step is part of a graph, and so is the mode of batch normalization.
type Evaluator struct {
	vm     G.VM
	x      []float32
	logits G.Value
	batch  int
}

// NewEvaluator makes the network in another graph, for so many images at a time.
func NewEvaluator(n *Network, inputs, batch int) (*Evaluator, error) {
	n, err := n.In(G.NewGraph())
	if err != nil {
		return nil, err
	}
	e := &Evaluator{x: make([]float32, batch*inputs), batch: batch}
	x := G.NewMatrix(n.Graph, Dtype, G.WithName("x"), G.WithShape(batch, inputs),
		G.WithValue(tensor.New(tensor.WithShape(batch, inputs), tensor.WithBacking(e.x))))
	logits, err := n.Fwd(x)
	if err != nil {
		return nil, err
	}
	G.Read(logits, &e.logits)
	// EvalMode makes batch normalization use its running statistics.
	e.vm = G.NewTapeMachine(n.Graph, G.EvalMode())
	return e, nil
}

// Measure returns the mean cross-entropy and the share of the images that are
// recognized.
func (e *Evaluator) Measure(d *mnist.Dataset) (loss, accuracy float64, err error) {
	right := 0
	for start := 0; start < d.Count(); start += e.batch {
		indices := mnist.Sequence(start, min(start+e.batch, d.Count()))
		// In the last step rows may be left over from the step before. They
		// have no influence on the others, and are not counted.
		d.Fill(e.x, indices)
		err := e.vm.RunAll()
		if err != nil {
			e.vm.Reset()
			return 0, 0, err
		}
		logits := e.logits.Data().([]float32)
		for row, i := range indices {
			l, label := logits[row*mnist.Classes:(row+1)*mnist.Classes], int(d.Labels[i])
			loss += crossEntropy(l, label)
			if argmax(l) == label {
				right++
			}
		}
		e.vm.Reset()
	}
	n := float64(d.Count())
	return loss / n, float64(right) / n, nil
}

// Close ends the machine.
func (e *Evaluator) Close() error { return e.vm.Close() }

// crossEntropy is −log of the probability that the softmax of the logits gives to the label.
func crossEntropy(logits []float32, label int) float64 {
	top, sum := float64(logits[argmax(logits)]), 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v) - top)
	}
	return math.Log(sum) + top - float64(logits[label])
}

func argmax(x []float32) (best int) {
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}
