// Package ops has the normalization ops as plain functions from nodes to a
// node. They own no parameters and no names: package norm has layers that do. In
// this documentation G is package gorgonia.org/gorgonia.
//
//	gamma := G.NewVector(g, tensor.Float32, G.WithShape(768), G.WithName("gamma"), G.WithInit(G.Ones()))
//	y, err := ops.LayerNorm(x, gamma, nil, tensor.Shape{768}, ops.LayerNormConfig{Eps: 1e-5})
//
// A scale γ or a shift β that is nil is left out. The zero value of a settings
// struct has an Eps of 0, which is ErrOption but for weight norm, which has none:
// PyTorch's 1e-5 has to be said, and so has batch norm's momentum of 0.1.
// DefaultNormalize, DefaultLocalResponseNorm and DefaultSpectralNorm return
// PyTorch's settings.
//
// # Families
//
//   - By statistics of x: LayerNorm, LayerNormAxes, RMSNorm, RMSNormAxes,
//     GroupNorm, and AddLayerNorm and AddRMSNorm of a residual sum.
//   - With running statistics, which training moves and evaluation normalizes by:
//     BatchNorm and InstanceNorm with a RunningStats; Reestimate and Moments take
//     such statistics over a data set or several workers.
//   - Of weights: WeightNorm, WeightNormLinear, and SpectralNorm with its
//     SingularVectors. WeightLengths and MaterializeWeight compute on tensors.
//   - Without parameters: Normalize and LocalResponseNorm.
//
// Batch, group and instance norm leave out padding that the Mask of their settings
// names.
//
// # What every op promises
//
//   - Inputs are never changed and may have any layout: views, transposed and
//     column-major tensors give the same numbers. The output is a new tensor in
//     row-major order.
//   - float32 and float64, the same for all inputs of an op. Sums end in float64
//     for both; what follows is arithmetic in the dtype, within about four
//     roundings of the largest value of a row or channel. The product in
//     WeightNormLinear is the BLAS's.
//   - What is wrong with the nodes is said when the graph is built, by an error
//     that names the op, what was given and what is wanted; errors.Is tells the
//     kinds apart. At run time errors come out of RunAll. Nothing panics.
//   - Gradients come from G.Grad (symbolic) and from a LispMachine alike. One
//     fused op computes all of them in one go and returns them packed into a
//     vector; small ops hand out its parts.
//   - Everything travels through the graph: an op keeps nothing of its forward
//     run, so cloned graphs may run at the same time, a layer may be applied
//     twice, and any subset of the gradients may be compiled. The one exception
//     is what training updates: running statistics, and the singular vectors of
//     spectral norm.
//   - Results are new tensors. With Reuse in its settings an op and its gradient
//     keep the memory of their results and write into it again on the next run,
//     which saves more time than many kernels take. It asks for three things: one
//     machine at a time runs the graph, clones included; a value is dead when
//     the next run begins, so what is wanted longer is copied; and values are not
//     changed in place by the user.
//   - Gradients have gradients, each by one fused op in closed form: diff.Grad
//     takes them any number of times, G.Grad once in a graph. A third derivative is
//     ErrOrder.
//
// # Without a graph
//
// Each op has a function of tensors, EvalLayerNorm for LayerNorm and so on, that
// gives what a machine with G.EvalMode() does, to the bit, in a fraction of the time
// that a run of a machine takes whatever it does. dst takes the result, which is
// returned; for nil it is a new tensor. dst may be x or overlap it, and may have any
// layout; with memory of its own, in row-major order, it spares a copy. It is an
// error if it shares memory with a parameter, and after an error it is as it was.
// Into a dst nothing is allocated, but for what the BLAS of a linear layer does, and
// tensors of more than 8 axes. Any number of goroutines may call them at once, each
// with a dst of its own.
package ops
