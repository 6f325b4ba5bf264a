package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"time"

	"github.com/gorgonorm/norm/examples/internal/mnist"
	"github.com/gorgonorm/norm/examples/internal/nn"
	"github.com/gorgonorm/norm/examples/internal/progress"
	G "gorgonia.org/gorgonia"
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

// trainNetwork trains until the epochs are over or ctx is cancelled. If the training
// diverges after the first epoch, there is a result beside the error.
func trainNetwork(ctx context.Context, cfg config, train, test *mnist.Dataset, stdout, stderr io.Writer) (res *result, err error) {
	// Two streams of one seed: a change in the network leaves the order of the
	// images alone.
	weights, shuffling := rand.New(rand.NewPCG(cfg.seed, 1)), rand.New(rand.NewPCG(cfg.seed, 2))
	net, err := networks[cfg.net].build(cfg.norm, train.Pixels, weights)
	if err != nil {
		return nil, err
	}
	solver := G.NewAdamSolver()
	t, err := nn.NewTrainer(net, train.Pixels, cfg.batch, solver)
	if err != nil {
		return nil, err
	}
	defer nn.CloseVM(t, &err)
	e, err := nn.NewEvaluator(net, train.Pixels, evalBatch)
	if err != nil {
		return nil, err
	}
	defer nn.CloseVM(e, &err)

	r := &runner{cfg: cfg, train: train, test: test, trainer: t, solver: solver, evaluator: e, order: mnist.Sequence(0, train.Count())}
	r.res.testImages = test.Count()
	for _, p := range net.Learnables() {
		r.res.params += p.Shape().TotalSize()
	}
	start := time.Now()
	for epoch := 0; epoch < cfg.epochs && ctx.Err() == nil && err == nil; epoch++ {
		shuffling.Shuffle(len(r.order), func(i, j int) { r.order[i], r.order[j] = r.order[j], r.order[i] })
		err = r.epoch(ctx, epoch, stdout, stderr)
	}
	if err != nil && (r.res.epochs == 0 || !errors.Is(err, nn.ErrDiverged)) {
		return nil, err
	}
	r.res.elapsed = time.Since(start)
	r.res.interrupted = ctx.Err() != nil
	return &r.res, err
}

// runner holds what the epochs have in common.
type runner struct {
	cfg         config
	train, test *mnist.Dataset
	trainer     *nn.Trainer
	solver      G.Solver
	evaluator   *nn.Evaluator
	order       []int
	steps       int // taken so far
	res         result
}

// epoch trains once on all images, as far as they fill batches: the few that
// are left out differ from epoch to epoch. Then it evaluates.
func (r *runner) epoch(ctx context.Context, epoch int, stdout, stderr io.Writer) error {
	perEpoch := len(r.order) / r.cfg.batch
	bar := progress.New(stderr, perEpoch, fmt.Sprintf("epoch %d/%d", epoch+1, r.cfg.epochs))

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
		G.WithLearnRate(r.cfg.lr * left)(r.solver)
		loss, err := r.trainer.Step(r.train, indices)
		if errors.Is(err, nn.ErrDiverged) {
			err = fmt.Errorf("%w: lower -lr", err)
		}
		if err != nil {
			bar.Clear()
			record()
			return fmt.Errorf("epoch %d, step %d: %w", epoch+1, done+1, err)
		}
		done++
		r.steps++
		sum += loss
		recent += loss
		if done-recorded == recordEvery {
			record()
		}
		bar.Add()
	}
	record()
	r.res.trainTime += time.Since(start)
	bar.Clear()
	if done == 0 {
		return nil
	}
	return r.endEpoch(epoch, done, sum/float64(done), perEpoch, start, stdout)
}

// endEpoch evaluates, also after a part of an epoch, and tells.
func (r *runner) endEpoch(epoch, done int, loss float64, perEpoch int, start time.Time, stdout io.Writer) error {
	_, accuracy, err := r.evaluator.Measure(r.test)
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
