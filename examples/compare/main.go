// Command compare repeats experiments of two papers on normalization, on MNIST and in
// minutes, with batch, layer and weight norm and with none:
//
//	go run ./examples/compare
//
// Figure 1 of Ioffe and Szegedy, 2015, has a network of sigmoid units with and without
// batch norm: its accuracy, and how the input of a unit spreads during training.
// Figure 6 of Ba, Kiros and Hinton, 2016, has a network of rectifiers in batches of 128
// and of 4. In each experiment all normalizations start from the same weights, and have the
// same batches, solver, learning rate (-search tries a small grid) and seeds. The figures,
// tables and all numbers go to out/compare.
//
// Sergey Ioffe, Christian Szegedy, "Batch Normalization: Accelerating Deep Network
// Training by Reducing Internal Covariate Shift", 2015, arXiv:1502.03167v3.
//
// Jimmy Lei Ba, Jamie Ryan Kiros, Geoffrey E. Hinton, "Layer Normalization", 2016,
// arXiv:1607.06450v1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/gorgonorm/norm/examples/internal/mnist"
	"github.com/gorgonorm/norm/examples/internal/output"
	"github.com/gorgonorm/norm/internal/command"
)

// config holds what the flags say.
type config struct {
	only   string
	share  float64
	seeds  int
	search bool
	redraw bool
	data   string
	out    string
}

func main() { command.Main(run) }

// run is the program without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cfg, err := parseFlags(args, stderr)
	if err != nil {
		return command.Mistake("compare", err, stderr)
	}
	err = compare(ctx, cfg, stdout, stderr)
	switch {
	case errors.Is(err, context.Canceled): // in the training; what follows it goes on
		fmt.Fprintln(stderr, "compare: interrupted, nothing is written")
		return command.Interrupted
	case err != nil:
		return command.Fail("compare", err, stderr)
	}
	return command.OK
}

func parseFlags(args []string, stderr io.Writer) (config, error) {
	var cfg config
	var quick bool
	fs := flag.NewFlagSet("compare", flag.ContinueOnError)
	fs.StringVar(&cfg.only, "only", "", "one `experiment`: sigmoid, batch128 or batch4")
	fs.Float64Var(&cfg.share, "share", 1, "`part` of the training steps, up to 1")
	fs.IntVar(&cfg.seeds, "seeds", 3, "seeds: 1, 2, … this `number`")
	fs.BoolVar(&quick, "quick", false, "the same as -share 0.1 -seeds 1, for what is not given")
	fs.BoolVar(&cfg.search, "search", false, "try the learning rates of the grids instead")
	fs.BoolVar(&cfg.redraw, "redraw", false, "make figures and tables from the numbers in the folder again")
	fs.StringVar(&cfg.data, "data", "", "`folder` of IDX files, plain or .gz (default: MNIST from the GoMNIST module)")
	fs.StringVar(&cfg.out, "out", filepath.Join("out", "compare"), "`folder` for figures, tables and numbers; with -only, those of the other experiments stay")
	if err := command.Parse(fs, args, stderr); err != nil {
		return cfg, err
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if quick && !given["share"] {
		cfg.share = 0.1
	}
	if quick && !given["seeds"] {
		cfg.seeds = 1
	}
	if err := cfg.clash(given); err != nil {
		return cfg, err
	}
	return cfg, cfg.check()
}

// clash returns an error for the first flag that would be ignored.
func (c config) clash(given map[string]bool) error {
	if c.redraw {
		for _, name := range []string{"only", "share", "seeds", "quick", "search", "data"} {
			if given[name] {
				return fmt.Errorf("-redraw with -%s: it draws all numbers in the folder and trains nothing", name)
			}
		}
	}
	if c.search {
		for _, name := range []string{"seeds", "out"} {
			if given[name] {
				return fmt.Errorf("-search with -%s: it takes one seed of its own and writes nothing", name)
			}
		}
	}
	return nil
}

func (c config) check() error {
	switch {
	case len(c.experiments()) == 0:
		return fmt.Errorf("-only %q: want sigmoid, batch128 or batch4", c.only)
	case !(c.share > 0 && c.share <= 1): // the negation also refuses NaN
		return fmt.Errorf("-share %v: want more than 0 and at most 1", c.share)
	case c.seeds < 1:
		return fmt.Errorf("-seeds %d: want at least 1", c.seeds)
	case c.out == "":
		return errors.New("-out: want a folder")
	}
	return nil
}

// experiments returns those that are asked for.
func (c config) experiments() (es []*experiment) {
	for i := range experiments {
		if c.only == "" || c.only == experiments[i].name {
			es = append(es, &experiments[i])
		}
	}
	return es
}

// steps returns the number of steps of an experiment, at least one for each point.
func (c config) steps(e *experiment) int {
	return max(evaluations, int(c.share*float64(e.steps)))
}

// others returns the runs in the folder, if there are any, of experiments that are not
// asked for.
func (c config) others() ([]*Run, error) {
	runs, err := readRuns(c.out)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	asked := c.experiments()
	return slices.DeleteFunc(runs, func(r *Run) bool { return slices.Contains(asked, find(r.Experiment)) }), err
}

// compare trains all networks and writes what came out.
func compare(ctx context.Context, cfg config, stdout, stderr io.Writer) error {
	if cfg.redraw {
		runs, err := readRuns(cfg.out)
		if err != nil {
			return err
		}
		return report(cfg.out, runs, stdout)
	}
	train, test, err := mnist.Load(ctx, cfg.data)
	if err != nil {
		return err
	}
	d := data{train, test}
	for _, e := range cfg.experiments() {
		if train.Count() < e.batch {
			return fmt.Errorf("a batch of %d images out of %d", e.batch, train.Count())
		}
	}
	if cfg.search {
		return search(ctx, cfg, d, stdout, stderr)
	}
	// Before the training: minutes of work are not lost to a typing error.
	for _, name := range []string{"sigmoid.png", "inputs.png", "batches.png", numbers, page} {
		if err := output.Check(filepath.Join(cfg.out, name)); err != nil {
			return err
		}
	}
	runs, err := cfg.others()
	if err != nil {
		return err
	}

	var jobs []job
	for _, e := range cfg.experiments() {
		for _, kind := range kinds {
			for seed := range uint64(cfg.seeds) {
				jobs = append(jobs, job{e, kind, seed + 1, e.rates[kind], cfg.steps(e)})
			}
		}
	}
	outcomes, err := runAll(ctx, jobs, d, stdout, stderr)
	if err != nil {
		return err
	}
	for _, o := range outcomes {
		if o.run == nil {
			return fmt.Errorf("%s, norm %s, seed %d: training diverges", o.job.name, o.job.kind, o.job.seed)
		}
		runs = append(runs, o.run)
	}
	if err := writeRuns(cfg.out, runs); err != nil {
		return err
	}
	return report(cfg.out, runs, stdout)
}
