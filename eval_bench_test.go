package norm_test

import (
	"fmt"
	"testing"

	"github.com/gorgonorm/norm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// BenchmarkEval times the normalization of a single row, as in a server. BenchmarkMachine
// times the same in a run of a machine.
func BenchmarkEval(b *testing.B) {
	eachRow(b, func(b *testing.B, l rowLayer, x *tensor.Dense) {
		dst := x.Clone().(*tensor.Dense)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := l.Eval(dst, x); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkMachine(b *testing.B) {
	eachRow(b, func(b *testing.B, l rowLayer, x *tensor.Dense) {
		g := G.NewGraph()
		y, err := l.in(g).Fwd(input(g, x))
		if err != nil {
			b.Fatal(err)
		}
		var v G.Value
		G.Read(y, &v)
		vm := G.NewTapeMachine(g, G.EvalMode())
		defer vm.Close()
		b.ReportAllocs()
		for b.Loop() {
			if err := vm.RunAll(); err != nil {
				b.Fatal(err)
			}
			vm.Reset()
		}
	})
}

type forward interface {
	norm.Evaluator
	Fwd(x *G.Node) (*G.Node, error)
}

// rowLayer is a layer and a function that makes the same layer in another graph.
type rowLayer struct {
	forward
	in func(g *G.ExprGraph) forward
}

// eachRow runs f for each layer that normalizes rows of n elements, and for images
// of n elements in 16 channels.
func eachRow(b *testing.B, f func(b *testing.B, l rowLayer, x *tensor.Dense)) {
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		for _, n := range []int{64, 256, 1024} {
			g := G.NewGraph()
			ln := norm.Must(norm.NewLayerNorm(g, dt, tensor.Shape{n}))
			rms := norm.Must(norm.NewRMSNorm(g, dt, tensor.Shape{n}))
			bn := norm.Must(norm.NewBatchNorm(g, dt, n))
			gn := norm.Must(norm.NewGroupNorm(g, dt, 4, 16))
			in := norm.Must(norm.NewInstanceNorm(g, dt, 16, norm.WithRunningStats()))
			for _, r := range []struct {
				name string
				l    rowLayer
				x    []int
			}{
				{"LayerNorm", rowLayer{ln, func(g *G.ExprGraph) forward { return norm.Must(ln.In(g)) }}, []int{1, n}},
				{"RMSNorm", rowLayer{rms, func(g *G.ExprGraph) forward { return norm.Must(rms.In(g)) }}, []int{1, n}},
				{"BatchNorm", rowLayer{bn, func(g *G.ExprGraph) forward { return norm.Must(bn.In(g)) }}, []int{1, n}},
				{"GroupNorm", rowLayer{gn, func(g *G.ExprGraph) forward { return norm.Must(gn.In(g)) }}, []int{1, 16, n / 16}},
				{"InstanceNorm", rowLayer{in, func(g *G.ExprGraph) forward { return norm.Must(in.In(g)) }}, []int{1, 16, n / 16}},
			} {
				b.Run(fmt.Sprintf("%s/%v/%d", r.name, dt, n), func(b *testing.B) { f(b, r.l, wave(dt, 1, r.x...)) })
			}
		}
	}
}
