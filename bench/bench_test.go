package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"
)

// smallest are the cases at shapes that take no time.
var smallest = map[string][]int{
	"layernorm":         {3, 2, 7},
	"batchnorm1d_train": {5, 4}, "batchnorm1d_eval": {5, 4},
	"batchnorm2d_train": {3, 4, 2, 5}, "batchnorm2d_eval": {3, 4, 2, 5},
	"weight_norm": {4, 6},
	"rmsnorm":     {3, 2, 7}, "layernorm_residual": {3, 2, 7}, "layernorm_channels": {3, 4, 2, 5},
	"groupnorm": {3, 4, 2, 5}, "instancenorm": {3, 4, 2, 5}, "masked_batchnorm": {3, 4, 5},
	"normalize": {4, 6}, "local_response_norm": {3, 4, 2, 5}, "spectral_norm": {4, 6},
	"weightnorm_linear": {5, 6, 4}, "linear": {5, 6, 4},
	"mlp_small": {9, 8, 12, 5}, "mlp_small_layernorm": {9, 8, 12, 5}, "mlp_small_nonorm": {9, 8, 12, 5},
	"mlp_big": {9, 8, 12, 11, 5}, "mlp_big_layernorm": {9, 8, 12, 11, 5}, "mlp_big_nonorm": {9, 8, 12, 11, 5},
}

// eachSmall runs f for every case, system and pass.
func eachSmall(t *testing.T, f func(t *testing.T, c benchCase, s system, pass string)) {
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		for _, row := range shapes {
			for _, name := range row.names {
				c := benchCase{name, smallest[name], dt}
				for _, s := range systems {
					for _, p := range c.passes(s) {
						t.Run(s.name+"/"+c.key(p), func(t *testing.T) { f(t, c, s, p) })
					}
				}
			}
		}
	}
}

func TestEveryCaseIsTimed(t *testing.T) {
	eachSmall(t, func(t *testing.T, c benchCase, s system, pass string) {
		var d *data
		if !c.isModel() {
			d = newData(c, s)
		}
		r, err := measure(c, s, pass, d, 1, 0)
		require.NoError(t, err)
		line, err := json.Marshal(r)
		require.NoError(t, err)
		keys := map[string]any{}
		require.NoError(t, json.Unmarshal(line, &keys))
		want := []string{"system", "name", "shape", "dtype", "threads", "pass", "median_us", "p10", "p90", "min_us", "n",
			"inner", "bytes_moved_min", "GBps", "allocs_per_step", "alloc_bytes_per_step"}
		if c.isLinear() || c.isModel() {
			want = append(want, "flops", "GFLOPS")
		}
		if c.isModel() {
			want = append(want, "steps_per_s")
		}
		if s.ours() {
			want = append(want, "isa")
		}
		for _, k := range want {
			require.Contains(t, keys, k)
		}
		require.Len(t, keys, len(want))
		require.Positive(t, r.Median)
		require.GreaterOrEqual(t, r.N, minSamples)
	})
}

// Wrong results are not timed: the check fails if a number in an argument is not the one
// that the op had.
func TestChecksFail(t *testing.T) {
	eachSmall(t, func(t *testing.T, c benchCase, s system, pass string) {
		if c.isModel() {
			return
		}
		forgets := s.today && c.isBatchNorm()
		if forgets && c.evaluates() {
			return
		}
		all := newData(c, s)
		for i := range append(all.args, all.dy) {
			if i == len(all.args) && (pass == fwd || forgets) || i == len(all.args)-1 && len(all.args) > 2 && pass == bwd {
				continue // dy has no part in the result, nor has the shift in a gradient
			}
			d := newData(c, s)
			p, err := newProgram(c, s, pass, d)
			require.NoError(t, err)
			require.NoError(t, p.run())
			require.NoError(t, p.check())
			v := d.dy
			if i < len(d.args) {
				v = d.args[i]
			}
			add1(v, 0)
			require.Error(t, p.check(), "argument %d", i)
			p.close()
		}
	})
}

func add1(v *tensor.Dense, at int) {
	switch d := v.Data().(type) {
	case []float32:
		d[at]++
	case []float64:
		d[at]++
	}
}

