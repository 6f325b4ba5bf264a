// Package progress shows how far an example is.
package progress

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Bar is a progress bar, or nothing where nobody would see it. It may be used by
// several goroutines.
type Bar struct{ bar *progressbar.ProgressBar }

// New returns a bar of the given number of steps if w is a terminal.
func New(w io.Writer, steps int, label string) Bar {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return Bar{}
	}
	return Bar{progressbar.NewOptions(steps,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(label),
		progressbar.OptionSetWidth(30),
		progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)}
}

// The errors of the bar are those of writing to the terminal; the training does
// not depend on it.

// Add takes a step.
func (b Bar) Add() {
	if b.bar != nil {
		_ = b.bar.Add(1)
	}
}

// Clear removes the bar from the terminal until the next step.
func (b Bar) Clear() {
	if b.bar != nil {
		_ = b.bar.Clear()
	}
}
