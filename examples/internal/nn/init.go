package nn

import (
	"math"
	"math/rand/v2"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Gorgonia's own initializers draw from a generator seeded with the time, so that
// no two runs would be alike.

// HeUniform draws uniformly from ±√(6/fanIn), which keeps the variance from layer to
// layer when rectifiers lie between them.
//
// He, Zhang, Ren, Sun, "Delving Deep into Rectifiers", 2015, arXiv:1502.01852.
func HeUniform(rng *rand.Rand, fanIn int) G.InitWFn {
	limit := math.Sqrt(6 / float64(fanIn))
	return draw(func() float64 { return (2*rng.Float64() - 1) * limit })
}

// Normal draws from the normal distribution with the mean 0.
func Normal(rng *rand.Rand, deviation float64) G.InitWFn {
	return draw(func() float64 { return deviation * rng.NormFloat64() })
}

func draw(next func() float64) G.InitWFn {
	return func(_ tensor.Dtype, s ...int) any {
		w := make([]float32, tensor.Shape(s).TotalSize())
		for i := range w {
			w[i] = float32(next())
		}
		return w
	}
}
