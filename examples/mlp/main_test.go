package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/gorgonorm/norm/examples/internal/mnist/mnisttest"
	"github.com/gorgonorm/norm/examples/internal/nn"
	"github.com/gorgonorm/norm/internal/command"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mlp runs the program.
func mlp(ctx context.Context, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(ctx, args, &out, &errs)
	return status, out.String(), errs.String()
}

func TestBadFlags(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"net":          {[]string{"-net", "resnet"}, `-net "resnet": want mlp or conv`},
		"norm":         {[]string{"-norm", "group"}, `-norm "group": want one of batch, layer, weight, none`},
		"epochs":       {[]string{"-epochs", "0"}, "-epochs 0"},
		"batch":        {[]string{"-batch", "-5"}, "-batch -5"},
		"batch of one": {[]string{"-batch", "1"}, "at least 2 images"},
		"lr":           {[]string{"-lr", "0"}, "-lr 0"},
		"lr NaN":       {[]string{"-lr", "NaN"}, "-lr NaN"},
		"lr Inf":       {[]string{"-lr", "Inf"}, "-lr +Inf"},
		"no number":    {[]string{"-batch", "many"}, `invalid value "many" for flag -batch`},
		"seed":         {[]string{"-seed", "-1"}, `invalid value "-1" for flag -seed`},
		"limit":        {[]string{"-limit", "-1"}, "-limit -1"},
		"out":          {[]string{"-out", ""}, "-out"},
		"unknown":      {[]string{"-dropout", "0.5"}, "flag provided but not defined: -dropout"},
		"argument":     {[]string{"batch"}, `unexpected argument "batch"`},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := mlp(context.Background(), tc.args...)
			assert.Equal(t, command.Usage, status)
			assert.Empty(t, stdout)
			assert.Contains(t, stderr, tc.want)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
		})
	}

	t.Run("help", func(t *testing.T) {
		status, stdout, stderr := mlp(context.Background(), "-h")
		assert.Equal(t, command.OK, status)
		assert.Empty(t, stdout)
		assert.Contains(t, stderr, "-norm kind")
	})
}

func TestRunTimeErrors(t *testing.T) {
	dir, out := mnisttest.Synthetic(20, 5).Write(t), t.TempDir()
	file := filepath.Join(out, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))

	require.NoError(t, os.Mkdir(filepath.Join(out, "mlp-layer.png"), 0o755))

	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no data":       {[]string{"-data", filepath.Join(out, "nowhere")}, "nowhere"},
		"batch too big": {[]string{"-data", dir, "-out", out, "-batch", "21"}, "a batch of 21 images out of 20"},
		"limit":         {[]string{"-data", dir, "-out", out, "-batch", "16", "-limit", "15"}, "a batch of 16 images out of 15"},
		"out is a file": {[]string{"-data", dir, "-out", file, "-batch", "10"}, "output folder"},
		"a PNG folder":  {[]string{"-data", dir, "-out", out, "-batch", "10", "-norm", "layer"}, "mlp-layer.png is a folder"},
		"diverges":      {[]string{"-data", dir, "-out", out, "-batch", "10", "-norm", "none", "-lr", "1e30", "-epochs", "20"}, "lower -lr"},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := mlp(context.Background(), tc.args...)
			assert.Equal(t, command.Failure, status)
			assert.Empty(t, stdout, "no epoch is over")
			assert.Contains(t, stderr, tc.want)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
		})
	}
}

// numbers trains on the synthetic images and returns what must not depend on
// anything but the seed: the printed lines without their times, and the CSV.
func numbers(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out := t.TempDir()
	status, stdout, stderr := mlp(context.Background(), append(args, "-data", dir, "-out", out)...)
	require.Equal(t, command.OK, status, stderr)
	require.Empty(t, stderr)
	paths, err := filepath.Glob(filepath.Join(out, "*.csv"))
	require.NoError(t, err)
	require.Len(t, paths, 1)
	data, err := os.ReadFile(paths[0])
	require.NoError(t, err)
	stdout, _, _ = strings.Cut(stdout, "\n\n")
	return regexp.MustCompile(`[0-9.]+ s`).ReplaceAllString(stdout, "") + "\n" + string(data)
}

func TestSameSeedSameNumbers(t *testing.T) {
	dir := mnisttest.Synthetic(150, 60).Write(t)
	for _, kind := range nn.Kinds {
		t.Run(kind, func(t *testing.T) {
			args := []string{"-norm", kind, "-epochs", "2", "-batch", "20", "-seed"}
			first := numbers(t, dir, append(args, "7")...)
			assert.Equal(t, first, numbers(t, dir, append(args, "7")...))
			assert.NotEqual(t, first, numbers(t, dir, append(args, "8")...))

			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			assert.Equal(t, first, numbers(t, dir, append(args, "7")...), "on one thread")
		})
	}
}

