// Package command has what the programs in bench and examples share: exit statuses, the
// end by Ctrl-C, and errors in one line.
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

// Main ends the process with the status of run. Ctrl-C ends the context of run.
func Main(run func(ctx context.Context, args []string, stdout, stderr io.Writer) int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	// After the first Ctrl-C the default behaviour is restored, so that a second one
	// kills a program that does not end.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Parse parses flags, and allows no other arguments.
func Parse(fs *flag.FlagSet, args []string, stderr io.Writer) error {
	if err := ParseFlags(fs, args, stderr); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return nil
}

// ParseFlags parses flags, which other arguments may follow. Every error is one line; the
// flag package would add the whole usage text to it.
func ParseFlags(fs *flag.FlagSet, args []string, stderr io.Writer) error {
	fs.SetOutput(io.Discard)
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(stderr, "Usage of %s:\n", fs.Name())
		fs.SetOutput(stderr)
		fs.PrintDefaults()
	}
	return err
}

// Mistake prints an error of the command line and returns its status. If the error is a
// request for help, it prints nothing.
func Mistake(name string, err error, stderr io.Writer) int {
	if errors.Is(err, flag.ErrHelp) {
		return OK
	}
	fmt.Fprintf(stderr, "%s: %v\n", name, err)
	return Usage
}

// Fail prints an error in one line, since Gorgonia's errors may have several, and returns
// its status.
func Fail(name string, err error, stderr io.Writer) int {
	fmt.Fprintf(stderr, "%s: %s\n", name, strings.Join(strings.Fields(err.Error()), " "))
	return Failure
}
