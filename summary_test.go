package norm_test

import (
	"math"
	"strings"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// summarized returns the cells of a summary, without the heading and the total.
func summarized(layers ...norm.Layer) (rows [][]string) {
	for _, line := range strings.Split(strings.TrimSpace(norm.Summary(layers...)), "\n") {
		var cells []string
		for _, c := range strings.Split(line, "  ") {
			if c = strings.TrimSpace(c); c != "" {
				cells = append(cells, c)
			}
		}
		rows = append(rows, cells)
	}
	return rows[1 : len(rows)-1]
}

// ownLayer is a layer of the user's.
type ownLayer struct{ w *G.Node }

func (o ownLayer) Name() string        { return "fc" }
func (o ownLayer) Learnables() G.Nodes { return G.Nodes{o.w} }

// bareLayer is a layer of the user's without parameters.
type bareLayer struct{ ownLayer }

func (bareLayer) Learnables() G.Nodes { return nil }

func TestSummaryOfEachLayer(t *testing.T) {
	g := G.NewGraph()
	f32, f64 := tensor.Float32, tensor.Float64
	own := ownLayer{G.NewMatrix(g, f32, G.WithName("fc.w"), G.WithShape(2, 3), G.WithInit(G.Zeroes()))}
	bn := norm.Must(norm.NewBatchNorm(g, f32, 3, norm.WithName("bn")))
	require.NoError(t, bn.SetStats([]float64{-1.23456, 7, 0}, []float64{0.5, 1e6, 2}))
	sn := norm.Must(norm.NewSpectralNorm(g, f64, tensor.Shape{4, 2, 3, 3}))
	layers := []norm.Layer{own, bareLayer{}, bn,
		norm.Must(norm.NewLayerNorm(G.NewGraph(), f64, tensor.Shape{3}, norm.WithoutAffine())),
		norm.Must(norm.NewRMSNorm(G.NewGraph(), f64, tensor.Shape{2, 5})),
		norm.Must(norm.NewGroupNorm(G.NewGraph(), f64, 3, 6)),
		norm.Must(norm.NewInstanceNorm(G.NewGraph(), f64, 2)),
		norm.Must(norm.NewInstanceNorm(G.NewGraph(), f64, 2, norm.WithRunningStats(), norm.WithName("instancenorm2"))),
		norm.Must(norm.NewBatchNorm(G.NewGraph(), f64, 2, norm.WithoutRunningStats(), norm.WithoutScale())),
		norm.Must(norm.NewWeightNorm(G.NewGraph(), f64, tensor.Shape{4, 2, 3, 3})),
		norm.Must(norm.NewWeightNormLinear(G.NewGraph(), f64, 4, 5, norm.WithoutBias(), norm.WithAxis(norm.WholeTensor))),
		sn,
	}
	require.Equal(t, [][]string{
		{"fc", "norm_test.ownLayer", "float32", "w (2, 3)", "6", "-", "-", "-", "-"},
		{"fc", "norm_test.bareLayer", "-", "-", "0", "-", "-", "-", "-"},
		{"bn", "batchnorm", "float32", "gamma (3), beta (3)", "6", "-1.23 to 7", "0.5 to 1e+06", "0", "not applied"},
		{"layernorm", "layernorm", "float64", "-", "0", "-", "-", "-", "-"},
		{"rmsnorm", "rmsnorm", "float64", "gamma (2, 5)", "10", "-", "-", "-", "-"},
		{"groupnorm", "groupnorm", "float64", "gamma (6), beta (6)", "12", "-", "-", "-", "-"},
		{"instancenorm", "instancenorm", "float64", "-", "0", "-", "-", "-", "-"},
		{"instancenorm2", "instancenorm", "float64", "-", "0", "0 to 0", "1 to 1", "0", "not applied"},
		{"batchnorm", "batchnorm", "float64", "beta (2)", "2", "-", "-", "-", "-"},
		{"weightnorm", "weightnorm", "float64", "v (4, 2, 3, 3), g (4)", "76", "-", "-", "-", "-"},
		{"weightnormlinear", "weightnormlinear", "float64", "v (5, 4), g (1)", "21", "-", "-", "-", "-"},
		{"spectralnorm", "spectralnorm", "float64", "w (4, 2, 3, 3)", "72", "-", "-", "-", "not applied"},
	}, summarized(layers...))
}

// The mode is that of the layer's graph.
func TestSummaryOfModes(t *testing.T) {
	g := G.NewGraph()
	bn := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3))
	sn := norm.Must(norm.NewSpectralNorm(g, tensor.Float64, tensor.Shape{3, 2}))
	frozen := norm.Must(norm.NewBatchNorm(g, tensor.Float64, 3))
	x := input(g, wave(tensor.Float64, 0, 4, 3))
	norm.Must(frozen.FwdFrozen(x))
	modes := func() (all []string) {
		for _, r := range summarized(bn, sn, frozen) {
			all = append(all, r[len(r)-1])
		}
		return all
	}
	require.Equal(t, []string{"not applied", "not applied", "evaluation"}, modes())
	norm.Must(bn.Fwd(x))
	norm.Must(sn.Weight())
	require.Equal(t, []string{"training", "training", "evaluation"}, modes())
	norm.Must(bn.FwdFrozen(x)) // it updates no statistics, but the op of Fwd does
	require.Equal(t, "training", modes()[0])
	G.NewTapeMachine(g, G.EvalMode()).Close()
	require.Equal(t, []string{"evaluation", "evaluation", "evaluation"}, modes())

	g2 := G.NewGraph()
	bn2 := norm.Must(bn.In(g2))
	norm.Must(bn2.Fwd(input(g2, wave(tensor.Float64, 0, 4, 3))))
	require.Equal(t, "training", summarized(bn2)[0][8])
	require.Equal(t, "evaluation", modes()[0])
}

