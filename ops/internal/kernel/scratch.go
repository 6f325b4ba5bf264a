package kernel

import (
	"reflect"
	"sync"
)

// Scratch is pooled memory.
type Scratch[T any] struct {
	Data []T // what was asked for
	all  []T
	pool *sync.Pool // where it belongs
}

// Borrow returns scratch with n elements of any content. Give it back with
// Release.
func Borrow[T any](n int) *Scratch[T] {
	pool := scratchPool[T]()
	s := pool.Get().(*Scratch[T])
	s.pool = pool
	if len(s.all) < n {
		s.all = make([]T, n)
	}
	s.Data = s.all[:n:n]
	return s
}

// Release gives the scratch back.
func (s *Scratch[T]) Release() { s.pool.Put(s) }

// append adds an element, for scratch whose length is not known before.
func (s *Scratch[T]) append(v T) {
	s.Data = append(s.Data, v)
	s.all = s.Data[:cap(s.Data)]
}

// part returns piece i of n elements.
func (s *Scratch[T]) part(i, n int) []T { return s.Data[i*n : (i+1)*n : (i+1)*n] }

// scratchPool returns the pool of scratch. For numbers it need not be looked up.
func scratchPool[T any]() *sync.Pool {
	switch any((*T)(nil)).(type) {
	case *float32:
		return scratch32
	case *float64:
		return scratch64
	}
	return poolOf[Scratch[T]]()
}

var scratch32, scratch64 = poolOf[Scratch[float32]](), poolOf[Scratch[float64]]()

// pools holds a sync.Pool for each type that needs one.
var pools sync.Map // of reflect.Type to *sync.Pool

func poolOf[P any]() *sync.Pool {
	key := reflect.TypeFor[P]()
	if p, ok := pools.Load(key); ok {
		return p.(*sync.Pool)
	}
	p, _ := pools.LoadOrStore(key, &sync.Pool{New: func() any { return new(P) }})
	return p.(*sync.Pool)
}
