// Package norm has the normalization layers for neural networks that are built
// and trained with Gorgonia (gorgonia.org/gorgonia): layer norm, batch norm with
// running statistics, and weight norm.
//
//	bn, err := norm.NewBatchNorm(g, tensor.Float32, 200)
//	y, err := bn.Fwd(x)
//	params := append(params, bn.Learnables()...)
//
// A layer owns its parameters, as input nodes in one graph, and its statistics.
// Fwd has the shape of Gorgonia's own functions, from a node to a node and an
// error. Each forward pass is one fused op; gradients come from gorgonia.Grad
// and from a LispMachine. Package ops has the same as plain functions, for
// those who keep their own parameters.
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
// # Conventions
//
// They are PyTorch's: eps is 1e-5 and inside the root, momentum is the update
// rate 0.1, batch norm normalizes by the biased variance and keeps the unbiased
// one, weights are (out, in). Parameters start at γ = 1, β = 0 and g = ‖v‖.
package norm
