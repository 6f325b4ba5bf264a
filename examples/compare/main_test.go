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

	"github.com/gorgonorm/norm/examples/internal/command"
	"github.com/gorgonorm/norm/examples/internal/mnist/mnisttest"
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
	require.NoError(t, os.WriteFile(filepath.Join(wrong, numbers), []byte(`[{"Experiment":"x"}]`), 0o644))
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no data":       {[]string{"-data", file}, "is not a folder"},
		"few images":    {[]string{"-data", dir, "-out", out}, "a batch of 128 images out of 100"},
		"out is a file": {[]string{"-data", dir, "-only", "batch4", "-out", file}, "output folder"},
		"no numbers":    {[]string{"-redraw", "-out", out}, numbers},
		"other numbers": {[]string{"-redraw", "-out", wrong}, "not the numbers of this program"},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, stderr := program(context.Background(), tc.args...)
			assert.Equal(t, command.Failure, status)
			assert.Contains(t, stderr, tc.want)
		})
	}
}

// All that the program does, in little: figures, table and numbers, which depend
// neither on the processors nor on the run.
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
	page := read(out, "README.md")
	assert.Contains(t, page, "rectifiers, batch 4, 25 steps, seeds 1 2")
	for _, kind := range kinds {
		assert.Equal(t, 4, strings.Count(page, "| "+names[kind]+" |"), kind)
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
		require.NoError(t, os.Remove(filepath.Join(out, "README.md")))
		status, _, stderr := program(context.Background(), "-redraw", "-out", out)
		require.Equal(t, command.OK, status, stderr)
		assert.Equal(t, page, read(out, "README.md"))
		assert.Equal(t, before, read(out, "sigmoid.png"))
	})
	t.Run("one thread", func(t *testing.T) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		again, _ := all()
		assert.Equal(t, read(out, numbers), read(again, numbers))
	})
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
