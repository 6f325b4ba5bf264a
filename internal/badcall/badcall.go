// Package badcall checks the kind and the text of the errors of bad calls, for tests.
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

// Call is a call that must fail.
type Call struct {
	Name string // begins with the op, layer or function, and a colon
	Kind error
	Make func(t *testing.T) error
}

// Check checks the kind and the text of every error. The texts are in
// testdata/errors.txt, where they can be read as a user would read them; -update rewrites
// them. They are compared and written only if all calls run, and not a selection by -run.
// An error begins with prefix and, if named is true, with the beginning of the call's
// name.
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
	case ran == len(calls) && strconv.IntSize == 64: // the largest sizes depend on the size of an int
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

// changes returns the lines that are in only one of two texts.
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
