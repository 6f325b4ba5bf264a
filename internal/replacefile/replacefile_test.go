package replacefile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// If a writer fails half way, for example on a full disk, the old file is left and no
// other. Until the new file is complete the old one is there.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	read := func() string {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		return string(b)
	}
	text := func(s string, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			if s != "old" {
				require.Equal(t, "old", read())
			}
			_, werr := io.WriteString(w, s)
			require.NoError(t, werr)
			return err
		}
	}
	require.NoError(t, Write(path, text("old", nil)))
	full := errors.New("full")
	require.ErrorIs(t, Write(path, text("ne", full)), full)
	require.Equal(t, "old", read())
	require.NoError(t, Write(path, text("new", nil)))
	require.Equal(t, "new", read())
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 1)
}

// A symbolic link stays one, also if it leads to no file yet or to another link.
func TestLinks(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	hello := func(w io.Writer) error {
		_, err := io.WriteString(w, "hello")
		return err
	}
	for _, d := range []string{"a", "a/b", "c"} {
		require.NoError(t, os.Mkdir(at(d), 0o777))
	}
	links := map[string]string{"a/deep": at("c"), "link": "a/file", "second": "link", "up": "a/deep/../upper", "circle": "circle", "nowhere": "none/file", "absolute": at("c/file")}
	for name, to := range links {
		if err := os.Symlink(to, at(name)); err != nil {
			t.Skip("no links here: ", err)
		}
	}
	for range 2 { // first without a file, then with one
		for path, to := range map[string]string{"link": "a/file", "second": "a/file", "up": "upper", "absolute": "c/file"} {
			require.NoError(t, Write(at(path), hello), path)
			b, err := os.ReadFile(at(to))
			require.NoError(t, err, path)
			require.Equal(t, "hello", string(b), path)
		}
	}
	require.NoError(t, Write(at("a/deep")+"/../beside", hello))
	require.FileExists(t, at("beside"))
	require.Error(t, Write(at("circle"), hello))
	require.ErrorIs(t, Write(at("nowhere"), hello), os.ErrNotExist)
	for name, to := range links {
		got, err := os.Readlink(at(name))
		require.NoError(t, err)
		require.Equal(t, to, got)
	}
}

// A new file has the mode of other new files, and an existing one keeps its mode.
func TestModes(t *testing.T) {
	dir := t.TempDir()
	usual, path := filepath.Join(dir, "usual"), filepath.Join(dir, "f")
	mode := func(path string) os.FileMode {
		info, err := os.Stat(path)
		require.NoError(t, err)
		return info.Mode()
	}
	nothing := func(io.Writer) error { return nil }
	require.NoError(t, os.WriteFile(usual, nil, 0o666))
	require.NoError(t, Write(path, nothing))
	require.Equal(t, mode(usual), mode(path))
	for _, bits := range []os.FileMode{0o640, 0o440} {
		for _, p := range []string{usual, path} {
			require.NoError(t, os.Chmod(p, bits))
		}
		require.NoError(t, Write(path, nothing))
		require.Equal(t, mode(usual), mode(path))
	}
}

// A folder that somebody makes at the path meanwhile is an error, and stays.
func TestRenameFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	require.ErrorContains(t, Write(path, func(io.Writer) error { return os.Mkdir(path, 0o777) }), "rename "+path)
	require.DirExists(t, path)
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 1)
}

// Neither files left by killed processes nor a long name do any harm.
func TestTemporaryNames(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("a", 255)
	seen := map[string]bool{}
	for range 3 {
		require.NoError(t, Write(filepath.Join(dir, long), func(w io.Writer) error {
			name := filepath.Base(w.(*os.File).Name())
			require.False(t, seen[name])
			seen[name] = true
			require.Regexp(t, `^\.a{50}\.[0-9a-f]{16}\.tmp$`, name)
			return nil
		}))
	}
}

// Errors of the disk, of renaming and of the writer name the file, not the temporary one.
func TestErrorsOfTheTemporaryFile(t *testing.T) {
	full := errors.New("full")
	for _, err := range []error{
		&os.PathError{Op: "write", Path: ".f.1-0.tmp", Err: full},
		fmt.Errorf("header: %w", &os.PathError{Op: "write", Path: ".f.1-0.tmp", Err: full}),
		&os.LinkError{Op: "write", Old: ".f.1-0.tmp", New: "f", Err: full},
	} {
		got := ofFile("f", err)
		require.EqualError(t, got, "write f: full")
		require.ErrorIs(t, got, full)
	}
	got := ofFile("f", full)
	require.EqualError(t, got, "f: full")
	require.ErrorIs(t, got, full)
}
