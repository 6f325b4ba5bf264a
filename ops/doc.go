// Package ops has the normalization ops as plain functions, which take nodes and
// return a node. They have no parameters and no names; the layers of package norm do.
//
//	gamma := gorgonia.NewVector(g, tensor.Float32, gorgonia.WithShape(768), gorgonia.WithName("gamma"), gorgonia.WithInit(gorgonia.Ones()))
//	y, err := ops.LayerNorm(x, gamma, nil, tensor.Shape{768}, ops.LayerNormConfig{Eps: 1e-5})
//
// Pass nil to leave out a scale γ or a shift β. The settings have no defaults: an Eps
// of 0 is ErrOption, so set PyTorch's 1e-5, and batch norm's momentum of 0.1 too. (Weight
// norm and local response norm have no Eps.) DefaultNormalize, DefaultLocalResponseNorm
// and DefaultSpectralNorm return PyTorch's settings.
//
// # Families
//
//   - By statistics of x: LayerNorm, LayerNormAxes, RMSNorm, RMSNormAxes,
//     GroupNorm, and AddLayerNorm and AddRMSNorm of a residual sum.
//   - With running statistics, which training updates and evaluation normalizes by:
//     BatchNorm and InstanceNorm with a RunningStats. Reestimate and Moments compute
//     statistics for batch norm over a data set or from several workers.
//   - Of weights: WeightNorm, WeightNormLinear, and SpectralNorm with its
//     SingularVectors. WeightLengths gives the lengths g of a given weight.
//   - Without parameters: Normalize and LocalResponseNorm; and Reshape, for what
//     gorgonia.Reshape does wrong.
//
// Batch, group and instance norm ignore padding that the Mask of their settings marks.
//
// # What every op promises
//
//   - Inputs are never changed and may have any layout: views, transposed and
//     column-major tensors give the same numbers. The output is a new tensor in
//     row-major order.
//   - Inputs are float32 or float64, the same for all inputs of an op. Results are within
//     a few roundings; "Precision" in the documentation of package norm has the bounds.
//     The product in WeightNormLinear is computed by the BLAS.
//   - Building the graph returns an error if nodes do not fit. It names the op, what
//     was given and what is wanted, and errors.Is tells its kind. Errors at run time
//     come from RunAll; Is tells their kind. Nothing panics but methods of values not
//     made by their constructor.
//   - Gradients are the same from gorgonia.Grad and from a LispMachine. One fused op
//     computes all of them at once and returns them packed into a vector; small ops
//     extract the parts.
//   - An op keeps nothing of its forward run; everything passes through the graph. So
//     cloned graphs may run at the same time, a layer may be applied twice, and any
//     subset of the gradients may be compiled. The one exception is what training
//     updates: running statistics, and the singular vectors of spectral norm.
//   - Results are new tensors. With Reuse in its settings an op and its gradient
//     keep the memory of their results and write into it again on the next run,
//     which saves more time than many kernels take. It has three conditions: only one
//     machine at a time runs the graph, clones included; a value is valid only until
//     the next run begins, so copy what you want to keep; and you do not change values
//     in place.
//   - Gradients have gradients, each by one fused op in closed form. Take them by
//     diff.Grad, which may be called any number of times; gorgonia.Grad may be called
//     only once in a graph. A third derivative is ErrOrder.
//
// # Without a graph
//
// Each op but Reshape has a tensor counterpart, such as EvalLayerNorm for LayerNorm, whose
// result is bit-identical to that of a machine with gorgonia.EvalMode(), without the
// machine's overhead. A Mask, which is a node, is ErrOption there.
//
// The result is written to dst, which is returned; if dst is nil it is a new tensor. dst
// may have any layout, and may be x or overlap it; a dst in row-major order that does not
// overlap x saves a copy. It is an error if dst shares memory with a parameter. After any
// error dst is unchanged. If dst is given nothing is allocated, except by the BLAS of a
// linear layer and for tensors of more than 8 axes. Any number of goroutines may call
// these functions at once, each with a dst of its own.
package ops