func TestBytesAndFlopsOfCases(t *testing.T) {
	linear := benchCase{"linear", []int{2, 3, 5}, tensor.Float32}
	require.EqualValues(t, 4*(6+15+10), linear.bytes(fwd))
	require.EqualValues(t, 4*2*(6+15+10), linear.bytes(fwdbwd))
	require.EqualValues(t, 4*(2*6+2*15+10), linear.bytes(bwd))
	require.EqualValues(t, 3*60, linear.flops(fwdbwd))
	norm := benchCase{"layernorm", []int{2, 3}, tensor.Float64}
	require.EqualValues(t, 8*5*6, norm.bytes(fwdbwd))
	require.Zero(t, norm.flops(fwd))
	// Weights, biases, and scale and shift of the hidden layer.
	model := benchCase{"mlp_small", []int{64, 100, 200, 10}, tensor.Float32}
	require.EqualValues(t, 7*4*(100*200+200+2*200+200*10+10), model.bytes(step))
	require.EqualValues(t, 6*64*(100*200+200*10), model.flops(step))
	model.name = "mlp_small_nonorm"
	require.EqualValues(t, 7*4*(100*200+200+200*10+10), model.bytes(step))
}

func TestCopy(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		for threads := 1; threads <= 3; threads++ {
			runtime.GOMAXPROCS(threads)
			c := benchCase{"layernorm", []int{3, 5}, dt}
			d := newData(c, system{copies: true})
			p := newCopy(c, d)
			require.Error(t, p.check())
			for range 100 {
				require.NoError(t, p.run())
				require.NoError(t, p.check())
				add1(d.args[0], 0)
				require.Error(t, p.check())
				add1(d.args[0], 14)
			}
			p.close()
		}
	}
}

func output(t *testing.T, args ...string) string {
	var out, log bytes.Buffer
	require.NoError(t, run(args, &out, &log), log.String())
	return out.String()
}

func TestListNamesTheCases(t *testing.T) {
	want, err := os.ReadFile(filepath.Join("testdata", "list.txt"))
	require.NoError(t, err)
	require.Equal(t, string(want), output(t, "-list", "-dtype", "float32"))
	require.Equal(t, strings.ReplaceAll(string(want), "float32", "float64"), output(t, "-list", "-dtype", "float64"))
	require.Equal(t, "layernorm 32x64 float32 fwd\nlayernorm 32x64 float32 fwdbwd\n",
		output(t, "-list", "-system", "norm", "-filter", "^layernorm", "-filter", "32x64 float32"))
}

// The cases of the peers' program are ours, apart from names for other ways to the same
// result.
func TestListOfThePeers(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no Python here")
	}
	out, err := exec.Command(python, filepath.Join("peers", "torch_norm.py"), "--list").Output()
	require.NoError(t, err)
	ours := output(t, "-list")
	for _, key := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		name, rest, _ := strings.Cut(key, " ")
		require.Contains(t, ours, common(name)+" "+commonPass(rest)+"\n")
	}
}

func TestMistakesInThePeersCommandLine(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no Python here")
	}
	for _, c := range []struct{ flag, value, want string }{
		{"--config", "tuned,foo", "no config 'foo', want default, warm, tuned, tuned-omp\n"},
		{"--dtype", "int", "no dtype 'int', want float32, float64\n"},
	} {
		out, err := exec.Command(python, filepath.Join("peers", "torch_norm.py"), c.flag, c.value).CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), c.want)
		require.NotContains(t, string(out), "Traceback")
	}
}

// A flag in the place of the filter is not taken for one.
func TestRunWithoutFilter(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	if runtime.GOOS != "linux" {
		t.Skip("realpath -m is of Linux")
	}
	out, err := exec.Command(bash, "run.sh", "1", filepath.Join(t.TempDir(), "out.jsonl"), "-system", "norm-raw").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "-system in the place of FILTER")
}

