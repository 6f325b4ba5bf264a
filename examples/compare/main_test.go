package main

import (
	"bytes"
	"context"
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gorgonorm/norm/examples/internal/mnist/mnisttest"
	"github.com/gorgonorm/norm/internal/command"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// program runs the program.
func program(ctx context.Context, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(ctx, args, &out, &errs)
	return status, out.String(), errs.String()
}

func TestBadFlags(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"only":     {[]string{"-only", "group"}, `-only "group": want sigmoid, batch128 or batch4`},
		"share":    {[]string{"-share", "1.5"}, "-share 1.5: want more than 0 and at most 1"},
		"no share": {[]string{"-share", "NaN"}, "-share NaN"},
		"seeds":    {[]string{"-seeds", "0"}, "-seeds 0: want at least 1"},
		"out":      {[]string{"-out", ""}, "-out: want a folder"},
		"unknown":  {[]string{"-norm", "batch"}, "not defined: -norm"},
		"argument": {[]string{"batch"}, `unexpected argument "batch"`},

		"one of the numbers": {[]string{"-redraw", "-only", "sigmoid"}, "-redraw with -only: it draws all numbers"},
		"draw and search":    {[]string{"-redraw", "-search"}, "-redraw with -search"},
		"seeds of a search":  {[]string{"-search", "-seeds", "2"}, "-search with -seeds: it takes one seed of its own"},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := program(context.Background(), tc.args...)
			assert.Equal(t, command.Usage, status)
			assert.Empty(t, stdout)
			assert.Contains(t, stderr, tc.want)
		})
	}
	status, _, stderr := program(context.Background(), "-h")
	assert.Equal(t, command.OK, status)
	assert.Contains(t, stderr, "-quick")
}

func TestRunTimeErrors(t *testing.T) {
	dir, out := mnisttest.Synthetic(100, 20).Write(t), t.TempDir()
	file := filepath.Join(out, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	wrong := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(wrong, numbers), []byte(`[]`), 0o644))
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no data":       {[]string{"-data", file}, "is not a folder"},
		"few images":    {[]string{"-data", dir, "-out", out}, "a batch of 128 images out of 100"},
		"out is a file": {[]string{"-data", dir, "-only", "batch4", "-out", file}, "output folder"},
		"no numbers":    {[]string{"-redraw", "-out", out}, numbers},
		"other numbers": {[]string{"-redraw", "-out", wrong}, "not the numbers of this program: no runs"},
		"beside others": {[]string{"-data", dir, "-only", "batch4", "-out", wrong}, "not the numbers of this program: no runs"},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, stderr := program(context.Background(), tc.args...)
			assert.Equal(t, command.Failure, status)
			assert.Contains(t, stderr, tc.want)
		})
	}
}

// All that the program does, on a small scale. Figures, table and numbers depend neither
// on the number of processors nor on the run.
func TestCompare(t *testing.T) {
	dir := mnisttest.Synthetic(300, 60).Write(t)
	all := func() (out, stdout string) {
		out = filepath.Join(t.TempDir(), "a", "b")
		status, stdout, stderr := program(context.Background(), "-share", "0.002", "-seeds", "2", "-data", dir, "-out", out)
		require.Equal(t, command.OK, status, stderr)
		require.Empty(t, stderr)
		return out, stdout
	}
	read := func(path ...string) string {
		b, err := os.ReadFile(filepath.Join(path...))
		require.NoError(t, err)
		return string(b)
	}
	out, stdout := all()
	for _, name := range []string{"sigmoid.png", "inputs.png", "batches.png"} {
		img, err := png.DecodeConfig(strings.NewReader(read(out, name)))
		require.NoError(t, err)
		assert.Greater(t, img.Width, 1000, name)
	}
	tables := read(out, page)
	assert.Contains(t, tables, "rectifiers, batch 4, 25 steps, seeds 1 2")
	for _, kind := range kinds {
		assert.Equal(t, 4, strings.Count(tables, "| "+names[kind]+" |"), kind)
	}
	assert.Contains(t, stdout, "batch4    norm weight  seed 2")

	var runs []*Run
	require.NoError(t, json.Unmarshal([]byte(read(out, numbers)), &runs))
	require.Len(t, runs, 3*4*2)
	for _, r := range runs {
		assert.Len(t, r.Points, evaluations)
		assert.Equal(t, r.Kind == "batch", r.Reestimated > 0, r.Kind)
		assert.Equal(t, r.Experiment == "sigmoid", r.Spread != nil)
	}

	t.Run("redraw", func(t *testing.T) {
		before := read(out, "sigmoid.png")
		require.NoError(t, os.Remove(filepath.Join(out, page)))
		status, _, stderr := program(context.Background(), "-redraw", "-out", out)
		require.Equal(t, command.OK, status, stderr)
		assert.Equal(t, tables, read(out, page))
		assert.Equal(t, before, read(out, "sigmoid.png"))
	})
	t.Run("one thread", func(t *testing.T) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		again, _ := all()
		assert.Equal(t, read(out, numbers), read(again, numbers))
	})
	t.Run("one experiment", func(t *testing.T) {
		before := read(out, "sigmoid.png")
		status, _, stderr := program(context.Background(), "-only", "batch4", "-share", "0.01", "-seeds", "1", "-data", dir, "-out", out)
		require.Equal(t, command.OK, status, stderr)
		tables := read(out, page)
		assert.Contains(t, tables, "sigmoid units, batch 60, 25 steps, seeds 1 2\n", "as they were")
		assert.Contains(t, tables, "rectifiers, batch 4, 120 steps, seed 1\n")
		assert.NotContains(t, tables, "batch 4, 25 steps")
		assert.Regexp(t, `none \| 0.001 .* % \| – \|`, tables, "no range of one seed")
		assert.True(t, before == read(out, "sigmoid.png"))
	})
}

