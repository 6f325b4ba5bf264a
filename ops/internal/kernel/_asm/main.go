// Command asm generates the assembly of package kernel, the Go declarations of
// it, and for loops and steps the functions that choose between it and the Go
// definitions:
//
//	go run . -dir ..
//
// Every loop has one body here, written once for both types of data, both
// instruction sets (see variant) and both layouts (see loop).
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	. "github.com/mmcloughlin/avo/build"
)

func main() {
	dir := flag.String("dir", "..", "folder of package kernel")
	emit := flag.String("emit", "", "write the assembly of one file to standard output (used by the command itself)")
	flag.Parse()
	if *emit != "" {
		generate(*emit)
		return
	}
	if err := run(*dir); err != nil {
		fmt.Fprintln(os.Stderr, "asm:", err)
		os.Exit(1)
	}
}

// files are the generated files, and what is in them for each variant.
var files = map[string]func(v variant){
	"runs": func(v variant) {
		for _, l := range loops {
			l.runs(v)
		}
	},
	"rows":          rows,
	"channels":      channels,
	"matrix":        matrix,
	"localresponse": localResponse,
	"columns": func(v variant) {
		for _, l := range loops {
			l.columns(v)
		}
	},
}

func generate(file string) {
	ConstraintExpr("amd64,!purego,!noasm")
	for _, v := range variants {
		files[file](v)
	}
	Generate()
}

// run writes all generated files. avo keeps one file in global state, so each
// is made by a process of its own.
func run(dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for f := range files {
		base := filepath.Join(dir, f+"_amd64")
		cmd := exec.Command(self, "-emit", f, "-out", base+".s", "-stubs", base+".go", "-pkg", "kernel")
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
	}
	return writeDispatch(dir)
}
