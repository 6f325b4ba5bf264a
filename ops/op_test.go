package ops

import (
	"testing"

	"github.com/gorgonorm/norm/internal/fault"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Drawings leave out attributes that are off.
func TestStringIsWhatIsOn(t *testing.T) {
	b := newBase[float64]("norm.BatchNorm(axis=1, within=<nil>, shape=(3, 4), gamma=true, beta=false, reuse=true)", 0)
	require.Equal(t, "norm.BatchNorm(axis=1, shape=(3, 4), gamma, reuse)", b.String())
}

// The three ops of a residual norm have names that differ from each other and from that
// of the norm.
func TestNamesOfResidualOps(t *testing.T) {
	x := tensor.Shape{2, 3}
	of := newLayerNorm[float64](2, tensor.Shape{3}, affine{}, LayerNormConfig{Eps: 1e-5})
	require.Equal(t, "norm.LayerNorm(shape=(3), eps=1e-05)", of.String())
	require.Equal(t, "norm.AddLayerNorm(shape=(3), eps=1e-05)", newAddNorm(of.norm, x).String())
	require.Equal(t, "norm.AddLayerNormSum(shape=(3), eps=1e-05)", newSum("addlayernorm", of.norm, x).String())
	require.Equal(t, "norm.LayerNormOfSum(shape=(3), eps=1e-05)", newNormOfSum(of, x).String())
}

// An op that two layers share has the name of the first.
func TestOpHasTheNameOfItsFirstLayer(t *testing.T) {
	o := newPart[float64]("test", 0, tensor.Shape{3}, false)
	require.True(t, o.SetLayer("first"))
	require.False(t, o.SetLayer("second"))
	require.True(t, o.SetLayer("first"))
	_, err := o.Do()
	require.ErrorIs(t, err, fault.ErrValue)
	require.ErrorContains(t, err, "first")
}

// An op that holds other tensors is a part if the op itself is.
func TestHeldOpIsPartAsTheOpIs(t *testing.T) {
	norm := newLayerNorm[float64](2, tensor.Shape{3}, affine{}, LayerNormConfig{Eps: 1e-5})
	require.False(t, (&heldOp{derivableOp: norm, inputs: 1}).IsPart())
	require.True(t, (&heldOp{derivableOp: newAddNorm(norm.norm, tensor.Shape{2, 3}), inputs: 2}).IsPart())
}

// Memory that has held a larger result is cut to the size of the new one.
func TestReuseForASmallerResult(t *testing.T) {
	m := memory[float64]{reuse: true}
	_, large := m.tensor(4, 3)
	d, small := m.tensor(2, 3)
	require.Equal(t, tensor.Shape{2, 3}, d.Shape())
	require.Equal(t, 6, cap(small))
	require.Len(t, d.Data(), 6)
	require.Same(t, &large[0], &small[0])
}

// A gradient is not added to one of another size or dtype, or if there is none.
func TestAddToRefusesOtherGradients(t *testing.T) {
	vector := func(opts ...G.NodeConsOpt) *G.Node {
		return G.NewVector(G.NewGraph(), tensor.Float64, append([]G.NodeConsOpt{G.WithName("x"), G.WithShape(3)}, opts...)...)
	}
	zeros := func() *tensor.Dense { return tensor.New(tensor.WithBacking(make([]float64, 3))) }
	n := vector(G.WithValue(zeros()), G.WithGrad(zeros()))
	require.ErrorIs(t, addTo("test", n, []float64{1, 2}), fault.ErrValue)
	require.ErrorIs(t, addTo("test", n, []float64{1, 2, 3, 4}), fault.ErrValue)
	require.ErrorIs(t, addTo("test", n, []float32{1, 2, 3}), fault.ErrValue)
	require.NoError(t, addTo("test", n, []float64{1, 2, 3}))
	grad, err := n.Grad()
	require.NoError(t, err)
	require.Equal(t, []float64{1, 2, 3}, grad.Data())
	require.ErrorContains(t, addTo("test", vector(), []float64{1, 2, 3}), "norm: test: ")
	one := G.NewScalar(G.NewGraph(), tensor.Float64, G.WithName("one"), G.WithValue(1.0), G.WithGrad(G.NewF64(0)))
	require.ErrorIs(t, addTo("test", one, []float64{1}), fault.ErrValue)
}