// Every mistake in the command line is reported once, in one line.
func TestFlags(t *testing.T) {
	for want, args := range map[string][]string{
		`no system "torch"`:                                    {"-system", "torch"},
		`"0" is not a number of threads`:                       {"-threads", "0"},
		`"x" is not a number of threads`:                       {"-threads", "x"},
		`1000000 threads on`:                                   {"-threads", "1000000"},
		`no dtype "int"`:                                       {"-dtype", "int"},
		`invalid value "(" for flag -filter`:                   {"-filter", "("},
		`flag provided but not defined: -what`:                 {"-what"},
		`what to do with ["file"]?`:                            {"file"},
		`no files to read figures from: append them`:           {"-table"},
		`append them, as in -table out.jsonl`:                  {"-page", "x"},
		`as in -table out.jsonl`:                               {"-plot", "x.png"},
		`-table, -page and -plot read lines`:                   {"-table", "-list", "file"},
		`-elsewhere is for -table and -page`:                   {"-elsewhere"},
		`-rounds needs -out`:                                   {"-rounds", "1"},
		`-rounds takes one filter`:                             {"-rounds", "1", "-out", "x", "-filter", "a", "-filter", "b"},
		`-rounds -3 is not a number of rounds`:                 {"-rounds", "-3"},
		`-rounds 0 is not a number of rounds`:                  {"-rounds", "0"},
		`-retry -1 is not a number of runs`:                    {"-rounds", "1", "-out", "x", "-retry", "-1"},
		`-list and -rounds exclude each other`:                 {"-rounds", "1", "-out", "x", "-list"},
		`-out is for -rounds`:                                  {"-out", "x"},
		`want name=command`:                                    {"-peer", "x"},
		`-min-time -1 is not a number of seconds`:              {"-min-time", "-1"},
		`-min-time NaN is not a number of seconds`:             {"-min-time", "NaN"},
		`no case of these systems and dtypes matches "nosuch"`: {"-filter", "nosuch"},
		`matches "mlp" and "fwd$"`:                             {"-list", "-filter", "mlp", "-filter", "fwd$"},
		`dtypes matches "mlp"`:                                 {"-system", "norm-raw", "-rounds", "1", "-out", "x", "-filter", "mlp"},
	} {
		var out, log bytes.Buffer
		err := run(args, &out, &log)
		require.ErrorContains(t, err, want, "%v", args)
		require.Equal(t, 2, status(err, &log), "%v", args)
		require.Equal(t, "bench: "+err.Error()+"\n", log.String())
		require.Equal(t, 1, strings.Count(log.String(), "\n"))
		require.Empty(t, out.String())
	}
	require.NoFileExists(t, "x")
	require.Empty(t, output(t, "-filter", "nosuch", "-allow-none"))
}

func TestStatus(t *testing.T) {
	var out, log bytes.Buffer
	require.Equal(t, 0, status(nil, &log))
	require.Equal(t, 0, status(run([]string{"-h"}, &out, &log), &log))
	require.Contains(t, log.String(), "-min-time")
	require.Equal(t, 1, strings.Count(log.String(), "Usage"))
	require.Equal(t, 1, status(run([]string{"-table", "none.jsonl"}, &out, &log), &log))
	require.Empty(t, out.String())
}

// clock is a time that passes only while something runs.
type clock struct{ now time.Duration }

func (c *clock) sampler(minTime time.Duration) sampler {
	return sampler{minTime, func() time.Duration { return c.now }}
}

func (c *clock) takes(d time.Duration) func() error {
	return func() error { c.now += d; return nil }
}

func TestSample(t *testing.T) {
	for _, row := range []struct {
		call, minTime time.Duration
		inner, n      int
	}{
		{time.Microsecond, time.Millisecond, 81, 13},
		{10 * time.Nanosecond, 0, 401, 11}, // as if it took 200 ns
		{40 * time.Microsecond, 0, 3, 11},
		{41 * time.Microsecond, 0, 1, 11},
		{time.Millisecond, 20 * time.Millisecond, 1, 20},
		{time.Second, time.Millisecond, 1, 11},
		{2 * time.Second, time.Millisecond, 1, 3},
		{time.Microsecond, time.Hour, 81, 3000},
	} {
		var c clock
		s, err := c.sampler(row.minTime).sample(c.takes(row.call))
		require.NoError(t, err)
		require.Equal(t, row.inner, s.inner, "%v", row)
		require.Len(t, s.us, row.n, "%v", row)
		require.InDelta(t, row.call.Seconds()*1e6, s.quantile(0.5), 1e-9, "%v", row)
	}
}

func TestSampleSorts(t *testing.T) {
	var c clock
	calls := 0
	s, err := c.sampler(0).sample(func() error {
		calls++
		return c.takes(time.Duration(1000-calls) * time.Microsecond)()
	})
	require.NoError(t, err)
	require.IsIncreasing(t, s.us)
	require.Equal(t, s.us[5], s.quantile(0.5))
	require.Equal(t, s.us[0], s.quantile(0))
	require.Equal(t, s.us[10], s.quantile(1))
}

func TestSampleStopsAtAnError(t *testing.T) {
	for at := range 20 {
		var c clock
		bad, calls := errors.New("bad"), 0
		_, err := c.sampler(0).sample(func() error {
			if calls++; calls > at {
				return bad
			}
			return c.takes(time.Millisecond)()
		})
		require.ErrorIs(t, err, bad)
	}
}
