// Command bench times the package against its peers, case by case. From the
// root of the repository:
//
//	go run ./bench -filter 'layernorm .* float32' -threads 1   one JSON object a line
//	go run ./bench -list                                       the cases
//	bench/run.sh 3 out.jsonl                                   rounds of ours and the peers in turns
//	go run ./bench -table out.jsonl                            Markdown tables of them
//	go run ./bench -page docs/performance.md out.jsonl         the same tables into a page
//	go run ./bench -elsewhere -page docs/avx2.md out.jsonl     lines of another machine
//	go run ./bench -plot docs/roofline.png out.jsonl           memory rates against sizes
//
// Systems:
//
//	norm-raw    the ops called directly, results in memory that is kept: the kernels
//	norm        a tape machine over a graph, as the package is used by default
//	norm-reuse  the same with Reuse, where results keep their memory
//	copy        no norm but a copy of its input, for the rate of the memory
//
// Passes are fwd, bwd, fwdbwd and step; a filter is a regular expression on
// "name shape dtype pass", as in "layernorm 32x64 float32 fwd". Names, shapes,
// keys and the way to sample are those of peers/torch_norm.py.
//
// Each case is compared with plain float64 arithmetic before it is timed; a
// difference ends the program with status 1.
//
// With -tags openblas matrix products go to OpenBLAS (cgo; Debian's
// libopenblas-dev), and the systems are called norm-raw-openblas and so on. With
// NORM_ISA=avx2 in the environment, which lowers the instruction set of the
// kernels, they are called norm-raw-avx2 and so on.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"gorgonia.org/tensor"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if err != flag.ErrHelp {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		os.Exit(1)
	}
}

// settings are the flags.
type settings struct {
	systems []system
	threads []int
	dtypes  []tensor.Dtype
	filters filters
	minTime time.Duration
	list    bool
	rounds  rounds

	// What to make of the lines in files.
	table      bool
	page, plot string
	elsewhere  bool // the machine is not that of reference.csv
	files      []string
}

func run(args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	switch {
	case err != nil:
		return err
	case s.reports():
		return report(stdout, s)
	case s.list:
		return list(stdout, s)
	case s.rounds.n > 0:
		return s.rounds.run(s, stderr)
	default:
		return timeAll(stdout, s)
	}
}

func parse(args []string, stderr io.Writer) (s settings, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	names := f.String("system", "norm-raw,norm,norm-reuse,copy", "systems")
	threads := f.String("threads", "1,2", "numbers of threads (GOMAXPROCS)")
	dtypes := f.String("dtype", "float32,float64", "dtypes")
	seconds := f.Float64("min-time", 0.25, "seconds of samples for each case")
	f.Var(&s.filters, "filter", "regular expression on 'name shape dtype pass'; if repeated, all must match")
	f.BoolVar(&s.list, "list", false, "print the cases")
	f.BoolVar(&s.table, "table", false, "print tables of the lines in the files given")
	f.StringVar(&s.page, "page", "", "put the tables into a Markdown `file`, between the marks there")
	f.BoolVar(&s.elsewhere, "elsewhere", false, "the lines are of another machine than that of reference.csv: no targets, no quoted figures")
	f.StringVar(&s.plot, "plot", "", "draw the rates of the memory into a `file`, PNG or SVG")
	s.rounds.flags(f)
	if err := f.Parse(args); err != nil {
		return s, err
	}
	s.files = f.Args()
	if len(s.files) > 0 && !s.reports() {
		return s, fmt.Errorf("what to do with %q?", s.files)
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

// reports says whether lines are to be read and none to be measured.
func (s settings) reports() bool { return s.table || s.page != "" || s.plot != "" }

// report makes of the lines in files what is asked for.
func report(stdout io.Writer, s settings) error {
	f, err := readFigures(s.files)
	if err != nil {
		return err
	}
	if s.elsewhere {
		f.reference = nil
	}
	if s.table {
		f.printTables(stdout)
	}
	if s.page != "" {
		if err := f.writePage(s.page); err != nil {
			return err
		}
	}
	if s.plot != "" {
		return f.draw(s.plot)
	}
	return nil
}

// filters are regular expressions that must all match.
type filters []*regexp.Regexp

// String returns them as one would read them.
func (f *filters) String() string { return fmt.Sprint(*f) }

// Set adds one.
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

// each calls f for every case and system with the passes that are asked for.
func (s settings) each(f func(c benchCase, sys system, passes []string) error) error {
	for _, dt := range s.dtypes {
		for _, c := range allCases(dt) {
			for _, sys := range s.systems {
				passes := slices.DeleteFunc(c.passes(sys), func(p string) bool { return !s.filters.match(c.key(p)) })
				if len(passes) == 0 {
					continue
				}
				if err := f(c, sys, passes); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// list prints each case once, whatever the systems that have it.
func list(w io.Writer, s settings) error {
	seen := map[string]bool{}
	return s.each(func(c benchCase, _ system, passes []string) error {
		for _, p := range passes {
			if k := c.key(p); !seen[k] {
				seen[k] = true
				fmt.Fprintln(w, k)
			}
		}
		return nil
	})
}

func timeAll(w io.Writer, s settings) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	out := json.NewEncoder(w)
	return s.each(func(c benchCase, sys system, passes []string) error {
		var d *data
		if !c.isModel() {
			d = newData(c, sys)
		}
		for _, pass := range passes {
			for _, t := range s.threads {
				setThreads(t)
				r, err := measure(c, sys, pass, d, t, s.minTime)
				if err != nil {
					return fmt.Errorf("%s, %s, %d threads: %w", sys.name, c.key(pass), t, err)
				}
				if err := out.Encode(r); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// setThreads is what the number of threads means.
func setThreads(n int) {
	runtime.GOMAXPROCS(n)
	if setBLASThreads != nil {
		setBLASThreads(n)
	}
}

// systemSuffix tells apart what is measured with other kernels and another BLAS.
var systemSuffix = isaSuffix(os.Getenv("NORM_ISA"))

// isaSuffixes are those of the instruction sets that NORM_ISA lowers to.
var isaSuffixes = []string{"-avx2", "-generic"}

func isaSuffix(isa string) string {
	if s := "-" + isa; slices.Contains(isaSuffixes, s) {
		return s
	}
	return ""
}

// setBLASThreads is set where another BLAS is built in.
var setBLASThreads func(n int)

// measure checks and times a pass.
func measure(c benchCase, sys system, pass string, d *data, threads int, minTime time.Duration) (r result, err error) {
	p, err := newProgram(c, sys, pass, d)
	if err != nil {
		return r, err
	}
	defer debug.FreeOSMemory() // the next case starts from the same state
	defer p.close()
	if err := p.run(); err != nil {
		return r, err
	}
	if err := p.check(); err != nil {
		return r, fmt.Errorf("wrong result: %w", err)
	}
	runtime.GC() // what the check has left is not the case's
	start := time.Now()
	s, err := sampler{minTime, func() time.Duration { return time.Since(start) }}.sample(p.run)
	if err != nil {
		return r, err
	}
	name := sys.name
	if !sys.copies {
		name += systemSuffix
	}
	r = newResult(c, name, threads, pass, s)
	r.Allocs, r.AllocBytes, err = allocations(p.run, max(1, min(5, int(1e6/r.Median))))
	return r, err
}
