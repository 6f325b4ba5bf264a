package ops

import (
	"slices"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A mask says what is padding. A position of x is an index in its shape without the channel
// axis; the first axis has the samples. A mask has either 0 or 1 for each position, or for
// each sample its length in the last axis.

// positionsOf returns the shape of x without the axis of the channels.
func positionsOf(x tensor.Shape, channels int) tensor.Shape {
	return slices.Delete(x.Clone(), channels, channels+1)
}

// withMask returns the arguments of an op, with its mask as the last one if it has one.
func withMask(in []arg, mask *G.Node) []arg {
	if mask == nil {
		return in
	}
	return append(slices.Clip(in), arg{"mask", mask})
}

// checkNoMask refuses a mask when an op is evaluated without a graph, since a node has no
// value there.
func checkNoMask(name string, mask *G.Node) error {
	if mask != nil {
		return fault.New(fault.ErrOption, name, "the mask is a node, want none without a graph")
	}
	return nil
}

// checkMask checks the shape of a mask, which may be nil. channels is the axis of the
// channels of x.
func checkMask(name string, mask *G.Node, x tensor.Shape, channels int) error {
	if mask == nil {
		return nil
	}
	want := []tensor.Shape{positionsOf(x, channels)}
	if len(want[0]) > 1 {
		want = append(want, want[0][:1])
	}
	return checkShape(name, arg{"mask", mask}, want...)
}

// masking is what an op knows about its mask.
type masking struct {
	rank     int // of the mask; 0 for none
	channels int // the axis of x
}

func maskingOf(mask *G.Node, channels int) masking {
	if mask == nil {
		return masking{}
	}
	return masking{mask.Dims(), channels}
}

// inputSpecs returns the mask as an input, or nothing.
func (m masking) inputSpecs() []inputSpec {
	if m.rank == 0 {
		return nil
	}
	return []inputSpec{{name: "mask", rank: m.rank, kind: constant}}
}

// exceptMasked is a part of error texts.
func (m masking) exceptMasked() string {
	if m.rank == 0 {
		return ""
	}
	return " but for what the mask leaves out"
}

// String returns the attribute of an op.
func (m masking) String() string {
	switch m.rank {
	case 0:
		return ""
	case 1:
		return ", lengths"
	default:
		return ", mask"
	}
}

// flagsOf returns what a mask says about each position of x, 0 or 1, or nil if there is
// no mask.
func flagsOf[T dense.Float](op string, m masking, mask []T, x tensor.Shape) (f lent[T], err error) {
	if m.rank == 0 {
		return f, nil
	}
	n := x.TotalSize() / x[m.channels] // positions
	samples := x[0]
	if m.channels == 0 {
		samples = x[1]
	}
	lengths := m.rank == 1 && len(x) > 2
	want := n
	if lengths {
		want = samples
	}
	if len(mask) != want {
		return f, fault.New(fault.ErrValue, op, "the mask has %d elements, want %d for x %v", len(mask), want, x)
	}
	f.scratch = kernel.Borrow[T](n)
	f.data = f.scratch.Data
	if lengths {
		last := len(x) - 1
		if m.channels == last {
			last--
		}
		err = fromLengths(op, f.data, mask, x[last])
	} else {
		err = fromFlags(op, f.data, mask, samples)
	}
	if err != nil {
		f.release()
	}
	return f, err
}

// fromLengths sets flags from lengths: in each row of n flags, the first as many as the
// sample is long.
func fromLengths[T dense.Float](op string, dst, lengths []T, n int) error {
	clear(dst)
	per := len(dst) / len(lengths)
	for i, l := range lengths {
		k := int(l)
		if !(l >= 0) || l != T(k) || k > n { // float32 may round n up
			return fault.New(fault.ErrValue, op, "the length of sample %d is %v, want a whole number from 0 to %d", i, l, n)
		}
		for row := i * per; row < (i+1)*per; row += n {
			for j := range dst[row:][:k] {
				dst[row+j] = 1
			}
		}
	}
	return nil
}

func fromFlags[T dense.Float](op string, dst, mask []T, samples int) error {
	per := len(mask) / samples
	for i, v := range mask {
		if v != 0 && v != 1 {
			return fault.New(fault.ErrValue, op, "the mask of sample %d has %v, want 0 or 1", i/per, v)
		}
		dst[i] = v
	}
	return nil
}
