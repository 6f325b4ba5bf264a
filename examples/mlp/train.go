package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"time"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// evalBatch is the number of images in a step of the evaluation.
const evalBatch = 1000

// recordEvery is the number of steps whose mean loss makes a point of the curve.
const recordEvery = 20

// point is a point of the learning curves.
type point struct {
	epoch    float64 // may be a fraction
	step     int
	loss     float64 // mean since the point before
	accuracy float64 // on the test images; NaN where it was not measured
}

// result is what a training run gives.
type result struct {
	curve       []point
	params      int
	epochs      float64
	loss        float64 // mean over the last epoch
	accuracy    float64
	best        float64
	elapsed     time.Duration // training and evaluation
	trainTime   time.Duration
	images      int // seen in training, repetitions included
	testImages  int
	interrupted bool
}

// trainer takes training steps.
type trainer struct {
	vm     G.VM
	solver G.Solver
	params []G.ValueGrad
	x, y   []float32 // the input tensors' memory
	cost   G.Value
}

func newTrainer(net *network, inputs, batch int) (*trainer, error) {
	t := &trainer{x: make([]float32, batch*inputs), y: make([]float32, classes*batch)}
	x := G.NewMatrix(net.g, dt, G.WithName("x"), G.WithShape(batch, inputs),
		G.WithValue(tensor.New(tensor.WithShape(batch, inputs), tensor.WithBacking(t.x))))
	y := G.NewMatrix(net.g, dt, G.WithName("y"), G.WithShape(classes, batch),
		G.WithValue(tensor.New(tensor.WithShape(classes, batch), tensor.WithBacking(t.y))))

	logits, err := net.fwd(x)
	if err != nil {
		return nil, err
	}
	cost, err := crossEntropy(logits, y)
	if err != nil {
		return nil, err
	}
	G.Read(cost, &t.cost)

	params := net.learnables()
	if _, err := G.Grad(cost, params...); err != nil {
		return nil, err
	}
	t.vm = G.NewTapeMachine(net.g, G.BindDualValues(params...))
	t.params = G.NodesToValueGrads(params)
	t.solver = G.NewAdamSolver()
	return t, nil
}

// step trains on the images with the given indices and returns their loss.
func (t *trainer) step(d *dataset, indices []int, lr float64) (float64, error) {
	d.fill(t.x, indices)
	d.fillOneHot(t.y, indices)
	defer t.vm.Reset()
	if err := t.vm.RunAll(); err != nil {
		return 0, err
	}
	loss := float64(t.cost.Data().(float32))
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return 0, fmt.Errorf("the loss is %v: lower -lr", loss)
	}
	G.WithLearnRate(lr)(t.solver)
	return loss, t.solver.Step(t.params)
}

// evaluator measures the accuracy in a graph of its own: the number of images
// in a step is part of a graph, and so is the mode of batch normalization.
type evaluator struct {
	vm     G.VM
	x      []float32
	logits G.Value
}

func newEvaluator(net *network, inputs int) (*evaluator, error) {
	net, err := net.in(G.NewGraph())
	if err != nil {
		return nil, err
	}
	e := &evaluator{x: make([]float32, evalBatch*inputs)}
	x := G.NewMatrix(net.g, dt, G.WithName("x"), G.WithShape(evalBatch, inputs),
		G.WithValue(tensor.New(tensor.WithShape(evalBatch, inputs), tensor.WithBacking(e.x))))
	logits, err := net.fwd(x)
	if err != nil {
		return nil, err
	}
	G.Read(logits, &e.logits)
	// EvalMode makes batch normalization use its running statistics.
	e.vm = G.NewTapeMachine(net.g, G.EvalMode())
	return e, nil
}

// accuracy returns the share of the images that are recognized.
func (e *evaluator) accuracy(d *dataset) (float64, error) {
	right := 0
	for start := 0; start < d.count(); start += evalBatch {
		indices := sequence(start, min(start+evalBatch, d.count()))
		// In the last step rows may be left over from the step before. They
		// have no influence on the others, and are not counted.
		d.fill(e.x, indices)
		err := e.vm.RunAll()
		if err != nil {
			e.vm.Reset()
			return 0, err
		}
		logits := e.logits.Data().([]float32)
		for row, i := range indices {
			if argmax(logits[row*classes:(row+1)*classes]) == int(d.labels[i]) {
				right++
			}
		}
		e.vm.Reset()
	}
	return float64(right) / float64(d.count()), nil
}

