package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTable(t *testing.T) {
	want, err := os.ReadFile(filepath.Join("testdata", "table.md"))
	require.NoError(t, err)
	require.Equal(t, string(want), output(t, "-table", filepath.Join("testdata", "lines.jsonl")))
}

func TestTableRefusesWhatIsNoLine(t *testing.T) {
	f := &figures{lines: map[cell]map[string][]result{}}
	err := f.read(strings.NewReader("{\"median_us\": 1}\n\nhello\n"))
	require.ErrorContains(t, err, "line 3")
	require.Error(t, printTable(&bytes.Buffer{}, []string{"none.jsonl"}))
}

// Every target belongs to a case.
func TestTargets(t *testing.T) {
	targets, err := readTargets(targetsCSV)
	require.NoError(t, err)
	require.Len(t, targets, 220)
	cases := output(t, "-list")
	for c, v := range targets {
		require.Contains(t, cases, strings.Join([]string{c.name, c.shape, c.dtype, c.pass}, " ")+"\n")
		require.LessOrEqual(t, v.reach, v.must)
		require.Positive(t, v.reach)
	}
}
