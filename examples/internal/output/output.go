// Package output writes the files of the examples.
package output

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
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

// Write writes a file whole or not at all: under another name, which it changes at the
// end.
func Write(path string, write func(w io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "norm-*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
			err = fmt.Errorf("%s: %w", path, err)
		}
	}()
	err = write(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := os.Chmod(f.Name(), 0o644); err != nil { // a temporary file is for its owner only
		return err
	}
	return os.Rename(f.Name(), path)
}