// trainNetwork trains until the epochs are over or ctx is cancelled.
func trainNetwork(ctx context.Context, cfg config, train, test *dataset, stdout, stderr io.Writer) (res *result, err error) {
	// Two streams of one seed: a change in the network leaves the order of the
	// images alone.
	weights, shuffling := rand.New(rand.NewPCG(cfg.seed, 1)), rand.New(rand.NewPCG(cfg.seed, 2))
	net, err := networks[cfg.net](cfg.norm, train.pixels, weights)
	if err != nil {
		return nil, err
	}
	t, err := newTrainer(net, train.pixels, cfg.batch)
	if err != nil {
		return nil, err
	}
	defer closeVM(t.vm, &err)
	e, err := newEvaluator(net, train.pixels)
	if err != nil {
		return nil, err
	}
	defer closeVM(e.vm, &err)

	r := &runner{cfg: cfg, train: train, test: test, trainer: t, evaluator: e, order: sequence(0, train.count())}
	r.res.testImages = test.count()
	for _, p := range net.learnables() {
		r.res.params += p.Shape().TotalSize()
	}
	start := time.Now()
	for epoch := 0; epoch < cfg.epochs && ctx.Err() == nil; epoch++ {
		shuffling.Shuffle(len(r.order), func(i, j int) { r.order[i], r.order[j] = r.order[j], r.order[i] })
		if err := r.epoch(ctx, epoch, stdout, stderr); err != nil {
			return nil, err
		}
	}
	r.res.elapsed = time.Since(start)
	r.res.interrupted = ctx.Err() != nil
	return &r.res, nil
}

// runner holds what the epochs have in common.
type runner struct {
	cfg         config
	train, test *dataset
	trainer     *trainer
	evaluator   *evaluator
	order       []int
	steps       int // taken so far
	res         result
}

// epoch trains once on all images, as far as they fill batches: the few that
// are left out differ from epoch to epoch. Then it evaluates.
func (r *runner) epoch(ctx context.Context, epoch int, stdout, stderr io.Writer) error {
	perEpoch := len(r.order) / r.cfg.batch
	bar := newProgress(stderr, perEpoch, fmt.Sprintf("epoch %d/%d", epoch+1, r.cfg.epochs))

	var sum, recent float64
	done, recorded := 0, 0
	record := func() {
		if done == recorded {
			return
		}
		r.res.curve = append(r.res.curve, point{
			epoch: float64(r.steps) / float64(perEpoch), step: r.steps,
			loss: recent / float64(done-recorded), accuracy: math.NaN(),
		})
		recent, recorded = 0, done
	}
	start := time.Now()
	for done < perEpoch && ctx.Err() == nil {
		indices := r.order[done*r.cfg.batch : (done+1)*r.cfg.batch]
		left := 1 - float64(r.steps)/float64(perEpoch*r.cfg.epochs)
		loss, err := r.trainer.step(r.train, indices, r.cfg.lr*left)
		if err != nil {
			bar.clear()
			return fmt.Errorf("epoch %d, step %d: %w", epoch+1, done+1, err)
		}
		done++
		r.steps++
		sum += loss
		recent += loss
		if done-recorded == recordEvery {
			record()
		}
		bar.add()
	}
	record()
	r.res.trainTime += time.Since(start)
	bar.clear()
	if done == 0 {
		return nil
	}
	return r.endEpoch(epoch, done, sum/float64(done), perEpoch, start, stdout)
}

// endEpoch evaluates, also after a part of an epoch, and tells.
func (r *runner) endEpoch(epoch, done int, loss float64, perEpoch int, start time.Time, stdout io.Writer) error {
	accuracy, err := r.evaluator.accuracy(r.test)
	if err != nil {
		return fmt.Errorf("evaluation after epoch %d: %w", epoch+1, err)
	}
	r.res.curve[len(r.res.curve)-1].accuracy = accuracy
	r.res.epochs = float64(r.steps) / float64(perEpoch)
	r.res.images += done * r.cfg.batch
	r.res.loss, r.res.accuracy = loss, accuracy
	r.res.best = max(r.res.best, accuracy)

	cut := ""
	if done < perEpoch {
		cut = fmt.Sprintf("   interrupted after %d of %d steps", done, perEpoch)
	}
	fmt.Fprintf(stdout, "epoch %2d/%d   loss %.4f   test accuracy %.2f %%   %.1f s%s\n",
		epoch+1, r.cfg.epochs, loss, 100*accuracy, time.Since(start).Seconds(), cut)
	return nil
}

func closeVM(vm G.VM, err *error) { *err = errors.Join(*err, vm.Close()) }

// sequence returns from, from+1, … to−1.
func sequence(from, to int) []int {
	s := make([]int, to-from)
	for i := range s {
		s[i] = from + i
	}
	return s
}

func argmax(x []float32) (best int) {
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}
