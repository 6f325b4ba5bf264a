package norm_test

import (
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/stretchr/testify/require"
	parser "gonum.org/v1/gonum/graph/formats/dot"
	"gonum.org/v1/gonum/graph/formats/dot/ast"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/gorgonia/encoding/dot"
	"gorgonia.org/tensor"
)

// drawn returns the labels of the nodes in both drawings that Gorgonia makes of a
// graph, after parsing them.
func drawn(t *testing.T, g *G.ExprGraph) map[string][]string {
	t.Helper()
	marshalled, err := dot.Marshal(g)
	require.NoError(t, err)
	labels := map[string][]string{}
	for name, text := range map[string]string{"ToDot": g.ToDot(), "dot.Marshal": string(marshalled)} {
		file, err := parser.ParseString(text)
		require.NoError(t, err, "%s gives\n%s", name, text)
		require.Len(t, file.Graphs, 1, name)
		labels[name] = labelsOf(file.Graphs[0].Stmts, map[string]string{})
		require.Len(t, labels[name], len(g.AllNodes()), name)
		if graphviz, err := exec.LookPath("dot"); err == nil {
			cmd := exec.Command(graphviz, "-Tsvg")
			cmd.Stdin = strings.NewReader(text)
			require.NoError(t, cmd.Run(), name)
		}
	}
	return labels
}

// labelsOf returns the labels of the nodes in statements and their subgraphs. seen
// collects them by the ids of the nodes.
func labelsOf(stmts []ast.Stmt, seen map[string]string) (all []string) {
	for _, s := range stmts {
		switch s := s.(type) {
		case *ast.Subgraph:
			labelsOf(s.Stmts, seen)
		case *ast.NodeStmt:
			for _, a := range s.Attrs {
				if a.Key == "label" {
					seen[s.Node.ID] = a.Val
				}
			}
		}
	}
	return slices.Collect(maps.Values(seen))
}

// everyLayer makes a graph of all layers, with gradients.
func everyLayer(t *testing.T) *G.ExprGraph {
	g, dt := G.NewGraph(), tensor.Float64
	fc := norm.Must(norm.NewWeightNormLinear(g, dt, 3, 4, norm.WithName("fc1")))
	bn := norm.Must(norm.NewBatchNorm(g, dt, 4, norm.WithName("bn1")))
	gn := norm.Must(norm.NewGroupNorm(g, dt, 2, 4, norm.WithName("gn1")))
	ln := norm.Must(norm.NewLayerNorm(g, dt, tensor.Shape{4}, norm.WithName("ln1")))
	rms := norm.Must(norm.NewRMSNorm(g, dt, tensor.Shape{4}, norm.WithName("rms1")))
	in := norm.Must(norm.NewInstanceNorm(g, dt, 2, norm.WithName("in1"), norm.WithRunningStats()))
	wn := norm.Must(norm.NewWeightNorm(g, dt, tensor.Shape{4, 4}, norm.WithName("wn1")))
	sn := norm.Must(norm.NewSpectralNorm(g, dt, tensor.Shape{4, 4}, norm.WithName("sn1")))

	y := norm.Must(bn.Fwd(norm.Must(fc.Fwd(input(g, wave(dt, 0, 5, 3))))))
	y = norm.Must(gn.Fwd(norm.Must(G.Rectify(y))))
	y = norm.Must(G.Mul(norm.Must(G.Mul(y, norm.Must(wn.Weight()))), norm.Must(sn.Weight())))
	y, sum, err := ln.FwdResidual(y, norm.Must(rms.Fwd(y)))
	require.NoError(t, err)
	y = norm.Must(in.Fwd(norm.Must(G.Reshape(norm.Must(G.Add(y, sum)), tensor.Shape{5, 2, 2}))))
	var params G.Nodes
	for _, l := range []layer{fc, bn, gn, ln, rms, in, wn, sn} {
		params = append(params, l.Learnables()...)
	}
	norm.Must(G.Grad(norm.Must(G.Sum(norm.Must(G.Cube(y)))), params...))
	return g
}

// The drawings name results after their layers, and list the settings of ops, flags only
// if they are on.
func TestGraphsDraw(t *testing.T) {
	labels := drawn(t, everyLayer(t))
	for drawing, all := range labels {
		text := strings.Join(all, "\n")
		for _, want := range []string{
			"fc1", "fc1.v", "bn1", "bn1.gamma", "gn1", "ln1", "ln1.sum", "rms1", "in1", "wn1", "sn1", "sn1.w",
			"norm.WeightNormLinear(axis=0, bias)",
			"norm.BatchStats(axis=1, eps=1e-05, momentum=0.1, running=#",
			"norm.BatchNorm(axis=1, gamma, beta)",
			"norm.GroupNorm(channels=4, groups=2, eps=1e-05, gamma, beta)",
			"norm.RMSNorm(shape=(4), eps=1e-05, gamma)",
			"norm.AddLayerNorm(shape=(4), eps=1e-05, gamma, beta)",
			"norm.WeightNorm(axis=0)",
			"norm.SpectralNorm(axis=0, shape=(4, 4))",
			"norm.BatchNormGrad(axis=1, gamma, beta)",
		} {
			require.Contains(t, text, want, drawing)
		}
		for _, l := range all {
			if strings.Contains(l, "norm.") {
				require.NotContains(t, l, "=false", drawing)
				require.NotContains(t, l, "=true", drawing)
			}
		}
	}
}

// A name may contain characters that mean something in a drawing.
func TestGraphsDrawWithAnyName(t *testing.T) {
	for _, name := range []string{"a<b>", "a & b", `"a"`, "{a}", "größe γ", "a|b", "a/b.c-d", "<nil>", "a;b=c[d]"} {
		g := G.NewGraph()
		bn := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3, norm.WithName(name)))
		norm.Must(bn.Fwd(input(g, wave(tensor.Float64, 0, 5, 3))))
		drawn(t, g)
	}
}
