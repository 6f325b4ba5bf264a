// Package replacefile writes a file whole or not at all.
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

// Write writes a file beside the one at path, and replaces that once the new one is
// complete and on the disk: after an error the old file is still there. A link stays one,
// also if there is no file at its end yet, and so does the mode of the old file. What is not
// a regular file is an error. Errors, those of write too, name path, and not the temporary
// file, which stays if the process is killed: its name is that of the file between a dot and
// a random number.
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
	switch {
	case statErr == nil && !old.Mode().IsRegular(): // renaming would replace a device or a pipe by a file
		return errors.New("not a regular file")
	case statErr != nil && !errors.Is(statErr, fs.ErrNotExist): // links in a circle, say, of which renaming would replace one
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
	if d, err := os.Open(cmp.Or(dir, ".")); err == nil { // some systems cannot
		d.Sync()
		d.Close()
	}
	return nil
}

// linked returns what a link, or a link to a link, stands for, which need not exist as for
// filepath.EvalSymlinks; and any other path as it is.
func linked(path string) string {
	for range 100 { // not for ever, if somebody closes a circle meanwhile
		to, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(to) {
			dir, _ := filepath.Split(path)
			to = dir + to // not joined, which shortens link/.. to nothing
		}
		path = to
	}
	return path
}

// createTemp makes a new file in a folder, with the usual mode of new files. One from
// os.CreateTemp could be read by its owner only. The number is random, since processes that
// have been killed may have left any number of files, and in a container have had the same id;
// and of a long name there is only the beginning, so that this one is not too long.
func createTemp(dir, base string) (*os.File, error) {
	name := fmt.Sprintf(".%.50s.%016x.tmp", base, rand.Uint64())
	return os.OpenFile(dir+name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
}
