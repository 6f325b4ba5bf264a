package norm_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/gorgonorm/norm/internal/graphtest"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

type maskedLayer interface {
	Fwd(x *G.Node) (*G.Node, error)
	FwdMasked(x, mask *G.Node) (*G.Node, error)
}

// maskedLayers are the layers that take a mask, of 4 channels.
var maskedLayers = map[string]func(g *G.ExprGraph, dt tensor.Dtype) maskedLayer{
	"batchnorm":    func(g *G.ExprGraph, dt tensor.Dtype) maskedLayer { return norm.Must(norm.NewBatchNorm(g, dt, 4)) },
	"instancenorm": func(g *G.ExprGraph, dt tensor.Dtype) maskedLayer { return norm.Must(norm.NewInstanceNorm(g, dt, 4)) },
	"groupnorm":    func(g *G.ExprGraph, dt tensor.Dtype) maskedLayer { return norm.Must(norm.NewGroupNorm(g, dt, 2, 4)) },
}

// A batch that has been padded gives the results that it gave before, and zeros.
func TestFwdMasked(t *testing.T) {
	const n, c, l, longer = 2, 4, 5, 8
	for name, make := range maskedLayers {
		for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			t.Run(fmt.Sprintf("%s/%v", name, dt), func(t *testing.T) {
				x := wave(dt, 0.3, n, c, l)
				g := G.NewGraph()
				want := run(t, norm.Must(make(g, dt).Fwd(input(g, x))))

				short, values := graphtest.Floats(x), []float64(nil)
				for i := range n * c * longer {
					if k := i % longer; k < l {
						values = append(values, short[i/longer*l+k])
					} else {
						values = append(values, math.Inf(1))
					}
				}
				for kind, mask := range map[string]*tensor.Dense{
					"lengths": graphtest.Dense(dt, []float64{l, l}, n),
					"mask":    graphtest.Dense(dt, []float64{1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0}, n, longer),
				} {
					g := G.NewGraph()
					node := graphtest.Leaf(g, "mask", mask)
					got := run(t, norm.Must(make(g, dt).FwdMasked(input(g, graphtest.Dense(dt, values, n, c, longer)), node)))
					for i, v := range got {
						if k := i % longer; k < l {
							require.InDelta(t, want[i/longer*l+k], v, 1e-6, kind)
						} else {
							require.Zero(t, v, kind)
						}
					}
				}
			})
		}
	}
}

func TestFwdMaskedRefuses(t *testing.T) {
	for name, make := range maskedLayers {
		t.Run(name, func(t *testing.T) {
			g := G.NewGraph()
			layer := make(g, tensor.Float32)
			x := input(g, wave(tensor.Float32, 0, 2, 4, 5))
			node := func(g *G.ExprGraph, dt tensor.Dtype, shape ...int) *G.Node {
				return G.NewTensor(g, dt, len(shape), G.WithName("mask"), G.WithShape(shape...))
			}
			for _, c := range []struct {
				x, mask *G.Node
				kind    error
				text    string
			}{
				{x, nil, norm.ErrGraph, "mask is nil, want a node"},
				{nil, node(g, tensor.Float32, 2), norm.ErrGraph, "x is nil, want a node"},
				{x, node(G.NewGraph(), tensor.Float32, 2), norm.ErrGraph, "mask belongs to another graph than x, want the same"},
				{x, node(g, tensor.Float64, 2), norm.ErrDtype, "mask is float64, want float32 as x"},
				{x, node(g, tensor.Float32, 2, 4), norm.ErrShape, "mask is (2, 4), want (2, 5) or (2)"},
			} {
				before := len(g.AllNodes())
				_, err := layer.FwdMasked(c.x, c.mask)
				require.ErrorIs(t, err, c.kind)
				require.EqualError(t, err, "norm: "+name+": "+c.text)
				require.Len(t, g.AllNodes(), before)
			}
		})
	}
}
