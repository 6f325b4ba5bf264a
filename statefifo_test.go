//go:build linux || darwin

package norm_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/stretchr/testify/require"
)

// SaveFile leaves a named pipe as it is, by its own path and through a link, and does not
// wait for a reader.
func TestSaveFileKeepsPipes(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	require.NoError(t, os.Symlink("pipe", link))
	for _, p := range []string{path, link} {
		require.EqualError(t, norm.SaveFile(p, newBN(t)), "norm: save: "+p+": not a regular file")
	}
	require.NotZero(t, norm.Must(os.Lstat(path)).Mode()&os.ModeNamedPipe)
	require.NotZero(t, norm.Must(os.Lstat(link)).Mode()&os.ModeSymlink)
	require.Len(t, norm.Must(os.ReadDir(dir)), 2)
}
