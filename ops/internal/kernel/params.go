package kernel

import "sync/atomic"

// ones returns p, or n ones where p is nil. They are shared: read only.
func ones[T Float](p []T, n int) []T {
	if p != nil {
		return p
	}
	return pick[T](&ones32, &ones64).first(n)
}

// zeros returns p, or n zeros where p is nil. They are shared: read only.
func zeros[T Float](p []T, n int) []T {
	if p != nil {
		return p
	}
	return pick[T](&zeros32, &zeros64).first(n)
}

var (
	ones32, zeros32 = constant[float32]{value: 1}, constant[float32]{}
	ones64, zeros64 = constant[float64]{value: 1}, constant[float64]{}
)

// pick returns the one of the two that is of type T.
func pick[T Float](c32 *constant[float32], c64 *constant[float64]) *constant[T] {
	if c, ok := any(c32).(*constant[T]); ok {
		return c
	}
	return any(c64).(*constant[T])
}

// constant is a slice of equal values that grows when a longer one is needed.
type constant[T Float] struct {
	value T
	data  atomic.Pointer[[]T]
}

func (c *constant[T]) first(n int) []T {
	if d := c.data.Load(); d != nil && len(*d) >= n {
		return (*d)[:n]
	}
	d := make([]T, n)
	for i := range d {
		d[i] = c.value
	}
	c.data.Store(&d)
	return d
}

// Accumulate sets a += b.
func Accumulate[T Float](a, b []T) {
	b = b[:len(a)]
	for i := range a {
		a[i] += b[i]
	}
}

// OnePlus sets dst = 1 + x.
func OnePlus[T Float](dst, x []T) {
	dst = dst[:len(x)]
	for i, v := range x {
		dst[i] = 1 + v
	}
}

// store rounds v into dst, unless dst is nil.
func store[T Float](dst []T, v []float64) {
	if dst != nil {
		storeTimes(dst, v, 1)
	}
}

// storeTimesGo sets dst to v times a factor, rounded.
func storeTimesGo[T Float](dst []T, v []float64, factor float64) {
	dst = dst[:len(v)]
	for i, x := range v {
		dst[i] = T(x * factor)
	}
}

// sumGrads sets dγ and dβ, of which either may be nil, to what tasks have added up. Each
// task has a part of stride elements, with dγ at its beginning and dβ n elements later.
func sumGrads[T Float](dgamma, dbeta []T, parts []float64, n, stride int) {
	if dgamma != nil {
		sumParts(dgamma, parts, stride)
	}
	if dbeta != nil {
		sumParts(dbeta, parts[n:], stride)
	}
}
