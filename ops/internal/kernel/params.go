package kernel

import "sync/atomic"

// ones returns p, or n ones where p is nil. They are shared: read only.
func ones[T Float](p []T, n int) []T {
	if p != nil {
		return p
	}
	if any(T(0)) == any(float32(0)) {
		return any(ones32.first(n)).([]T)
	}
	return any(ones64.first(n)).([]T)
}

// zeros returns p, or n zeros where p is nil. They are shared: read only.
func zeros[T Float](p []T, n int) []T {
	if p != nil {
		return p
	}
	if any(T(0)) == any(float32(0)) {
		return any(zeros32.first(n)).([]T)
	}
	return any(zeros64.first(n)).([]T)
}

var (
	ones32, zeros32 = constant[float32]{value: 1}, constant[float32]{}
	ones64, zeros64 = constant[float64]{value: 1}, constant[float64]{}
)

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

// accumulate sets a += b.
func accumulate(a, b []float64) {
	b = b[:len(a)]
	for i := range a {
		a[i] += b[i]
	}
}

// store rounds v into dst, unless dst is nil.
func store[T Float](dst []T, v []float64) {
	if dst == nil {
		return
	}
	for i, x := range v {
		dst[i] = T(x)
	}
}
