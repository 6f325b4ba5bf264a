// Package command is what the programs share as programs: exit statuses, the end by
// Ctrl-C, and mistakes that are told in one line.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
)

// Exit statuses. Interrupted is what a shell reports for a program ended by Ctrl-C.
const (
	OK          = 0
	Failure     = 1
	Usage       = 2
	Interrupted = 130
)

// Main ends the process with the status of run, whose context ends by Ctrl-C.
func Main(run func(ctx context.Context, args []string, stdout, stderr io.Writer) int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	// Once the first Ctrl-C has been seen, the default behaviour is back: a
	// second one kills the program, should it hang while it winds up.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Parse parses flags, and takes no other arguments. Every mistake is told in one line:
// the flag package would add the whole usage text to it.
func Parse(fs *flag.FlagSet, args []string, stderr io.Writer) error {
	fs.SetOutput(io.Discard)
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(stderr, "Usage of %s:\n", fs.Name())
			fs.SetOutput(stderr)
			fs.PrintDefaults()
		}
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return nil
}

// OneLine flattens an error: those of Gorgonia may run over several lines.
func OneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
