package replacefile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A writer that fails half way, on a full disk say, leaves the old file, and no
// other; and until the last byte the old file is there.
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

// Errors of the disk, of renaming and of what writes name the file, not the temporary one.
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