func TestReport(t *testing.T) {
	dir, out := mnisttest.Synthetic(150, 60).Write(t), filepath.Join(t.TempDir(), "a", "b")
	status, stdout, stderr := mlp(context.Background(),
		"-norm", "none", "-data", dir, "-out", out, "-batch", "4", "-epochs", "2", "-limit", "100")
	require.Equal(t, command.OK, status, stderr)
	assert.Contains(t, stdout, "epoch  2/2   loss ")
	assert.Regexp(t, `norm +parameters +epochs +final loss +test accuracy +best accuracy +seconds +images/s\nnone +55210 +2 `, stdout)

	f, err := os.Open(filepath.Join(out, "mlp-none.csv"))
	require.NoError(t, err)
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	assert.Equal(t, []string{"step", "epoch", "train_loss", "test_accuracy"}, rows[0])
	// 25 steps an epoch: a point after 20 and one at the end with the accuracy.
	require.Len(t, rows, 5)
	for i, want := range []string{"20", "25", "45", "50"} {
		assert.Equal(t, want, rows[i+1][0])
		assert.Equal(t, i%2 == 1, rows[i+1][3] != "", "accuracy in row %d", i+1)
	}

	img, err := os.Open(filepath.Join(out, "mlp-none.png"))
	require.NoError(t, err)
	defer img.Close()
	cfg, err := png.DecodeConfig(img)
	require.NoError(t, err)
	assert.Greater(t, cfg.Width, 600)
}

// What was learned before the training diverges is reported, and so is the error. An epoch
// has one step here; its rate sends the weights far away, and the next step out of range.
func TestLateDivergence(t *testing.T) {
	dir, out := mnisttest.Synthetic(20, 5).Write(t), t.TempDir()
	status, stdout, stderr := mlp(context.Background(),
		"-data", dir, "-out", out, "-batch", "20", "-norm", "none", "-lr", "1e12", "-epochs", "3")
	assert.Equal(t, command.Failure, status)
	assert.Contains(t, stderr, "mlp: epoch 2, step 1: training diverges")
	assert.Regexp(t, `none +55210 +1 `, stdout, "the summary of one epoch")
	assert.FileExists(t, filepath.Join(out, "mlp-none.png"))
	assert.FileExists(t, filepath.Join(out, "mlp-none.csv"))
}

// countdown is a context that is cancelled after its error was asked for n times.
type countdown struct {
	context.Context
	n int
}

func (c *countdown) Err() error {
	if c.n--; c.n < 0 {
		return context.Canceled
	}
	return nil
}

func TestInterrupt(t *testing.T) {
	dir := mnisttest.Synthetic(150, 60).Write(t)
	for n, want := range map[int]string{
		0:  "interrupted before the first step",
		1:  "interrupted before the first step",
		5:  "interrupted after 4 of 15 steps",
		16: "epoch  1/3",
		25: "interrupted after 8 of 15 steps",
	} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			out := t.TempDir()
			status, stdout, stderr := mlp(&countdown{context.Background(), n},
				"-norm", "layer", "-data", dir, "-out", out, "-batch", "10", "-epochs", "3")
			assert.Equal(t, command.Interrupted, status, stderr)
			assert.Contains(t, stdout, want)
			if n > 1 {
				assert.Contains(t, stdout, "(interrupted)")
				assert.FileExists(t, filepath.Join(out, "mlp-layer.png"))
			}
		})
	}
}

func TestLearnsMNIST(t *testing.T) {
	if testing.Short() {
		t.Skip("trains four networks")
	}
	for _, kind := range nn.Kinds {
		t.Run(kind, func(t *testing.T) {
			status, stdout, stderr := mlp(context.Background(),
				"-norm", kind, "-limit", "3000", "-epochs", "3", "-batch", "50", "-out", t.TempDir())
			require.Equal(t, command.OK, status, stderr)
			m := regexp.MustCompile(`epoch +3/3 .* test accuracy ([0-9.]+) %`).FindStringSubmatch(stdout)
			require.NotNil(t, m, stdout)
			accuracy, err := strconv.ParseFloat(m[1], 64)
			require.NoError(t, err)
			assert.Greater(t, accuracy, 90.0)
		})
	}
}
