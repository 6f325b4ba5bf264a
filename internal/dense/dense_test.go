package dense

import (
	"runtime"
	"testing"
	"unsafe"

	"github.com/gorgonorm/norm/internal/fault"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestNew(t *testing.T) {
	requireNew(t, []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
	requireNew(t, []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
}

// requireNew requires New to return the same as tensor.New.
func requireNew[T Float](t *testing.T, data []T) {
	for _, shape := range []tensor.Shape{{12}, {1, 12}, {12, 1}, {3, 4}, {1, 3, 1, 4}, {2, 1, 3, 2, 1, 1}} {
		want := tensor.New(tensor.WithShape(shape.Clone()...), tensor.WithBacking(data))
		got := New(shape, data)
		require.Equal(t, want, got)
		require.Equal(t, data, got.Data())
		require.Same(t, &data[0], &got.Data().([]T)[0])
	}
}

// Shape and strides belong to the tensor, whatever Gorgonia does to them.
func TestNewOwnsItsShape(t *testing.T) {
	shape := tensor.Shape{2, 3}
	a, b := New(shape, make([]float64, 6)), New(shape, make([]float64, 6))
	require.NoError(t, a.Reshape(3, 2))
	tensor.ReturnTensor(a)
	require.Equal(t, tensor.Shape{2, 3}, shape)
	require.Equal(t, tensor.Shape{2, 3}, b.Shape())
	require.Equal(t, []int{3, 1}, b.Strides())
	require.Equal(t, tensor.Float64, New(shape, make([]float64, 6)).Dtype())
}

// The memory lives as long as the tensor.
func TestNewKeepsItsMemory(t *testing.T) {
	d := New(tensor.Shape{1 << 16}, make([]float64, 1<<16))
	d.Set(7, 3.0)
	for range 3 {
		runtime.GC()
		New(tensor.Shape{1 << 16}, make([]float64, 1<<16))
	}
	require.Equal(t, 3.0, must(d.At(7)))
}

func must(v any, err error) any {
	if err != nil {
		panic(err)
	}
	return v
}

// Uninitialized memory is not shared, is completely there, and is aligned, also around
// the size above which it is allocated in another way.
func TestUninitialized(t *testing.T) {
	requireUninitialized[float32](t)
	requireUninitialized[float64](t)
}

func requireUninitialized[T Float](t *testing.T) {
	for _, n := range []int{0, 1, 7, clearedBelow/8 - 1, clearedBelow / 8, clearedBelow/4 - 1, clearedBelow / 4, 100_003} {
		a, b := Uninitialized[T](n), Uninitialized[T](n)
		require.Len(t, a, n)
		require.Equal(t, n, cap(a))
		for i := range a {
			a[i], b[i] = T(i), -T(i)
		}
		runtime.GC() // the slice alone keeps the memory
		for i := range a {
			if a[i] != T(i) || b[i] != -T(i) {
				t.Fatalf("%d: element %d is %v and %v", n, i, a[i], b[i])
			}
		}
		if n > 0 {
			require.Zero(t, uintptr(unsafe.Pointer(&a[0]))%unsafe.Sizeof(a[0]))
		}
	}
}

// Walk visits the elements of the tensor or of its transpose, and does not change its
// shape and strides.
func TestWalk(t *testing.T) {
	d := New(tensor.Shape{2, 3}, []float64{0, 1, 2, 3, 4, 5})
	for range 2 {
		for transposed, want := range map[bool][]float64{false: {0, 1, 2, 3, 4, 5}, true: {0, 3, 1, 4, 2, 5}} {
			var got []float64
			Walk(d, transposed, func(v *float64) { got = append(got, *v) })
			require.Equal(t, want, got)
		}
	}
	require.Equal(t, tensor.Shape{2, 3}, d.Shape())
	require.Equal(t, []int{3, 1}, d.Strides())
}

// Whatever the ops cannot take is an error.
func TestCheck(t *testing.T) {
	masked := tensor.New(tensor.WithShape(1), tensor.WithBacking([]float64{1}, []bool{true}))
	number := G.F64(1)
	for want, v := range map[string]G.Value{
		"x has no value, want a tensor":              nil,
		"x holds *gorgonia.F64, want a dense tensor": &number,
		"x holds float32, want float64":              tensor.New(tensor.WithShape(1), tensor.Of(tensor.Float32)),
		"x is (0, 2), want no empty axis":            tensor.New(tensor.WithShape(0, 2), tensor.Of(tensor.Float64)),
		"x is masked, want a tensor without mask":    masked,
		"x is a scalar, want a tensor":               tensor.New(tensor.FromScalar(1.0)),
	} {
		_, err := Check[float64]("op", "x", v)
		require.EqualError(t, err, "norm: op: "+want)
		require.ErrorIs(t, err, fault.ErrValue)
	}
	_, err := Check[float64]("op", "x", (*tensor.Dense)(nil))
	require.EqualError(t, err, "norm: op: x has no value, want a tensor")
}

// The stride of an axis of size 1 does not matter, and any other does.
func TestRowMajor(t *testing.T) {
	d := New(tensor.Shape{1, 3, 2}, make([]float64, 6))
	require.NoError(t, d.T(1, 0, 2))
	require.Equal(t, []int{2, 6, 1}, d.Strides())
	require.True(t, RowMajor(d))
	d = New(tensor.Shape{2, 3}, make([]float64, 6))
	require.NoError(t, d.T())
	require.False(t, RowMajor(d))
}

// There are more axes than the usual ones.
func TestWalkOfManyAxes(t *testing.T) {
	shape := tensor.Shape{2, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2}
	for axes := range len(shape) { // the last of them
		s := shape[axes:]
		want := make([]float64, s.TotalSize())
		for i := range want {
			want[i] = float64(i)
		}
		var got []float64
		Walk(New(s, want), false, func(v *float64) { got = append(got, *v) })
		require.Equal(t, want, got)
	}
}
