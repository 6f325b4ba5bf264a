// Package replacefile writes a file whole or not at all.
package replacefile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Write writes a file beside the one at path, and replaces that once the new one is
// complete and on the disk: after an error the old file is still there. A link to a file stays
// one, and so does the mode of the old file. What is not a regular file is an error.
// Errors, those of write too, name path, and not the temporary file.
func Write(path string, write func(io.Writer) error) error {
	if err := replace(path, write); err != nil {
		return ofFile(path, err)
	}
	return nil
}

// ofFile returns an error as one of the path that was given, which takes the place of the
// temporary file beside it.
func ofFile(path string, err error) error {
	var of *os.PathError
	var renamed *os.LinkError
	switch {
	case errors.As(err, &of):
		return &os.PathError{Op: of.Op, Path: path, Err: of.Err}
	case errors.As(err, &renamed):
		return &os.PathError{Op: renamed.Op, Path: path, Err: renamed.Err}
	}
	return fmt.Errorf("%s: %w", path, err)
}

// replace is Write, with errors of the temporary file.
func replace(path string, write func(io.Writer) error) (err error) {
	old, statErr := os.Stat(path)
	if statErr == nil {
		if !old.Mode().IsRegular() { // renaming would replace a device or a pipe by a file
			return errors.New("not a regular file")
		}
		if path, err = filepath.EvalSymlinks(path); err != nil { // keep the link
			return err
		}
	}
	dir, base := filepath.Split(path)
	f, err := createTemp(dir, base)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if statErr == nil {
		if err := f.Chmod(old.Mode().Perm()); err != nil {
			return err
		}
	}
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	if d, err := os.Open(filepath.Clean(dir)); err == nil { // some systems cannot
		d.Sync()
		d.Close()
	}
	return nil
}

// createTemp makes a new file in a folder, with the usual mode of new files. One from
// os.CreateTemp could be read by its owner only.
func createTemp(dir, base string) (*os.File, error) {
	for i := 0; ; i++ {
		name := filepath.Join(dir, fmt.Sprintf(".%s.%d-%d.tmp", base, os.Getpid(), i))
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if os.IsExist(err) && i < 1000 {
			continue
		}
		return f, err
	}
}
