package norm_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Where gorgonia.BatchNorm is right, in training with parameters of one value a
// channel, moving from it changes no number: not the results, nor the gradient, nor
// the running statistics.
func TestMovingFromGorgonia(t *testing.T) {
	const momentum, eps = 0.3, 1e-3
	for _, shape := range [][]int{{6, 3}, {4, 3, 2, 5}} {
		gamma := []float64{0.5, -2, 3}
		beta := []float64{1, 0, -4}
		perChannel := []int{1, 3, 1, 1}[:len(shape)]
		results := func(g *G.ExprGraph, x, y *G.Node) (out, dx []float64) {
			cost := norm.Must(G.Sum(norm.Must(G.Cube(y))))
			grads := norm.Must(G.Grad(cost, x))
			var values [2]G.Value
			G.Read(y, &values[0])
			G.Read(grads[0], &values[1])
			vm := G.NewTapeMachine(g)
			defer vm.Close()
			require.NoError(t, vm.RunAll())
			return graphtest.Floats(values[0].(*tensor.Dense)), graphtest.Floats(values[1].(*tensor.Dense))
		}

		g := G.NewGraph()
		x := input(g, wave(tensor.Float64, 2, shape...))
		scale := G.NodeFromAny(g, graphtest.Dense(tensor.Float64, gamma, perChannel...), G.WithName("scale"))
		bias := G.NodeFromAny(g, graphtest.Dense(tensor.Float64, beta, perChannel...), G.WithName("bias"))
		y, _, _, op, err := G.BatchNorm(x, scale, bias, momentum, eps)
		require.NoError(t, err)
		want, wantDx := results(g, x, y)
		wantMean, wantVariance := op.Stats()

		g = G.NewGraph()
		x = input(g, wave(tensor.Float64, 2, shape...))
		bn := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3, norm.WithMomentum(momentum), norm.WithEps(eps)))
		copy(bn.Learnables()[0].Value().Data().([]float64), gamma)
		copy(bn.Learnables()[1].Value().Data().([]float64), beta)
		got, dx := results(g, x, norm.Must(bn.Fwd(x)))
		mean, variance := bn.Stats()

		require.InDeltaSlice(t, want, got, 1e-12, "y %v", shape)
		require.InDeltaSlice(t, wantDx, dx, 1e-9, "dx %v", shape)
		require.InDeltaSlice(t, wantMean.Data().([]float64), mean, 1e-12, "mean %v", shape)
		require.InDeltaSlice(t, wantVariance.Data().([]float64), variance, 1e-12, "variance %v", shape)
	}
}

// What the README and the pages of docs call norm.X, ops.X, diff.X or gradcheck.X is
// there.
func TestPagesNameWhatThereIs(t *testing.T) {
	folders := map[string]string{"norm": ".", "ops": "ops", "diff": "diff", "gradcheck": "gradcheck"}
	exists := map[string]bool{}
	for name, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			require.NoError(t, err)
			for _, d := range f.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					if d.Recv == nil {
						exists[name+"."+d.Name.Name] = true
					}
				case *ast.GenDecl:
					for _, spec := range d.Specs {
						switch spec := spec.(type) {
						case *ast.TypeSpec:
							exists[name+"."+spec.Name.Name] = true
						case *ast.ValueSpec:
							for _, n := range spec.Names {
								exists[name+"."+n.Name] = true
							}
						}
					}
				}
			}
		}
	}
	pages, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	named := regexp.MustCompile(`\b(norm|ops|diff|gradcheck)\.[A-Z]\w*`)
	count := 0
	for _, page := range append(pages, "README.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, name := range named.FindAllString(string(text), -1) {
			count++
			require.True(t, exists[name], "%s names %s", page, name)
		}
	}
	require.Greater(t, count, 50, "names that the pages mention")
}
