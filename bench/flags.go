package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gorgonorm/norm/internal/command"
	"gorgonia.org/tensor"
)

// settings are the flags.
type settings struct {
	systems []system
	threads []int
	dtypes  []tensor.Dtype
	filters filters
	minTime time.Duration
	list    bool
	rounds  rounds

	allowNone bool // no case need match

	// What to make of the lines in files.
	table      bool
	page, plot string
	elsewhere  bool // the machine is not that of reference.csv
	files      []string
}

// reports says whether lines are read, and nothing is measured.
func (s settings) reports() bool { return s.table || s.page != "" || s.plot != "" }

// usageError is a mistake in the command line.
type usageError struct{ error }

// status prints the error of a run and returns the exit status for it.
func status(err error, stderr io.Writer) int {
	switch {
	case err == nil:
		return command.OK
	case errors.Is(err, flag.ErrHelp) || errors.As(err, new(usageError)):
		return command.Mistake("bench", err, stderr)
	}
	return command.Fail("bench", err, stderr)
}

// numCPU is how many threads there may be. With more, the copy would take the processor
// from itself, as it spins while it waits.
var numCPU = runtime.NumCPU()

func parse(args []string, stderr io.Writer) (settings, error) {
	s, err := parseFlags(args, stderr)
	if err != nil && err != flag.ErrHelp {
		err = usageError{err}
	}
	return s, err
}

func parseFlags(args []string, stderr io.Writer) (s settings, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	names := f.String("system", "norm-raw,norm,norm-reuse,copy", "systems")
	threads := f.String("threads", defaultThreads(), "numbers of threads (GOMAXPROCS)")
	dtypes := f.String("dtype", "float32,float64", "dtypes")
	seconds := f.Float64("min-time", 0.25, "seconds of samples for each case")
	f.Var(&s.filters, "filter", "regular expression on 'name shape dtype pass'; if repeated, all must match")
	f.BoolVar(&s.allowNone, "allow-none", false, "no error if no case matches, as in a turn of -rounds")
	f.BoolVar(&s.list, "list", false, "print the cases, of -system, -dtype and -filter alone if they are given")
	f.BoolVar(&s.table, "table", false, "print tables of the lines in the files given")
	f.StringVar(&s.page, "page", "", "put the tables into a Markdown `file`, between the marks there")
	f.BoolVar(&s.elsewhere, "elsewhere", false, "the lines are of another machine than that of reference.csv: no targets, no quoted figures")
	f.StringVar(&s.plot, "plot", "", "draw the rates of the memory into a `file`, PNG or SVG")
	s.rounds.flags(f)

	if err := command.ParseFlags(f, args, stderr); err != nil {
		return s, err
	}
	s.files = f.Args()
	if err := s.checkMode(f); err != nil {
		return s, err
	}
	if !(*seconds >= 0 && *seconds < 1e6) {
		return s, fmt.Errorf("-min-time %v is not a number of seconds", *seconds)
	}
	s.minTime = time.Duration(*seconds * float64(time.Second))
	for _, n := range strings.Split(*names, ",") {
		sys, ok := systemOf(n)
		if !ok {
			return s, fmt.Errorf("no system %q", n)
		}
		s.systems = append(s.systems, sys)
	}
	for _, t := range strings.Split(*threads, ",") {
		n, err := strconv.Atoi(t)
		if err != nil || n < 1 {
			return s, fmt.Errorf("%q is not a number of threads", t)
		}
		if n > numCPU {
			return s, fmt.Errorf("%d threads on %d processors measure nothing", n, numCPU)
		}
		s.threads = append(s.threads, n)
	}
	for _, d := range strings.Split(*dtypes, ",") {
		dt, ok := map[string]tensor.Dtype{"float32": tensor.Float32, "float64": tensor.Float64}[d]
		if !ok {
			return s, fmt.Errorf("no dtype %q", d)
		}
		s.dtypes = append(s.dtypes, dt)
	}
	return s, nil
}

func defaultThreads() string {
	if numCPU == 1 {
		return "1"
	}
	return "1,2"
}

// checkMode refuses flags that exclude each other, or have no effect.
func (s settings) checkMode(f *flag.FlagSet) error {
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if n := s.rounds.n; given["rounds"] && n < 1 {
		return fmt.Errorf("-rounds %d is not a number of rounds", n)
	}
	if r := s.rounds.retry; r < 0 {
		return fmt.Errorf("-retry %d is not a number of runs", r)
	}
	switch reports := s.reports(); {
	case s.list && given["rounds"]:
		return errors.New("-list and -rounds exclude each other")
	case reports && (s.list || given["rounds"]):
		return errors.New("-table, -page and -plot read lines; -list and -rounds have none for them")
	case reports && len(s.files) == 0:
		return errors.New("no files to read figures from: append them, as in -table out.jsonl")
	case !reports && len(s.files) > 0:
		return fmt.Errorf("what to do with %q?", s.files)
	case !reports && s.elsewhere:
		return errors.New("-elsewhere is for -table and -page")
	}
	for _, n := range []string{"out", "peer", "max-foreign", "retry"} {
		if given[n] && !given["rounds"] {
			return fmt.Errorf("-%s is for -rounds", n)
		}
	}
	switch {
	case !given["rounds"]:
		return nil
	case s.rounds.out == "":
		return errors.New("-rounds needs -out")
	case len(s.filters) > 1:
		return errors.New("-rounds takes one filter")
	}
	return nil
}

// filters are regular expressions that must all match.
type filters []*regexp.Regexp

// String returns them as one would read them.
func (f *filters) String() string {
	quoted := make([]string, len(*f))
	for i, re := range *f {
		quoted[i] = strconv.Quote(re.String())
	}
	return strings.Join(quoted, " and ")
}

// Set adds a filter.
func (f *filters) Set(s string) error {
	re, err := regexp.Compile(s)
	if err == nil {
		*f = append(*f, re)
	}
	return err
}

func (f filters) match(key string) bool {
	return !slices.ContainsFunc(f, func(re *regexp.Regexp) bool { return !re.MatchString(key) })
}
