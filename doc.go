// Package norm has the normalization layers for neural networks that are built
// and trained with Gorgonia (gorgonia.org/gorgonia). Each forward pass is one
// fused op, with a fused gradient.
//
// Of activations, BatchNorm normalizes each channel over the batch, and keeps
// running statistics for evaluation; LayerNorm and RMSNorm normalize each sample
// over its features, GroupNorm over groups of its channels, InstanceNorm each of
// its channels by itself. Of weights, WeightNorm and WeightNormLinear learn
// length and direction apart, and SpectralNorm divides by the largest singular
// value. docs/choosing.md in the repository says where each fails.
//
// A layer is made in a graph, for one dtype, float32 or float64. It owns its
// parameters, which are input nodes of the graph, and its statistics. Fwd has the
// shape of Gorgonia's own functions, from a node to a node and an error:
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
// Package ops has the same as plain functions, for those who keep their own
// parameters, package diff takes gradients of gradients, and package gradcheck
// checks gradients against differences.
//
// # Training and evaluation
//
// A Gorgonia graph has its batch size built in, so a program has one graph to
// train and another to evaluate. In makes the same layer in a second graph,
// with the same storage: nothing is copied after a step.
//
//	bn2, err := bn.In(g2)
//	vm := gorgonia.NewTapeMachine(g2, gorgonia.EvalMode())
//
// The machine sets the mode of the layers in its graph.
//
// A server does without both: Eval evaluates tensors, in a fraction of the time that
// a run of a machine takes. See Evaluator.
//
//	y, err := bn.Eval(dst, x)
//
// # Running statistics
//
// BatchNorm, and InstanceNorm with WithRunningStats, keep a running mean and
// variance of each channel, in float64. Only a run in training moves them: neither
// building a machine nor evaluation does, and a batch with one value per channel,
// which has no variance, is an error that leaves them alone. Stats, SetStats and
// ResetStats may be called at any time, from any goroutine. FwdFrozen normalizes by
// them in training too, FwdMasked of batch, group and instance norm leaves padding
// out. Reestimate takes them anew over a data set, and Fold puts them into the
// weight of the layer before.
//
// # Saving and loading
//
// Save and Load take layers, and nodes of the user's own as Params, and write and
// read safetensors files with PyTorch's names and shapes.
//
// # Gradient accumulation
//
// Each run of a machine with gorgonia.BindDualValues adds its gradients to those
// that the parameters hold, until a solver steps, which clears them. So a batch
// that is too large for one run is cut into micro-batches: RunAll and Reset for
// each, then one step. Layer norm and weight norm give the gradients of the whole
// batch (of a cost that is a sum; a solver's WithBatchSize divides). Batch norm
// does not: it normalizes each micro-batch by its own statistics, as PyTorch does,
// and the running statistics move with each one, so that k micro-batches with
// momentum m forget like one with 1−(1−m)^k. Either set a momentum of
// 1−(1−m)^(1/k), or put exact statistics in place after training by Reestimate.
// Where micro-batches are too small for batch norm, a norm without a batch is the
// better choice. Statistics of parts that several workers see combine by
// ops.Moments.
//
// # Machines
//
// Layers run in a TapeMachine, with gradients from gorgonia.Grad, and in a
// LispMachine, which makes its own. Two machines on one graph share a mode: that
// of the one which was built last, or SetTraining. A LispMachine computes once, as
// with Gorgonia's own ops: build another for the next step, on
// g.ExactSubgraphRoots(cost) where the graph has other results, such as the sum of
// FwdResidual. Results are new tensors in each run unless WithReuse says otherwise.
// A node's Value may be written over by nodes behind it, which is Gorgonia's way:
// gorgonia.Read keeps a result.
//
// Errors of the graph come out of constructors and Fwd, those of values out of
// RunAll. The former name the layer, the latter the op, and both what was given and
// what is wanted; nothing panics but Must, and methods of a nil layer. Errors out of
// RunAll and gorgonia.Grad are told apart by Is, since Gorgonia wraps them in types
// that errors.Is does not see through.
//
// # Precision
//
// Sums end in float64 for both dtypes, and a mean is kept with its rest, so that
// results get no worse with the length of a row nor where the mean is a million
// times the spread. What follows is arithmetic in the dtype. Before it is rounded
// itself, a float32 result above 2⁻¹²⁶ errs by at most 4·2⁻²⁴ of the sum of the
// magnitudes of its terms, or in layer and RMS norm of γ times the largest x̂ in its
// row, or the largest result; there dx errs by at most 10·2⁻²⁴ of the largest dx in
// the row, and dγ and dβ by 6·2⁻²⁴ of the root of the sum of squares, those of Σ|term|
// over each 16 rows. The bits do not depend on the number of processors; between
// instruction sets they differ by roundings.
//
// # Gradients of gradients
//
// Every op has a second derivative in closed form, as a gradient penalty needs it.
// Take such gradients by diff.Grad: gorgonia.Grad may be called once in a graph, for
// any op. A third derivative is ErrOrder.
//
// # Conventions
//
// They are PyTorch's: eps is 1e-5 and inside the root, momentum is the update
// rate 0.1, batch norm normalizes by the biased variance and keeps the unbiased
// one, weights are (out, in). Parameters start at γ = 1, β = 0 and g = ‖v‖.
//
// # Limits
//
// There is no float16 and no GPU. A tensor with a mask of its own, as package tensor
// has them, is an error: FwdMasked takes the mask as a node. The batch statistics of
// several processes are not merged by themselves; ops.Moments merges them.
// SpectralNorm has no option for its eps, 1e-12, and group and instance norm want the
// channels in axis 1.
package norm
