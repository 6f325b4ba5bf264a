package norm_test

import (
	"fmt"

	"github.com/gorgonorm/norm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// normalization is what the norms of activations have in common.
type normalization interface {
	norm.Layer     // Name, Learnables
	norm.Stateful  // SaveFile, LoadFile
	norm.Evaluator // Eval
	Fwd(x *gorgonia.Node) (*gorgonia.Node, error)
}

// chosen is a normalization, and how to make it in another graph.
type chosen struct {
	normalization
	in func(g *gorgonia.ExprGraph) (normalization, error)
}

// choice wraps what a constructor returns.
func choice[L interface {
	normalization
	In(*gorgonia.ExprGraph) (L, error)
}](l L, err error) (chosen, error) {
	return chosen{l, func(g *gorgonia.ExprGraph) (normalization, error) { return l.In(g) }}, err
}

// A flag says with which norm a model is trained.
func Example_choice() {
	build := func(kind string, g *gorgonia.ExprGraph) (chosen, error) {
		switch kind {
		case "batch":
			return choice(norm.NewBatchNorm(g, tensor.Float32, 64))
		case "group":
			return choice(norm.NewGroupNorm(g, tensor.Float32, 8, 64))
		default:
			return choice(norm.NewLayerNorm(g, tensor.Float32, tensor.Shape{64}, norm.WithAxes(1)))
		}
	}
	for _, kind := range []string{"batch", "group", "layer"} {
		train, evaluate := gorgonia.NewGraph(), gorgonia.NewGraph()
		layer := norm.Must(build(kind, train))
		same := norm.Must(layer.in(evaluate)) // with the parameters and statistics of layer
		y := norm.Must(same.Fwd(gorgonia.NewTensor(evaluate, tensor.Float32, 4, gorgonia.WithName("x"), gorgonia.WithShape(1, 64, 8, 8))))
		fmt.Println(layer.Name(), norm.Learnables(layer), y.Shape())
	}
	// Output:
	// batchnorm [batchnorm.gamma, batchnorm.beta] (1, 64, 8, 8)
	// groupnorm [groupnorm.gamma, groupnorm.beta] (1, 64, 8, 8)
	// layernorm [layernorm.gamma, layernorm.beta] (1, 64, 8, 8)
}
