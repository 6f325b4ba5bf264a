package ops

import (
	"fmt"

	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/ops/internal/kernel"
	"gorgonia.org/tensor"
)

// axisView returns the sizes of a tensor before an axis, of the axis, and after it.
func axisView(shape tensor.Shape, axis int) kernel.View {
	return kernel.View{
		Outer:    shape[:axis].TotalSize(),
		Channels: shape[axis],
		Inner:    shape[axis+1:].TotalSize(),
	}
}

// axisLabel returns an axis, or WholeTensor, as an attribute of an op.
func axisLabel(axis int) string {
	if axis == WholeTensor {
		return "whole tensor"
	}
	return fmt.Sprintf("axis=%d", axis)
}

// channelAxis says where the channels of x are.
type channelAxis struct{ rank, axis, channels int }

// view returns the sizes of a value of x before the channels, of the channels, and after
// them.
func (c channelAxis) view(op string, x tensor.Shape) (kernel.View, error) {
	if len(x) != c.rank || x[c.axis] != c.channels {
		return kernel.View{}, fault.New(fault.ErrValue, op, "x is %v, want %s of rank %d", x, fault.WithChannels(c.channels, c.axis), c.rank)
	}
	return axisView(x, c.axis), nil
}
