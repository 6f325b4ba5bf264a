// Package output writes the files of the examples.
package output

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/gorgonorm/norm/internal/replacefile"
)

// Check makes the folder of a file and says whether the file can be written, for a
// program to know before it trains.
func Check(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("output folder: %w", err)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder", path)
	}
	f, err := os.CreateTemp(dir, "norm-*.tmp")
	if err != nil {
		return fmt.Errorf("output folder: %w", err)
	}
	f.Close()
	return os.Remove(f.Name())
}

// Write writes a file whole or not at all.
func Write(path string, write func(w io.Writer) error) error {
	if err := replacefile.Write(path, write); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
