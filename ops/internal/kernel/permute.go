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

// Permuted is row-major data of a shape whose axes are put into another order.
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
	split(p.Shape[p.Order[0]], workInGo(len(src)), permuting[T]{p, dst, src, scatter})
}

// permuting is a move of data. A task moves what has one index in the first axis of the
// other order.
type permuting[T Float] struct {
	Permuted[T]
	dst, src []T
	scatter  bool
}

func (a *permuting[T]) run(first, last int) {
	size := len(a.src) / a.Shape[a.Order[0]]
	for i := first; i < last; i++ {
		a.part(1, i*a.stride(a.Order[0]), i*size)
	}
}

// stride is the distance of two elements along an axis, in the order of the shape.
func (p Permuted[T]) stride(axis int) int {
	stride := 1
	for _, n := range p.Shape[axis+1:] {
		stride *= n
	}
	return stride
}

// part moves the data that has a fixed index in each of the axes Order[:k]. It begins at
// at in the order of the shape and at permuted in the other order; part returns its end in
// the latter.
func (a *permuting[T]) part(k, at, permuted int) int {
	axis := a.Order[k]
	stride := a.stride(axis)
	for range a.Shape[axis] {
		switch {
		case k+1 < len(a.Order):
			permuted = a.part(k+1, at, permuted)
		case a.scatter:
			a.dst[at] = a.src[permuted]
			permuted++
		default:
			a.dst[permuted] = a.src[at]
			permuted++
		}
		at += stride
	}
	return permuted
}