// Each of these would panic in the figures, or draw nothing.
func TestCheck(t *testing.T) {
	whole := func() (runs []*Run) {
		for _, kind := range kinds {
			for _, seed := range []uint64{1, 2} {
				runs = append(runs, &Run{
					Experiment: "sigmoid", Kind: kind, Seed: seed, Points: []Point{{Step: 5, TrainLoss: 1}, {Step: 10, TrainLoss: 1}},
					Spread: &Spread{Steps: []int{10}, Values: [][3]float64{{-1, 0, 1}}},
				})
			}
		}
		return runs
	}
	require.NoError(t, check(whole()))
	for name, tc := range map[string]struct {
		change func(runs []*Run) []*Run
		want   string
	}{
		"nothing":      {func([]*Run) []*Run { return nil }, "no runs"},
		"empty":        {func(runs []*Run) []*Run { return append(runs, nil) }, "run 9: empty"},
		"experiment":   {func(runs []*Run) []*Run { runs[3].Experiment = "x"; return runs }, `run 4: experiment "x"`},
		"kind":         {func(runs []*Run) []*Run { runs[3].Kind = "group"; return runs }, `run 4: norm "group"`},
		"no points":    {func(runs []*Run) []*Run { runs[3].Points = nil; return runs }, "run 4: no points"},
		"no spread":    {func(runs []*Run) []*Run { runs[3].Spread = nil; return runs }, "run 4: no spread"},
		"half spread":  {func(runs []*Run) []*Run { runs[3].Spread.Values = nil; return runs }, "run 4: no spread"},
		"zero step":    {func(runs []*Run) []*Run { runs[3].Points[0].Step = 0; return runs }, "run 4: step 0"},
		"no loss":      {func(runs []*Run) []*Run { runs[3].Points[1].TrainLoss = 0; return runs }, "run 4: step 10, training loss 0"},
		"three kinds":  {func(runs []*Run) []*Run { return runs[:6] }, "sigmoid: 3 kinds of networks, want 4"},
		"fewer seeds":  {func(runs []*Run) []*Run { return runs[:7] }, "norm weight has other seeds than none"},
		"other seeds":  {func(runs []*Run) []*Run { runs[7].Seed = 3; return runs }, "norm weight has other seeds than none"},
		"fewer points": {func(runs []*Run) []*Run { runs[1].Points = runs[1].Points[:1]; return runs }, "norm none, seed 2 has points at other steps"},
	} {
		t.Run(name, func(t *testing.T) { assert.ErrorContains(t, check(tc.change(whole())), tc.want) })
	}
}

func TestQuick(t *testing.T) {
	for _, tc := range []struct {
		args  []string
		share float64
		seeds int
	}{
		{[]string{"-quick"}, 0.1, 1},
		{[]string{"-quick", "-seeds", "2"}, 0.1, 2},
		{[]string{"-share", "0.5", "-quick"}, 0.5, 1},
		{nil, 1, 3},
	} {
		cfg, err := parseFlags(tc.args, nil)
		require.NoError(t, err)
		assert.Equal(t, tc.share, cfg.share, tc.args)
		assert.Equal(t, tc.seeds, cfg.seeds, tc.args)
	}
}

func TestSearch(t *testing.T) {
	dir := mnisttest.Synthetic(300, 60).Write(t)
	status, stdout, stderr := program(context.Background(), "-search", "-only", "batch4", "-share", "0.002", "-data", dir)
	require.Equal(t, command.OK, status, stderr)
	assert.Contains(t, stdout, "on 150 training images that were held out")
	assert.Regexp(t, `batch4 +layer +0.0001: [0-9.]+ [0-9.]+ +0.0003: `, stdout)
}

func TestInterrupt(t *testing.T) {
	dir, out := mnisttest.Synthetic(300, 60).Write(t), t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	status, _, stderr := program(ctx, "-data", dir, "-only", "batch4", "-out", out)
	assert.Equal(t, command.Interrupted, status)
	assert.Contains(t, stderr, "interrupted")
	assert.NoFileExists(t, filepath.Join(out, numbers))
}

// trigger takes the output of the program, and calls f when that has a text.
type trigger struct {
	text string
	f    func()
}

func (t trigger) Write(p []byte) (int, error) {
	if strings.Contains(string(p), t.text) {
		t.f()
	}
	return len(p), nil
}

// If Ctrl-C comes after the training, all files are written nevertheless.
func TestInterruptAfterTraining(t *testing.T) {
	dir, out := mnisttest.Synthetic(300, 60).Write(t), t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var stderr bytes.Buffer
	args := []string{"-data", dir, "-only", "batch4", "-share", "0.002", "-seeds", "1", "-out", out}
	assert.Equal(t, command.OK, run(ctx, args, trigger{"| norm |", cancel}, &stderr))
	assert.Error(t, ctx.Err())
	assert.Empty(t, stderr.String())
	assert.FileExists(t, filepath.Join(out, page))
}
