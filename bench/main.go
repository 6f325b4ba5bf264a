// Command bench times the package against its peers, PyTorch, oneDNN and Gorgonia's own
// ops, case by case. It prints a line of JSON for each case, and makes tables and a plot
// from files of such lines. From the root of the repository:
//
//	go run ./bench -list                                       prints the cases
//	go run ./bench -filter 'layernorm .* float32' -threads 1   times some of them
//	bench/run.sh 3 out.jsonl                                   times all, and the peers in turns, in three rounds
//	go run ./bench -table out.jsonl                            prints tables in Markdown
//	go run ./bench -page docs/performance.md out.jsonl         puts the tables between the marks of a page
//	go run ./bench -elsewhere -page docs/avx2.md out.jsonl     the same, measured on another machine
//	go run ./bench -plot docs/roofline.png out.jsonl           draws memory rates against sizes
//
// Files of lines may be compressed: out.jsonl.gz.
//
// Systems:
//
//	norm-raw    the ops called directly, results in memory that is kept: the kernels
//	norm        a tape machine over a graph, as the package is used by default
//	norm-reuse  the same with Reuse, where results keep their memory
//	gorgonia    the same with Gorgonia's batch norm, and the others composed of its ops
//	copy        a copy of the input instead of a norm, for the rate of the memory
//
// Passes are fwd, bwd, fwdbwd and step; a filter is a regular expression on
// "name shape dtype pass", as in "layernorm 32x64 float32 fwd". Names, shapes,
// keys and the way to sample are those of peers/torch_norm.py.
//
// Each case is compared with plain float64 arithmetic before it is timed; a
// difference ends the program with status 1. A mistake in the command line ends it
// with status 2.
//
// With -tags openblas matrix products go to OpenBLAS (cgo; Debian's
// libopenblas-dev), and the systems are called norm-raw-openblas and so on. With
// NORM_ISA=avx2 in the environment, which lowers the instruction set of the
// kernels, they are called norm-raw-avx2 and so on. A NORM_ISA without effect is an
// error.
//
// Beside the lines, tables show the figures and targets that reference.csv has for a
// machine with AVX-512. These are left out if the lines are of another machine, which
// -elsewhere says, or another instruction set in the lines of this package.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"time"
)

func main() {
	os.Exit(status(run(os.Args[1:], os.Stdout, os.Stderr), os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	switch {
	case err != nil:
		return err
	case s.reports():
		return report(stdout, stderr, s)
	case isaErr != nil:
		return isaErr
	case !s.allowNone && !s.some():
		return usageError{fmt.Errorf("no case of these systems and dtypes matches %s", &s.filters)}
	case s.list:
		return list(stdout, s)
	case s.rounds.n > 0:
		return s.rounds.run(s, stderr)
	default:
		return timeAll(stdout, s)
	}
}

// report makes the table, page or plot that is asked for from the lines in files.
func report(stdout, stderr io.Writer, s settings) error {
	f, err := readFigures(s.files)
	if err != nil {
		return err
	}
	if other := f.otherISA(); other != "" && !s.elsewhere {
		s.elsewhere = true
		fmt.Fprintf(stderr, "bench: there are lines of %s, not avx512: the tables are those of -elsewhere\n", other)
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

// some says whether the settings select any case.
func (s settings) some() bool {
	found := errors.New("found")
	return s.each(func(benchCase, system, []string) error { return found }) == found
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

// setThreads sets the number of threads of the Go runtime and of the BLAS.
func setThreads(n int) {
	runtime.GOMAXPROCS(n)
	if setBLASThreads != nil {
		setBLASThreads(n)
	}
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
	// The case must not pay for what the check and earlier cases have left, nor for the size
	// to which they let the heap grow: its results would be in pages that are not there yet.
	// A machine takes two collections, as it has a finalizer, and pools three.
	for range 3 {
		runtime.GC()
	}
	start := time.Now()
	s, err := sampler{minTime, func() time.Duration { return time.Since(start) }}.sample(p.run)
	if err != nil {
		return r, err
	}
	r = newResult(c, sys.name, threads, pass, s)
	if sys.ours() {
		r.System += systemSuffix
		r.ISA = isa
	}
	r.Allocs, r.AllocBytes, err = allocations(p.run, max(1, min(5, int(1e6/r.Median))))
	return r, err
}
