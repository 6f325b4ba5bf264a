// Package kernel holds the arithmetic of the normalization ops on plain
// slices. It knows neither Gorgonia nor tensors.
//
// Contract. Slices are contiguous and row-major, and have the lengths that the sizes
// imply; callers check that. Outputs do not overlap inputs unless a function says
// that they may. Optional parameters (gamma, beta, their gradients) are nil
// if absent. Results do not depend on earlier calls: only FixedBatchNorm, scratch memory,
// workers and the shared ones and zeros outlive a call.
//
// Numbers. The definitions in Go compute sums and all intermediate values in
// float64, whatever the type of the data, and round each result once, when it is
// stored. The assembly for float64 data does the same, except that it adds in another
// order and fuses multiplications with additions. With float32 data the assembly is
// exact to a few roundings of 2⁻²⁴ each. These are relative to the terms that a result
// is the sum of, and so not to the result where terms cancel. Sums are float64, or, over
// rows and in weight norm, short chains of float32; each element then takes two to six
// float32 operations. If a gradient mostly cancels, or the range of float32 is too small
// for the intermediate values, float64 arithmetic takes over (extremes.go). A result or
// an x̂ below the normal range, 2⁻¹²⁶, may be off by a few times 2⁻¹⁴⁹ more; a result
// overflows only if its exact value is within these errors of MaxFloat32 or beyond. The
// tests have the bounds (slack, lost32, overflows, compareY, compareDx). Means are
// carried as an unevaluated sum of two float64, hi + lo, so that x − mean keeps its
// digits when the mean is many times the spread.
//
// Order. Work is cut into blocks by the shape alone, and partial results are
// merged in the order of the blocks, so the bits do not depend on the number
// of processors.
//
// Layout of the package. A view says how the data are cut into blocks (view.go).
// sums.go and maps.go define the loops over one block, passes.go runs them over a whole
// view, and parallel.go shares the blocks between goroutines; between the loops are the
// steps for each channel (moments.go, constants.go). layernorm.go, batchnorm.go,
// weightnorm.go and the like put them together. matrix.go has the products of spectral
// norm, localresponse.go local response norm. On amd64 the loops, whole rows of layer norm,
// the steps for each channel, the products, and the steps of local response norm have
// assembly, for AVX2 and AVX-512, which _asm generates (*_amd64.s);
// loops_amd64.go and *_vector_amd64.go choose it. The build tags purego and noasm leave
// the assembly out, and the environment variable NORM_ISA (generic, avx2 or avx512)
// lowers the instruction set.
package kernel

//go:generate env GOWORK=off go run -C _asm . -dir ..

// Float is the type of the data.
type Float interface{ float32 | float64 }
