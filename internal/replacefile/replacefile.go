// Package replacefile writes a file completely or not at all.
package replacefile

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Write writes a new file beside the one at path, and replaces the old file once the new
// one is complete and on the disk: after an error the old file is still there. The mode
// of the old file is kept. A symbolic link stays one, even if it leads to no file yet. It
// is an error if path is not a regular file. Errors, also those of write, name path and
// not the temporary file. If the process is killed, the temporary file stays: its name
// has a dot before the name of the file and a random number after it.
func Write(path string, write func(io.Writer) error) error {
	if err := replace(path, write); err != nil {
		return ofFile(path, err)
	}
	return nil
}

// ofFile returns an error that names path in place of the temporary file beside it.
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

// replace is Write, with errors that name the temporary file.
func replace(path string, write func(io.Writer) error) (err error) {
	old, statErr := os.Stat(path)
	switch {
	case statErr == nil && !old.Mode().IsRegular(): // renaming would replace a device or a pipe
		return errors.New("not a regular file")
	case statErr != nil && !errors.Is(statErr, fs.ErrNotExist): // such as for a circle of links, of which renaming would replace one
		return statErr
	}
	dir, base := filepath.Split(linked(path))
	f, err := createTemp(dir, base)
	if err != nil {
		return &os.PathError{Op: "make a file beside", Path: path, Err: errors.Unwrap(err)}
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
	if err := os.Rename(f.Name(), dir+base); err != nil {
		return err
	}
	if d, err := os.Open(cmp.Or(dir, ".")); err == nil { // some systems cannot open a folder
		d.Sync()
		d.Close()
	}
	return nil
}

// linked returns the path to which a link leads, also through further links. Unlike for
// filepath.EvalSymlinks the file need not exist. Any other path is returned unchanged.
func linked(path string) string {
	for range 100 { // not forever, if somebody makes a circle meanwhile
		to, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(to) {
			dir, _ := filepath.Split(path)
			to = dir + to // filepath.Join would remove link/..
		}
		path = to
	}
	return path
}

// createTemp makes a new file in a folder, with the usual mode of new files: one from
// os.CreateTemp could be read by its owner only. The number is random, since processes
// that have been killed may have left any number of files, and may have had the same id
// in a container. Only the beginning of the name is used, so that a long one does not
// become too long.
func createTemp(dir, base string) (*os.File, error) {
	name := fmt.Sprintf(".%.50s.%016x.tmp", base, rand.Uint64())
	return os.OpenFile(dir+name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
}
