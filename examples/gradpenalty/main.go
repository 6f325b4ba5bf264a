// Command gradpenalty trains the critic of a Wasserstein GAN with gradient penalty
// on points in the plane, with layer norm in the critic, and plots its estimate of
// the distance between two clouds of points and the penalty:
//
//	go run ./examples/gradpenalty
//
// The penalty keeps the slope of the critic at 1. It is a function of a gradient,
// so a training step needs the gradient of a gradient, which package diff takes. The
// paper recommends layer norm in place of batch norm, since the penalty is on the
// gradient of each point by itself.
//
// Gulrajani et al., "Improved Training of Wasserstein GANs", 2017,
// arXiv:1704.00028v3, algorithm 1.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/gorgonorm/norm/examples/internal/output"
	"github.com/gorgonorm/norm/internal/command"
)

// config holds what the flags say.
type config struct {
	steps int
	out   string
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the program without the process around it.
func run(args []string, stdout, stderr io.Writer) int {
	cfg, err := parseFlags(args, stderr)
	if err != nil {
		return command.Mistake("gradpenalty", err, stderr)
	}
	if err := trainAndPlot(cfg, stdout); err != nil {
		return command.Fail("gradpenalty", err, stderr)
	}
	return command.OK
}

func parseFlags(args []string, stderr io.Writer) (cfg config, err error) {
	fs := flag.NewFlagSet("gradpenalty", flag.ContinueOnError)
	fs.IntVar(&cfg.steps, "steps", 400, "training steps")
	fs.StringVar(&cfg.out, "out", filepath.Join("out", "gradpenalty.png"), "`file` for the plot, .png")
	if err := command.Parse(fs, args, stderr); err != nil {
		return cfg, err
	}
	switch {
	case cfg.steps < 1:
		return cfg, fmt.Errorf("-steps %d: want at least 1", cfg.steps)
	case filepath.Ext(cfg.out) != ".png":
		return cfg, fmt.Errorf("-out %q: want a .png file", cfg.out)
	}
	return cfg, nil
}

func trainAndPlot(cfg config, stdout io.Writer) error {
	if err := output.Check(cfg.out); err != nil {
		return err
	}
	history, err := train(cfg.steps, func(number int, s step) {
		if number == 1 || number%50 == 0 || number == cfg.steps {
			fmt.Fprintf(stdout, "step %4d  distance %6.3f  penalty %.4f  mean slope %.3f\n", number, s.distance, s.penalty, s.slope)
		}
	})
	if err != nil {
		return err
	}
	if err := plotHistory(cfg.out, history); err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, "wrote", cfg.out)
	return err
}
