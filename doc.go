// Package norm has normalization layers for neural networks built and trained with
// Gorgonia (gorgonia.org/gorgonia).
//
// Most layers normalize activations: BatchNorm each channel over the batch, with
// running statistics for evaluation; LayerNorm and RMSNorm each sample over its
// features; GroupNorm each sample over groups of its channels; InstanceNorm each
// channel of each sample. The others normalize weights: WeightNorm and
// WeightNormLinear learn length and direction separately, and SpectralNorm divides
// by the largest singular value. docs/choosing.md in the repository says where each
// fails.
//
// A forward pass is one fused op; where batch statistics or singular vectors are
// taken, a second op does that first. The gradient is one op more.
//
// A layer is made in a graph, for one dtype, float32 or float64. It owns its
// parameters, which are input nodes of the graph, and its statistics. Like
// Gorgonia's own functions, Fwd takes a node and returns a node and an error:
//
//	g := gorgonia.NewGraph()
//	x := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithName("x"), gorgonia.WithShape(64, 200))
//	bn, err := norm.NewBatchNorm(g, tensor.Float32, 200)
//	y, err := bn.Fwd(x)
//	cost, err := gorgonia.Mean(gorgonia.Must(gorgonia.Square(y)))
//	grads, err := gorgonia.Grad(cost, bn.Learnables()...)
//	vm := gorgonia.NewTapeMachine(g, gorgonia.BindDualValues(bn.Learnables()...))
//	err = gorgonia.Let(x, batch)
//	err = vm.RunAll()
//	err = solver.Step(gorgonia.NodesToValueGrads(bn.Learnables()))
//
// Package ops has the same norms as plain functions, for programs that keep their own
// parameters. Package diff takes gradients of gradients. Package gradcheck checks
// gradients against central differences.
//
// # Training and evaluation
//
// A Gorgonia graph has a fixed batch size, so a program has one graph to train and
// another to evaluate. In makes the same layer in a second graph, with the same
// storage: there is nothing to copy after a step. Call In while no machine runs.
//
//	bn2, err := bn.In(g2)
//	vm := gorgonia.NewTapeMachine(g2, gorgonia.EvalMode())
//
// Building a machine sets the mode of every layer in its graph: evaluation with
// gorgonia.EvalMode(), else training.
//
// A server can do without graphs and machines: Eval evaluates tensors directly, in a
// fraction of the time that a run of a machine takes. See Evaluator.
//
//	y, err := bn.Eval(dst, x)
//
// # Running statistics
//
// BatchNorm, and InstanceNorm with WithRunningStats, keep a running mean and
// variance of each channel, in float64. Only a training run updates them: neither
// building a machine nor evaluation does. A batch with one value per channel has no
// variance: it is an error, and the statistics stay unchanged. Stats, SetStats and
// ResetStats may be called at any time, from any goroutine.
//
// FwdFrozen normalizes by the running statistics in training too. Reestimate recomputes
// them over a data set, and Fold merges batch norm into the weight of the preceding
// layer. FwdMasked of batch, group and instance norm ignores padding.
//
// # Saving and loading
//
// Save and Load write and read safetensors files with PyTorch's names and shapes. They
// take layers, and nodes of your own by way of Param.
//
// # Gradient accumulation
//
// Each run of a machine with gorgonia.BindDualValues adds its gradients to those
// that the parameters hold; a solver's step clears them. So split a batch that is too
// large for one run into micro-batches: RunAll and Reset for each, then one step. Layer,
// RMS, group, instance and weight norm give the gradients of the whole batch, if the
// cost is a sum (a solver's WithBatchSize divides).
//
// Batch norm does not: as in PyTorch it normalizes each micro-batch by its own
// statistics, and updates the running statistics with each one, so that k micro-batches
// with momentum m forget as fast as one batch with 1−(1−m)^k. Either set a momentum of
// 1−(1−m)^(1/k), or compute exact statistics after training by Reestimate. If
// micro-batches are too small for batch norm, choose a norm that does not depend on the
// batch. Spectral norm improves its vectors with each micro-batch, so that its weight is
// not the same in all of them.
//
// Gradients that are not to count, as those of a run whose cost was infinite, have to be
// cleared before the next run: a parameter's Grad returns a tensor with a method Zero.
//
// ops.Moments combines the statistics of several workers.
//
// # Machines
//
// Layers run in a TapeMachine, with gradients from gorgonia.Grad, and in a
// LispMachine, which makes its own. Machines on the same graph, or on a clone of it,
// share a mode: that of the last machine built, or of a later SetTraining.
//
// A LispMachine computes once, as with Gorgonia's own ops: build another for the next
// step. If the graph has results besides the cost, such as the sum of FwdResidual, build
// it on g.ExactSubgraphRoots(cost).
//
// Results are new tensors in each run, unless the layer has WithReuse. As always in
// Gorgonia, nodes downstream may overwrite a node's Value. To keep a result, use
// gorgonia.Read; it stays until the next run writes into the same value.
//
// # Errors
//
// Constructors and Fwd return errors about the graph, RunAll those about values. They
// name the layer, and say what was given and what is wanted. Nothing panics but Must
// and methods of nil layers; a layer that its constructor did not make is an error.
// Use Is for errors from RunAll and gorgonia.Grad, since Gorgonia wraps them in types
// that errors.Is does not see through.
//
// # Precision
//
// Sums are accumulated in float64 for both dtypes (some of them from short sums in
// float32), and a mean is stored as two numbers, its value and its rounding error. So
// float32 results get no worse with the length of a row, nor if the mean is a million
// times the spread. Everything else is arithmetic in the dtype.
//
// The tests check bounds for float32. They hold for a result above 2⁻¹²⁶ whose x̂, the
// normalized x, is above it too. Before its own rounding such a result has an error of at
// most
//
//   - 4·2⁻²⁴·Σ|terms| in general, for a result that is the sum of these terms;
//   - 4·2⁻²⁴·max(|γ|·max|x̂|, max|y|) for y of layer and RMS norm, with the inner maxima
//     over its row;
//   - 10·2⁻²⁴·max|dx| for dx of layer and RMS norm, with the maximum over its row, or
//     2⁻⁵⁰ of the largest term of dx if that is more;
//   - 6·2⁻²⁴·√Σ(Σ|term|)² for their dγ and dβ, where the inner sums are over 16 rows
//     each, of the terms |dy|·max|x̂|, with the maximum over the row, and |dy|;
//   - 4·2⁻²⁴·max|dv| + 2⁻⁴⁹·Σ|terms| for dv of weight norm, with the maximum over what
//     has one norm, and 2⁻⁵⁰·Σ|terms| for its dg.
//
// The bits do not depend on the number of processors; between instruction sets they
// differ by roundings. AVX-512 and AVX2 are used where the processor has them. To find
// out whether a fault depends on them, set NORM_ISA=avx2 in the environment, which goes
// without AVX-512, or NORM_ISA=generic, which goes without both. A build with the tag
// purego or noasm has no assembly at all.
//
// # Gradients of gradients
//
// Every op has a second derivative in closed form, as needed for a gradient penalty.
// Take such gradients by diff.Grad, since gorgonia.Grad may be called only once in a
// graph, whatever its ops. A third derivative is ErrOrder.
//
// # Conventions
//
// They are PyTorch's: eps is 1e-5 and inside the root; momentum is the weight of the
// new batch, 0.1; batch norm normalizes by the biased variance, and its running variance
// is the unbiased one; weights are (out, in). Parameters start at γ = 1, β = 0, g = ‖v‖.
//
// # Limits
//
// There is no float16 and no GPU. A masked tensor of package tensor is an error:
// FwdMasked takes the mask as a node. Batch statistics of several processes are not
// merged automatically; ops.Moments can be sent and merged. SpectralNorm has no option
// for its eps, which is 1e-12, and group and instance norm want the channels in axis 1.
package norm
