package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"strconv"
	"text/tabwriter"

	"github.com/gorgonorm/norm/internal/replacefile"
)

// writeCSV writes the points of the curves. There are no times in the file: the same
// seed gives the same file on the same processor.
func writeCSV(path string, curve []point) error {
	num := func(v float64) string {
		if math.IsNaN(v) {
			return "" // not measured
		}
		return strconv.FormatFloat(v, 'g', 8, 64)
	}
	rows := [][]string{{"step", "epoch", "train_loss", "test_accuracy"}}
	for _, p := range curve {
		rows = append(rows, []string{strconv.Itoa(p.step), num(p.epoch), num(p.loss), num(p.accuracy)})
	}
	return replacefile.Write(path, func(w io.Writer) error { return csv.NewWriter(w).WriteAll(rows) })
}

// printSummary prints the table at the end.
func printSummary(w io.Writer, cfg config, r *result) {
	rate := 0.0
	if s := r.trainTime.Seconds(); s > 0 {
		rate = float64(r.images) / s
	}
	epochs := strconv.FormatFloat(r.epochs, 'g', 3, 64)
	if r.interrupted {
		epochs += " (interrupted)"
	}
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(tw, "norm\tparameters\tepochs\tfinal loss\ttest accuracy\tbest accuracy\tseconds\timages/s")
	fmt.Fprintf(tw, "%s\t%d\t%s\t%.4f\t%.2f %%\t%.2f %%\t%.1f\t%.0f\n",
		cfg.norm, r.params, epochs, r.loss, 100*r.accuracy, 100*r.best, r.elapsed.Seconds(), rate)
	tw.Flush()
}
