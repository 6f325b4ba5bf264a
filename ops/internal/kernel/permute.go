package kernel

// Permuted is row-major data of a shape whose axes are put into another order.
type Permuted[T Float] struct{ Shape, Order []int }

// Gather returns a copy in the other order.
func (p Permuted[T]) Gather(src []T) *Scratch[T] {
	s := Borrow[T](len(src))
	p.move(s.Data, src, false, 0, 0, 0)
	return s
}

// Scatter copies from the other order.
func (p Permuted[T]) Scatter(dst, src []T) { p.move(dst, src, true, 0, 0, 0) }

// move copies the part of the data that has a fixed index in each of the axes Order[:k].
// It begins at at in the order of the shape and at permuted in the other order; move
// returns its end in the latter.
func (p Permuted[T]) move(dst, src []T, scatter bool, k, at, permuted int) int {
	axis, stride := p.Order[k], 1
	for _, n := range p.Shape[axis+1:] {
		stride *= n
	}
	for i := range p.Shape[axis] {
		switch {
		case k+1 < len(p.Order):
			permuted = p.move(dst, src, scatter, k+1, at+i*stride, permuted)
			continue
		case scatter:
			dst[at+i*stride] = src[permuted]
		default:
			dst[permuted] = src[at+i*stride]
		}
		permuted++
	}
	return permuted
}
