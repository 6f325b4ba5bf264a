// Package badcall holds bad calls to the kind and the words of their errors, for tests.
package badcall

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gorgonorm/norm/internal/fault"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite testdata/errors.txt")

// Call must fail.
type Call struct {
	Name string // begins with the op, layer or function, and a colon
	Kind error
	Make func(t *testing.T) error
}

// Check checks the kind and the words of every error. The words are in
// testdata/errors.txt, to be read as a user would; -update rewrites them. They are
// compared and written where all calls run, not where -run selects some. The error of a
// call begins with prefix and, if named, the beginning of the call's name.
func Check(t *testing.T, prefix string, named bool, calls []Call) {
	var words strings.Builder
	seen := map[string]bool{}
	ran := 0
	for _, c := range calls {
		t.Run(c.Name, func(t *testing.T) {
			ran++
			require.False(t, seen[c.Name], "two calls of one name")
			seen[c.Name] = true
			begin := prefix
			if named {
				who, _, _ := strings.Cut(c.Name, ": ")
				begin += who + ": "
			}
			err := c.Make(t)
			require.ErrorIs(t, err, c.Kind)
			require.True(t, fault.Is(err, c.Kind))
			require.True(t, strings.HasPrefix(err.Error(), begin), "%v", err)
			require.NotContains(t, err.Error(), "internal fault")
			require.NotContains(t, err.Error(), "\n")
			fmt.Fprintf(&words, "%s\n\t%s\n", c.Name, err)
		})
	}
	switch {
	case t.Failed():
	case ran == len(calls) && strconv.IntSize == 64: // the greatest sizes depend on it
		compareWords(t, filepath.Join("testdata", "errors.txt"), words.String())
	case *update && ran < len(calls):
		t.Fatalf("-update ran %d of %d calls, want all", ran, len(calls))
	}
}

func compareWords(t *testing.T, file, words string) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(words), 0o644))
		return
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Empty(t, changes(string(want), words), "the words of errors changed; review them and run with -update")
}

// changes returns the lines that only one of two texts has.
func changes(want, got string) (lines []string) {
	without := func(sign, these, others string) {
		known := map[string]bool{}
		for l := range strings.Lines(others) {
			known[l] = true
		}
		for l := range strings.Lines(these) {
			if !known[l] {
				lines = append(lines, sign+l)
			}
		}
	}
	without("-", want, got)
	without("+", got, want)
	if len(lines) == 0 && want != got {
		lines = append(lines, "the order of lines")
	}
	return lines
}
