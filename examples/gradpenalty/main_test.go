package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/gorgonorm/norm/internal/command"
	"github.com/stretchr/testify/require"
)

// The critic tells the clouds apart, at a slope of 1.
func TestPenaltyFalls(t *testing.T) {
	h, err := train(250, func(int, step) {})
	require.NoError(t, err)
	mean := func(part []step, of func(step) float64) (m float64) {
		for _, p := range part {
			m += of(p) / float64(len(part))
		}
		return m
	}
	first, last := h[:5], h[len(h)-20:]
	penalty := func(s step) float64 { return s.penalty }
	require.Less(t, mean(last, penalty), 0.3*mean(first, penalty))
	require.Greater(t, mean(last, func(s step) float64 { return s.distance }), 1.0)
	require.InDelta(t, 1, mean(last, func(s step) float64 { return s.slope }), 0.2)
}

func TestProgram(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder.png"), 0o755))
	for name, tc := range map[string]struct {
		args   []string
		status int
		want   string // on stderr
	}{
		"one step": {[]string{"-steps", "1", "-out", filepath.Join(dir, "a", "b.png")}, command.OK, ""},
		"help":     {[]string{"-h"}, command.OK, "-steps"},
		"no steps": {[]string{"-steps", "0"}, command.Usage, "gradpenalty: -steps 0: want at least 1"},
		"argument": {[]string{"-steps", "20", "bla"}, command.Usage, `unexpected argument "bla"`},
		"not PNG":  {[]string{"-out", "plot.xyz"}, command.Usage, `-out "plot.xyz": want a .png file`},
		"folder":   {[]string{"-out", filepath.Join(dir, "folder.png")}, command.Failure, "is a folder"},
		"file":     {[]string{"-out", filepath.Join(file, "b.png")}, command.Failure, "gradpenalty: output folder"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			require.Equal(t, tc.status, run(tc.args, &stdout, &stderr), stderr.String())
			require.Contains(t, stderr.String(), tc.want)
			require.Equal(t, name == "one step", stdout.Len() > 0, "trains")
		})
	}
	require.FileExists(t, filepath.Join(dir, "a", "b.png"))
}
