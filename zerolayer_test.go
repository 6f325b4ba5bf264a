package norm_test

import (
	"reflect"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The methods of a layer that no constructor made return an error that says so.
func TestZeroLayers(t *testing.T) {
	g := G.NewGraph()
	x := input(g, wave(f64, 0, 2, 4))
	args := map[reflect.Type]any{
		reflect.TypeFor[*G.Node]():       x,
		reflect.TypeFor[*G.ExprGraph]():  G.NewGraph(),
		reflect.TypeFor[*tensor.Dense](): wave(f64, 0, 2, 4),
		reflect.TypeFor[[]float64]():     []float64{1, 2},
		reflect.TypeFor[string]():        "gamma",
	}
	for _, layer := range []any{
		&norm.LayerNorm{}, &norm.RMSNorm{}, &norm.BatchNorm{}, &norm.GroupNorm{}, &norm.InstanceNorm{},
		&norm.WeightNorm{}, &norm.WeightNormLinear{}, &norm.SpectralNorm{},
	} {
		v := reflect.ValueOf(layer)
		for i := range v.NumMethod() {
			method := v.Type().Method(i)
			t.Run(v.Elem().Type().Name()+"."+method.Name, func(t *testing.T) {
				in := []reflect.Value{v}
				for j := 1; j < method.Type.NumIn(); j++ {
					of := method.Type.In(j)
					if a, ok := args[of]; ok {
						in = append(in, reflect.ValueOf(a))
					} else {
						in = append(in, reflect.Zero(of))
					}
				}
				for _, out := range method.Func.Call(in) {
					if err, ok := out.Interface().(error); ok {
						require.ErrorIs(t, err, norm.ErrGraph)
						require.EqualError(t, err, "norm: layer: it is a zero value, want a layer that its constructor made")
					}
				}
			})
		}
	}
}