// There is a line for a layer in any state.
func TestSummaryOfWhatIsIncomplete(t *testing.T) {
	var none *norm.BatchNorm
	require.Equal(t, [][]string{
		{"-", "nil", "-", "-", "0", "-", "-", "-", "-"},
		{"-", "nil *norm.BatchNorm", "-", "-", "0", "-", "-", "-", "-"},
		{"-", "*norm.BatchNorm", "-", "-", "0", "-", "-", "-", "-"},
		{"-", "*norm.SpectralNorm", "-", "-", "0", "-", "-", "-", "-"},
		{"-", "*norm.LayerNorm", "-", "-", "0", "-", "-", "-", "-"},
	}, summarized(nil, none, &norm.BatchNorm{}, &norm.SpectralNorm{}, &norm.LayerNorm{}))

	g := G.NewGraph()
	ln := norm.Must(norm.NewLayerNorm(g, tensor.Float64, tensor.Shape{3}, norm.WithoutScale()))
	g.UnbindAll()
	require.Equal(t, "beta (3) without value", summarized(ln)[0][3])
	require.Equal(t, "nil", summarized(ownLayer{})[0][3])

	x := input(G.NewGraph(), wave(tensor.Float64, 0, 4, 3))
	bn := norm.Must(norm.NewBatchNorm(x.Graph(), tensor.Float64, 3))
	norm.Must(bn.Fwd(x))
	x.Value().(*tensor.Dense).Data().([]float64)[1] = math.NaN()
	vm := G.NewTapeMachine(x.Graph())
	require.NoError(t, vm.RunAll())
	vm.Close()
	require.Equal(t, []string{"NaN", "NaN", "1"}, summarized(bn)[0][5:8])

	require.Equal(t, 2, strings.Count(norm.Summary(), "\n"), "a heading and a total")
}

// Parameters that two layers share count once.
func TestSummaryCountsOnce(t *testing.T) {
	ln := norm.Must(norm.NewLayerNorm(G.NewGraph(), tensor.Float64, tensor.Shape{3}))
	require.Regexp(t, `total +6\n$`, norm.Summary(ln, ln))
}
