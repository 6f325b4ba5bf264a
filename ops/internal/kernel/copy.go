package kernel

// Copy copies src to dst.
func Copy[T Float](dst, src []T) {
	split(ceilDiv(len(src), taskLen), work[T](2, len(src)), copying[T]{dst, src})
}

type copying[T Float] struct{ dst, src []T }

func (a *copying[T]) run(first, last int) {
	from, to := first*taskLen, min(last*taskLen, len(a.src))
	copy(a.dst[from:to], a.src[from:to])
}

// Permuted is row-major data of a shape whose axes, two or more, are put into another
// order.
type Permuted[T Float] struct{ Shape, Order []int }

// Gather returns a copy in the other order.
func (p Permuted[T]) Gather(src []T) *Scratch[T] {
	s := Borrow[T](len(src))
	p.move(s.Data, src, false)
	return s
}

// Scatter copies from the other order.
func (p Permuted[T]) Scatter(dst, src []T) { p.move(dst, src, true) }

func (p Permuted[T]) move(dst, src []T, scatter bool) {
	axes := Borrow[permutedAxis](len(p.Order))
	defer axes.Release()
	for k, axis := range p.Order {
		stride := 1
		for _, n := range p.Shape[axis+1:] {
			stride *= n
		}
		axes.Data[k] = permutedAxis{p.Shape[axis], stride}
	}
	split(axes.Data[0].size, workInGo(len(src)), permuting[T]{axes.Data, dst, src, scatter})
}

// permutedAxis has the distance of its elements in the order of the shape.
type permutedAxis struct{ size, stride int }

// permuting is a move of data. A task moves what has one index in the first axis of the
// other order.
type permuting[T Float] struct {
	axes     []permutedAxis // in the other order
	dst, src []T
	scatter  bool
}

func (a *permuting[T]) run(first, last int) {
	size := len(a.src) / a.axes[0].size
	for i := first; i < last; i++ {
		a.part(a.axes[1:], i*a.axes[0].stride, i*size)
	}
}

// part moves data that has a fixed index in each axis but these. It begins at at in the
// order of the shape and at permuted in the other order; part returns its end in the
// latter.
func (a *permuting[T]) part(axes []permutedAxis, at, permuted int) int {
	for range axes[0].size {
		switch {
		case len(axes) > 1:
			permuted = a.part(axes[1:], at, permuted)
		case a.scatter:
			a.dst[at] = a.src[permuted]
			permuted++
		default:
			a.dst[permuted] = a.src[at]
			permuted++
		}
		at += axes[0].stride
	}
	return permuted
}
