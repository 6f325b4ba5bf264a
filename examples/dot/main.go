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
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gorgonorm/norm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/gorgonia/encoding/dot"
	"gorgonia.org/tensor"
)

func main() {
	log.SetFlags(0)
	out := flag.String("o", "", "file to draw to, .png or .svg; needs Graphviz")
	flag.Parse()
	if err := run(*out, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(out string, w io.Writer) error {
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
	cmd := exec.Command("dot", "-T"+strings.TrimPrefix(filepath.Ext(out), "."), "-Gdpi=96", "-o", out)
	cmd.Stdin, cmd.Stderr = strings.NewReader(text), &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("dot, of Graphviz: %w\n%s", err, said.Bytes())
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
