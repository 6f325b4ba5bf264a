package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gorgonorm/norm/internal/command"
	"github.com/stretchr/testify/require"
)

func TestDrawsTheModel(t *testing.T) {
	var text bytes.Buffer
	require.NoError(t, write("", &text))
	for _, want := range []string{`"{{fc1.v|`, `"{{bn1|`, `{Op|norm.BatchNorm(axis=1, gamma, beta)}`, `"{{ln1|`, `{Shape|(32, 200)}`} {
		require.Contains(t, text.String(), want)
	}
	require.NotContains(t, text.String(), "nil")
	if _, err := exec.LookPath("dot"); err != nil {
		t.Skip("Graphviz is not installed")
	}
	for _, ext := range []string{".png", ".svg"} {
		out := filepath.Join(t.TempDir(), "graph"+ext)
		require.NoError(t, write(out, nil))
		info, err := os.Stat(out)
		require.NoError(t, err)
		require.NotZero(t, info.Size())
	}
}

func TestBadArguments(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"foo", "-o", "x.png"}, `dot: unexpected argument "foo"`},
		{[]string{"-o", "x"}, `dot: -o "x": want a .png or .svg file`},
	} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, command.Usage, run(tc.args, &stdout, &stderr))
		require.Equal(t, tc.want+"\n", stderr.String())
		require.Empty(t, stdout.String())
	}
}
