package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
)

const (
	// searchSeed is none of those that the figures show.
	searchSeed = 1000
	// heldOut is the number of training images, the last ones, that measure a learning
	// rate: the test images have no part in the choice.
	heldOut = 5000
)

// search trains with each rate of the grids and prints the accuracy on the images
// that were held out. The rates in experiments were not chosen by it.
func search(ctx context.Context, cfg config, d data, stdout, stderr io.Writer) error {
	held := min(heldOut, d.train.Count()/2)
	cut := d.train.Count() - held
	d = data{d.train.Part(0, cut), d.train.Part(cut, d.train.Count())}
	var jobs []job
	for _, e := range cfg.experiments() {
		for _, kind := range kinds {
			for _, rate := range e.grid {
				jobs = append(jobs, job{e, kind, searchSeed, rate, cfg.steps(e)})
			}
		}
	}
	outcomes, err := runAll(ctx, jobs, d, stdout, stderr)
	if err != nil {
		return err
	}

	fmt.Fprintf(stdout, "\naccuracy in %% on %d training images that were held out, at the end and as the mean of the last five measurements\n", held)
	tw := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	for i, o := range outcomes {
		if i%len(o.job.grid) == 0 {
			fmt.Fprintf(tw, "%s\t%s", o.job.name, o.job.kind)
		}
		if o.run == nil {
			fmt.Fprintf(tw, "\t%g: diverges", o.job.rate)
		} else {
			tail := o.run.Points[max(0, len(o.run.Points)-5):]
			mean := 0.0
			for _, p := range tail {
				mean += p.TestAccuracy / float64(len(tail))
			}
			fmt.Fprintf(tw, "\t%g: %.2f %.2f", o.job.rate, 100*o.run.last().TestAccuracy, 100*mean)
		}
		if i%len(o.job.grid) == len(o.job.grid)-1 {
			fmt.Fprintln(tw)
		}
	}
	return tw.Flush()
}
