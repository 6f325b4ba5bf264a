package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rounds runs our systems and the peers' programs in turns, so that a slow
// spell of the machine hits all of them alike.
type rounds struct {
	n          int
	out        string
	peers      peers
	maxForeign float64
	retry      int
}

// groups are run one after the other; inside a group every system has its turn.
var groups = []string{
	"^layernorm ", "^batchnorm1d", "^batchnorm2d", "^weight_norm", "linear ", "^mlp",
	"^(rmsnorm|layernorm_)", "^(groupnorm|instancenorm|masked)", "^(normalize|local_response|spectral)",
}

func (r *rounds) flags(f *flag.FlagSet) {
	f.IntVar(&r.n, "rounds", 0, "run that many rounds of our systems and the peers, in turns")
	f.StringVar(&r.out, "out", "", "the file that the lines of the rounds are added to")
	f.Var(&r.peers, "peer", "a program to run in turns with ours, as `name=command` with the words {threads} {dtype} {min_time} {group} {filter}; may be repeated")
	f.Float64Var(&r.maxForeign, "max-foreign", 0.08, "a run is repeated while other programs use more of a processor than this")
	f.IntVar(&r.retry, "retry", 1, "how often it is; the quietest run is kept")
}

// peers are programs that print lines like ours.
type peers []peer

type peer struct {
	name    string
	command []string
}

// String returns the names.
func (p *peers) String() string {
	var names []string
	for _, q := range *p {
		names = append(names, q.name)
	}
	return strings.Join(names, ",")
}

// Set adds a peer.
func (p *peers) Set(s string) error {
	name, command, ok := strings.Cut(s, "=")
	if !ok || len(strings.Fields(command)) == 0 {
		return errors.New("want name=command")
	}
	*p = append(*p, peer{name, strings.Fields(command)})
	return nil
}

// job is what a turn consists of.
type job struct {
	group, filter, dtype, threads, minTime string
}

// command replaces the words that stand for the settings of the job. The filter
// may be empty, and is an argument of its own.
func (j job) command(words []string) []string {
	fill := strings.NewReplacer("{threads}", j.threads, "{dtype}", j.dtype, "{min_time}", j.minTime,
		"{group}", j.group, "{filter}", j.filter)
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = fill.Replace(w)
	}
	return out
}

// order returns the systems in their order in a round: every other round it is reversed.
func order(ps []peer, round int) []peer {
	ps = slices.Clone(ps)
	if round%2 == 0 {
		slices.Reverse(ps)
	}
	return ps
}

func (r rounds) run(s settings, log io.Writer) error {
	all, err := r.all(s)
	if err != nil {
		return err
	}
	last, err := lastRound(r.out)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(r.out, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	failed := 0
	for round := last + 1; round <= last+r.n; round++ {
		for _, j := range jobs(s) {
			for _, p := range order(all, round) {
				t := r.turn(p.name, j.command(p.command), j.threads, log)
				if t.err != nil {
					failed++
				}
				if _, err := out.Write(t.lines(round)); err != nil {
					return err
				}
				fmt.Fprintf(log, "%s round %d %-12s %-14s %s %st: %d lines, %.1f s, foreign %.2f\n",
					time.Now().Format(time.TimeOnly), round, p.name, j.group, j.dtype, j.threads,
					bytes.Count(t.output, []byte("\n")), t.wall.Seconds(), t.foreign)
			}
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d programs failed", failed)
	}
	return out.Close()
}

// lastRound is the number of the last round in a file, so that rounds which are added to it
// go on from there. It is 0 if there is no file.
func lastRound(name string) (last int, err error) {
	f := &figures{lines: map[cell]map[string][]result{}}
	if err := f.readFile(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	for _, systems := range f.lines {
		for _, lines := range systems {
			for _, l := range lines {
				last = max(last, l.Round)
			}
		}
	}
	return last, nil
}

// all are our systems, each a run of this program, and the peers.
func (r rounds) all(s settings) ([]peer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var all []peer
	for _, sys := range s.systems {
		all = append(all, peer{sys.name, []string{self, "-system", sys.name, "-threads", "{threads}", "-dtype", "{dtype}",
			"-min-time", "{min_time}", "-allow-none", "-filter", "{group}", "-filter", "{filter}"}})
	}
	return append(all, r.peers...), nil
}

// jobs are the turns of a round, those without a case left out.
func jobs(s settings) (js []job) {
	filter := ""
	if len(s.filters) > 0 {
		filter = s.filters[0].String()
	}
	for _, g := range groups {
		for _, dt := range s.dtypes {
			wanted := s
			wanted.dtypes = s.dtypes[slices.Index(s.dtypes, dt):][:1]
			wanted.filters = append(filters{}, s.filters...)
			wanted.filters.Set(g) // no error: all groups compile
			some := wanted.some()
			for _, t := range s.threads {
				if some {
					js = append(js, job{g, filter, dt.String(), strconv.Itoa(t), fmt.Sprint(s.minTime.Seconds())})
				}
			}
		}
	}
	return js
}

// turn is a run of a program.
type turn struct {
	output  []byte
	date    string
	foreign float64 // how much of a processor other programs used
	wall    time.Duration
	err     error
}

// turn runs a program, again if the machine was not quiet.
func (r rounds) turn(name string, command []string, threads string, log io.Writer) (best turn) {
	for i := range r.retry + 1 {
		t := runOf(command, threads, log)
		if t.err != nil {
			fmt.Fprintf(log, "%s: %v\n", name, t.err)
			return t
		}
		if i == 0 || t.foreign < best.foreign {
			best = t
		}
		if t.foreign <= r.maxForeign {
			break
		}
	}
	return best
}

func runOf(command []string, threads string, log io.Writer) (t turn) {
	before, start := busy(), time.Now()
	t.date = start.Format(time.DateOnly)
	c := exec.Command(command[0], command[1:]...)
	c.Env = append(os.Environ(), "OMP_NUM_THREADS="+threads, "OPENBLAS_NUM_THREADS="+threads)
	c.Stderr = log
	t.output, t.err = c.Output()
	t.wall = time.Since(start)
	if c.ProcessState != nil {
		own := c.ProcessState.UserTime() + c.ProcessState.SystemTime()
		t.foreign = max(0, (busy()-before-own).Seconds()/t.wall.Seconds())
	}
	return t
}

// lines returns the output with what is known of the run added to each line.
func (t turn) lines(round int) (out []byte) {
	lines := bufio.NewScanner(bytes.NewReader(t.output))
	for lines.Scan() {
		if l, ok := bytes.CutSuffix(bytes.TrimSpace(lines.Bytes()), []byte("}")); ok {
			out = fmt.Appendf(out, "%s, \"round\": %d, \"foreign\": %.3f, \"date\": %q}\n", l, round, t.foreign, t.date)
		}
	}
	return out
}

// busy returns how long the processors have worked since the system started, 0
// where that is not known. The kernel counts in hundredths of a second.
func busy() time.Duration {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	return busyIn(string(stat))
}

func busyIn(stat string) (d time.Duration) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) < 8 || fields[0] != "cpu" {
		return 0
	}
	for _, i := range []int{1, 2, 3, 6, 7} { // user nice system irq softirq
		n, err := strconv.Atoi(fields[i])
		if err != nil {
			return 0
		}
		d += time.Duration(n) * 10 * time.Millisecond
	}
	return d
}
