package norm_test

import (
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/ops"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Errors of a run name the layer, as those of graph building do, whichever of the layer's
// ops returns them, even if its input is a view.
func TestErrorsOfRunsNameTheLayer(t *testing.T) {
	f64, four := tensor.Float64, tensor.Shape{4}
	named := norm.WithName("block3.norm")
	for name, c := range map[string]struct {
		apply func(g *G.ExprGraph, x, bad *G.Node) (*G.Node, error)
		want  string
	}{
		"statistics": {func(g *G.ExprGraph, x, bad *G.Node) (*G.Node, error) {
			return norm.Must(norm.NewBatchNorm(g, f64, 4, named)).Fwd(x)
		}, `norm: batchnorm "block3.norm": x is (1, 4), want more than one value`},
		"statistics of a view": {func(g *G.ExprGraph, x, bad *G.Node) (*G.Node, error) {
			return norm.Must(norm.NewBatchNorm(g, f64, 4, named)).Fwd(G.Must(G.Reshape(x, tensor.Shape{1, 4})))
		}, `norm: batchnorm "block3.norm": x is (1, 4), want more than one value`},
		"mask": {func(g *G.ExprGraph, x, bad *G.Node) (*G.Node, error) {
			return norm.Must(norm.NewGroupNorm(g, f64, 2, 4, named)).FwdMasked(G.Must(G.Reshape(x, tensor.Shape{1, 4, 1})), G.NewVector(g, f64, G.WithName("mask"), G.WithValue(wave(f64, 7, 1))))
		}, `norm: groupnorm "block3.norm": the length of sample 0 is 8`},
		"value": {func(g *G.ExprGraph, x, bad *G.Node) (*G.Node, error) {
			return norm.Must(norm.NewLayerNorm(g, f64, four, named)).Fwd(bad)
		}, `norm: layernorm "block3.norm": x is masked`},
		"value of a residual sum": {func(g *G.ExprGraph, x, bad *G.Node) (*G.Node, error) {
			y, _, err := norm.Must(norm.NewRMSNorm(g, f64, four, named)).FwdResidual(x, bad)
			return y, err
		}, `norm: rmsnorm "block3.norm": r is masked`},
		"value of a residual sum with a view": {func(g *G.ExprGraph, x, bad *G.Node) (*G.Node, error) {
			y, _, err := norm.Must(norm.NewLayerNorm(g, f64, four, named)).FwdResidual(G.Must(G.Reshape(x, tensor.Shape{1, 4})), bad)
			return y, err
		}, `norm: layernorm "block3.norm": r is masked`},
		"value of a layer before": {func(g *G.ExprGraph, x, bad *G.Node) (*G.Node, error) {
			y, err := norm.Must(norm.NewLayerNorm(g, f64, four, named)).Fwd(bad)
			if err != nil {
				return nil, err
			}
			return norm.Must(norm.NewLayerNorm(g, f64, four, norm.WithName("block4.norm"))).Fwd(y)
		}, `norm: layernorm "block3.norm": x is masked`},
		"value of an op before": {func(g *G.ExprGraph, x, bad *G.Node) (*G.Node, error) {
			y, err := ops.LayerNorm(bad, nil, nil, four, ops.LayerNormConfig{Eps: 1e-5})
			if err != nil {
				return nil, err
			}
			return norm.Must(norm.NewBatchNorm(g, f64, 4, named)).Fwd(y)
		}, "norm: LayerNorm("},
		"value of an op of a view before": {func(g *G.ExprGraph, x, bad *G.Node) (*G.Node, error) {
			y, err := ops.LayerNorm(G.Must(G.Reshape(bad, tensor.Shape{1, 4})), nil, nil, four, ops.LayerNormConfig{Eps: 1e-5})
			if err != nil {
				return nil, err
			}
			return norm.Must(norm.NewBatchNorm(g, f64, 4, named)).Fwd(y)
		}, "norm: LayerNorm("},
	} {
		g := G.NewGraph()
		x, bad := input(g, wave(f64, 0, 1, 4)), G.NewMatrix(g, f64, G.WithShape(1, 4), G.WithName("bad"))
		_, err := c.apply(g, x, bad)
		require.NoError(t, err, name)
		require.NoError(t, G.Let(bad, tensor.New(tensor.WithShape(1, 4), tensor.WithBacking(make([]float64, 4), make([]bool, 4)))))
		m := G.NewTapeMachine(g)
		err = m.RunAll()
		require.ErrorContains(t, err, c.want, name)
		require.NoError(t, m.Close())
	}
}

// A slice of one row has the shape of a vector, which Let accepts for a batch of one.
func TestAVectorIsNoBatch(t *testing.T) {
	for name, apply := range map[string]func(g *G.ExprGraph, x *G.Node) (*G.Node, error){
		"layernorm": func(g *G.ExprGraph, x *G.Node) (*G.Node, error) {
			return norm.Must(norm.NewLayerNorm(g, f64, tensor.Shape{4})).Fwd(x)
		},
		"rmsnorm": func(g *G.ExprGraph, x *G.Node) (*G.Node, error) {
			return norm.Must(norm.NewRMSNorm(g, f64, tensor.Shape{4})).Fwd(x)
		},
		"groupnorm": func(g *G.ExprGraph, x *G.Node) (*G.Node, error) {
			return norm.Must(norm.NewGroupNorm(g, f64, 2, 4)).Fwd(x)
		},
	} {
		g := G.NewGraph()
		x := G.NewMatrix(g, f64, G.WithShape(1, 4), G.WithName("x"))
		norm.Must(apply(g, x))
		require.NoError(t, G.Let(x, norm.Must(wave(f64, 0, 2, 4).Slice(G.S(1)))))
		m := G.NewTapeMachine(g, G.EvalMode())
		require.ErrorContains(t, m.RunAll(), "norm: "+name+": x is (4), want rank 2, as (1, 4)")
		require.NoError(t, m.Close())
	}
}
