// Command dot draws the graph of a small model: a linear layer with weight norm,
// batch norm, a rectifier and layer norm.
//
//	go run ./examples/dot                      # prints it for Graphviz
//	go run ./examples/dot -o docs/graph.png    # has Graphviz draw it; .svg too
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/internal/command"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/gorgonia/encoding/dot"
	"gorgonia.org/tensor"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the program without the process around it.
func run(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("dot", flag.ContinueOnError)
	out := fs.String("o", "", "`file` to draw to, .png or .svg; needs Graphviz")
	err := command.Parse(fs, args, stderr)
	if ext := filepath.Ext(*out); err == nil && *out != "" && ext != ".png" && ext != ".svg" {
		err = fmt.Errorf("-o %q: want a .png or .svg file", *out)
	}
	if err != nil {
		return command.Mistake("dot", err, stderr)
	}
	if err := write(*out, stdout); err != nil {
		return command.Fail("dot", err, stderr)
	}
	return command.OK
}

// write writes the graph to w, or draws it to a file.
func write(out string, w io.Writer) error {
	g, err := model()
	if err != nil {
		return err
	}
	text, err := drawing(g)
	if err != nil {
		return err
	}
	if out == "" {
		_, err := io.WriteString(w, text)
		return err
	}
	var said bytes.Buffer
	cmd := exec.Command("dot", "-T"+filepath.Ext(out)[1:], "-Gdpi=96", "-o", out)
	cmd.Stdin, cmd.Stderr = strings.NewReader(text), &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running Graphviz: %w: %s", err, said.Bytes())
	}
	return nil
}

// model builds the graph, without values for its input: only its form is drawn.
func model() (*G.ExprGraph, error) {
	g, dt := G.NewGraph(), tensor.Float32
	x := G.NewMatrix(g, dt, G.WithName("x"), G.WithShape(32, 784))
	fc, err := norm.NewWeightNormLinear(g, dt, 784, 200, norm.WithName("fc1"))
	if err != nil {
		return nil, err
	}
	bn, err := norm.NewBatchNorm(g, dt, 200, norm.WithName("bn1"))
	if err != nil {
		return nil, err
	}
	ln, err := norm.NewLayerNorm(g, dt, tensor.Shape{200}, norm.WithName("ln1"))
	if err != nil {
		return nil, err
	}
	y := x
	for _, f := range []func(*G.Node) (*G.Node, error){fc.Fwd, bn.Fwd, G.Rectify, ln.Fwd} {
		if y, err = f(y); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// drawing returns the graph in the language of Graphviz, without the line that
// Gorgonia has for the op of an input, which has none.
func drawing(g *G.ExprGraph) (string, error) {
	text, err := dot.Marshal(g)
	if err != nil {
		return "", err
	}
	return strings.ReplaceAll(string(text), "{Op|%!s(&lt;nil&gt;)}|", ""), nil
}
