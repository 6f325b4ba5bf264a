package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/examples/internal/mnist"
	"github.com/gorgonorm/norm/examples/internal/nn"
)

// evaluations is the number of points of a curve.
const evaluations = 25

// evalBatch is the number of images in a step of the evaluation.
const evalBatch = 1000

// reestimated is the number of images for norm.Reestimate.
const reestimated = 6000

// Point is a point of the curves.
type Point struct {
	Step         int
	TrainLoss    float64 // mean since the point before, as the training saw it
	TestLoss     float64
	TestAccuracy float64
}

// Run is one network, trained.
type Run struct {
	Experiment string
	Kind       string
	Seed       uint64
	Rate       float64
	Points     []Point
	Spread     *Spread `json:",omitempty"`

	// Reestimated is the last test accuracy of batch norm with statistics that
	// norm.Reestimate has taken in place of the running ones.
	Reestimated float64 `json:",omitempty"`
}

func (r *Run) last() Point { return r.Points[len(r.Points)-1] }

// job is a run that is to be done.
type job struct {
	*experiment
	kind  string
	seed  uint64
	rate  float64
	steps int
}

// data are the images to train on and those to measure with.
type data struct{ train, test *mnist.Dataset }

// run trains a network. step is called after each step.
func (j *job) run(ctx context.Context, d data, step func()) (res *Run, err error) {
	train, test := d.train.WithScale(j.scale), d.test.WithScale(j.scale)
	// Two streams of one seed: every kind of network has the same weights at first
	// and sees the same batches.
	weights, shuffling := rand.New(rand.NewPCG(j.seed, 1)), rand.New(rand.NewPCG(j.seed, 2))
	net, err := j.network(j.kind, train.Pixels, weights)
	if err != nil {
		return nil, err
	}
	t, err := nn.NewTrainer(net.Network, train.Pixels, j.batch, j.solver(j.rate))
	if err != nil {
		return nil, err
	}
	defer nn.CloseVM(t, &err)
	e, err := nn.NewEvaluator(net.Network, train.Pixels, min(evalBatch, test.Count()))
	if err != nil {
		return nil, err
	}
	defer nn.CloseVM(e, &err)

	res = &Run{Experiment: j.name, Kind: j.kind, Seed: j.seed, Rate: j.rate}
	var spread *spreadRecorder
	if j.spread {
		spread = newSpreadRecorder(j.hidden[len(j.hidden)-1])
	}
	batches := batcher{size: j.batch, rng: shuffling, order: mnist.Sequence(0, train.Count())}
	sum, since := 0.0, 0
	for done := 1; done <= j.steps; done++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		loss, err := t.Step(train, batches.next())
		if err != nil {
			return nil, fmt.Errorf("step %d: %w", done, err)
		}
		step()
		sum += loss
		since++
		if spread != nil {
			spread.step(done, j.steps, net.inputs.Data().([]float32))
		}
		if !due(done, j.steps, evaluations) {
			continue
		}
		p := Point{Step: done, TrainLoss: sum / float64(since)}
		if p.TestLoss, p.TestAccuracy, err = e.Measure(test); err != nil {
			return nil, fmt.Errorf("evaluation after step %d: %w", done, err)
		}
		res.Points = append(res.Points, p)
		sum, since = 0, 0
	}
	if spread != nil {
		res.Spread = spread.result()
	}
	if net.batchNorms != nil {
		if err := reestimate(net.batchNorms, t, train, &batches); err != nil {
			return nil, err
		}
		if _, res.Reestimated, err = e.Measure(test); err != nil {
			return nil, err
		}
	}
	return res, nil
}

// reestimate replaces the running statistics by those of some of the images.
func reestimate(layers []*norm.BatchNorm, t *nn.Trainer, train *mnist.Dataset, batches *batcher) error {
	return norm.Reestimate(func() error {
		for range (min(reestimated, train.Count()) + batches.size - 1) / batches.size {
			train.Fill(t.X, batches.next())
			if _, err := t.Run(); err != nil {
				return err
			}
		}
		return nil
	}, layers...)
}

// due says whether one of n points, spread evenly over the steps, is at this step.
func due(step, steps, n int) bool { return step*n/steps != (step-1)*n/steps }

// batcher gives batches of images, in a new order each time all have been seen. The
// few that do not fill a batch are left out until the next order.
type batcher struct {
	size  int
	rng   *rand.Rand
	order []int
	left  []int
}

func (b *batcher) next() []int {
	if len(b.left) < b.size {
		b.rng.Shuffle(len(b.order), func(i, j int) { b.order[i], b.order[j] = b.order[j], b.order[i] })
		b.left = b.order
	}
	batch := b.left[:b.size]
	b.left = b.left[b.size:]
	return batch
}
