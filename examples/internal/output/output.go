// Package output is about the files that the examples write.
package output

import (
	"fmt"
	"os"
	"path/filepath"
)

// Check makes the folder of a file and returns an error if the file cannot be written, so
// that a program knows before it trains.
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
