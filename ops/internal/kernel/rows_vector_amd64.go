//go:build amd64 && !purego && !noasm

package kernel

import "unsafe"

// rowConstants are the constants of the kernels over rows, in the order of the
// assembly: see _asm/rows.go.
type rowConstants [8]float64

// headLen is from how many elements the mean of a row is guessed.
const headLen = 64

// longRow is the number of bytes from which rows are taken one by one, and not four
// together: the first-level cache keeps no four of them, from the statistics to the
// result.
const longRow = 8 << 10

// constants returns the constants of a call, the length of the head, and the number of
// rows in a group.
func rowConstantsOf[T Float](p Rows) (c rowConstants, head, group int) {
	head, group = min(p.Cols, headLen), 4
	n, dof := float64(p.Cols), float64(p.Cols)
	var underRoot, besideRoot float64 = p.Eps, 0
	if p.UnbiasedStd {
		dof, underRoot, besideRoot = n-1, 0, p.Eps
	}
	// Squares, or products with the gradient, that are smaller are lost below the
	// range, or lose digits.
	least, leastGrad, mostGrad := 0x1p-960, 0x1p-480, 0x1p960
	if is32[T]() {
		least, leastGrad, mostGrad = 0x1p-100, 0x1p-60, 0x1p100
	}
	if underRoot > 0x1p-64 {
		least = 0 // whatever they are, they are nothing beside eps
	}
	if int(unsafe.Sizeof(T(0)))*p.Cols > longRow {
		group = 1
	}
	return rowConstants{1 / float64(head), 1 / n, 1 / dof, underRoot, besideRoot, n * least, leastGrad, mostGrad}, head, group
}

// streamed says whether rows are written past the caches: where whole arrays are
// larger, and rows are whole vectors.
func streamed[T Float](out []T, all int, p Rows) int {
	size := int(unsafe.Sizeof(T(0)))
	if all*size >= streamBytes && p.Cols*size%64 == 0 && uintptr(unsafe.Pointer(unsafe.SliceData(out)))%64 == 0 {
		return 1
	}
	return 0
}

// layerNormRows normalizes rows. all is the number of elements of the whole array.
func layerNormRows[T Float](y, x, gamma, beta []T, p Rows, all int) {
	if len(x) == 0 || isa == generic {
		layerNormRowsGo(y, x, gamma, beta, p)
		return
	}
	c, head, group := rowConstantsOf[T](p)
	n := p.Cols
	rows := len(x) / n
	_, gamma, beta = y[rows*n-1], gamma[:n], beta[:n]
	stream := streamed(y, all, p)
	for rows > 0 {
		left, bad := layerNormGroups(y, x, gamma, beta, &c, rows, n, head, group, stream)
		for k := range group {
			if bad>>k&1 != 0 {
				from, to := p.row(lastGroup(rows-left, group) + k)
				layerNormRowGo(y[from:to], x[from:to], gamma, beta, p)
			}
		}
		done := (rows - left) * n
		y, x, rows = y[done:], x[done:], left
	}
}

// layerNormGroups normalizes rows in the assembly, in groups, until it left some of
// a group out: bad has bits for them.
func layerNormGroups[T Float](y, x, gamma, beta []T, c *rowConstants, rows, n, head, group, stream int) (left, bad int) {
	switch {
	case isa == avx2 && is32[T]():
		return layerNormRowsF32AVX2(f32(y), f32(x), f32(gamma), f32(beta), &c[0], rows, n, head, group, stream)
	case isa == avx2:
		return layerNormRowsF64AVX2(f64(y), f64(x), f64(gamma), f64(beta), &c[0], rows, n, head, group, stream)
	case is32[T]():
		return layerNormRowsF32AVX512(f32(y), f32(x), f32(gamma), f32(beta), &c[0], rows, n, head, group, stream)
	default:
		return layerNormRowsF64AVX512(f64(y), f64(x), f64(gamma), f64(beta), &c[0], rows, n, head, group, stream)
	}
}

// lastGroup is where the last of the groups of some rows begins.
func lastGroup(rows, group int) int { return (rows - 1) / group * group }

// shortRows is how many rows the assembly adds up in the type of the data before the
// sums are carried on in float64.
const shortRows = 16

// layerNormGradRows gives dx of rows and adds to grads, which are dgamma and dbeta,
// padded, one behind the other, or nil. all is the number of elements of the whole
// array.
func layerNormGradRows[T Float](dx []T, grads []float64, x, gamma, dy []T, p Rows, all int) {
	if isa == generic {
		layerNormGradRowsGo(dx, grads, x, gamma, dy, p)
		return
	}
	c, head, _ := rowConstantsOf[T](p)
	k := gradKernel[T]{dx: dx, x: x, gamma: gamma[:p.Cols], dy: dy[:len(x)], c: &c, head: head, stream: streamed(dx, all, p)}
	_ = dx[:len(x)]
	if grads == nil {
		k.rows(0, len(x)/p.Cols, nil, p)
		return
	}
	sums := Borrow[T](len(grads))
	defer sums.Release()
	clear(sums.Data)
	k.dgamma, k.dbeta = sums.part(0, padded(p.Cols)), sums.part(1, padded(p.Cols))
	for r := 0; r < len(x)/p.Cols; r += shortRows {
		k.rows(r, min(r+shortRows, len(x)/p.Cols), grads, p)
		carryRows(grads, sums.Data)
	}
}

// gradKernel are the arguments of the assembly.
type gradKernel[T Float] struct {
	dx, dgamma, dbeta, x, gamma, dy []T
	c                               *rowConstants
	head, stream                    int
}

// rows does the rows [from, to), and leaves those to the Go definition that the
// assembly leaves out.
func (k *gradKernel[T]) rows(from, to int, grads []float64, p Rows) {
	const group = 4
	for from < to {
		left, bad, again := k.groups(from, to-from, p.Cols, group)
		first := from + lastGroup(to-left-from, group)
		for r := range group {
			a, b := p.row(first + r)
			switch {
			case bad>>r&1 != 0:
				layerNormGradRowGo(k.dx[a:b], grads, k.x[a:b], k.gamma, k.dy[a:b], p)
			case again>>r&1 != 0:
				layerNormGradRowGo(k.dx[a:b], nil, k.x[a:b], k.gamma, k.dy[a:b], p)
			}
		}
		from = to - left
	}
}

// groups does groups of rows until some of a group are left out: bad has bits for them,
// and again for those that only lack dx.
func (k *gradKernel[T]) groups(from, rows, n, group int) (left, bad, again int) {
	dx, x, dy := k.dx[from*n:], k.x[from*n:], k.dy[from*n:]
	switch {
	case isa == avx2 && is32[T]():
		return layerNormGradRowsF32AVX2(f32(dx), f32(k.dgamma), f32(k.dbeta), f32(x), f32(k.gamma), f32(dy), &k.c[0], rows, n, k.head, group, k.stream)
	case isa == avx2:
		return layerNormGradRowsF64AVX2(f64(dx), f64(k.dgamma), f64(k.dbeta), f64(x), f64(k.gamma), f64(dy), &k.c[0], rows, n, k.head, group, k.stream)
	case is32[T]():
		return layerNormGradRowsF32AVX512(f32(dx), f32(k.dgamma), f32(k.dbeta), f32(x), f32(k.gamma), f32(dy), &k.c[0], rows, n, k.head, group, k.stream)
	default:
		return layerNormGradRowsF64AVX512(f64(dx), f64(k.dgamma), f64(k.dbeta), f64(x), f64(k.gamma), f64(dy), &k.c[0], rows, n, k.head, group, k.stream)
	}
}

// carryRows adds sums to total, and sets them to 0. Both have padded lengths.
func carryRows[T Float](total []float64, sums []T) {
	n := len(total)
	switch {
	case isa == avx2 && is32[T]():
		carryRowsF32AVX2(&total[0], f32(sums), n)
	case isa == avx2:
		carryRowsF64AVX2(&total[0], f64(sums), n)
	case is32[T]():
		carryRowsF32AVX512(&total[0], f32(sums), n)
	default:
		carryRowsF64AVX512(&total[0], f64(sums), n)
	}
}

// sumParts sets out to the sums down the columns of a matrix, of which every row has
// stride elements.
func sumParts[T Float](out []T, parts []float64, stride int) {
	rows, n := ceilDiv(len(parts), stride), len(out)
	_ = parts[(rows-1)*stride+padded(n)-1]
	switch {
	case isa == generic:
		sumPartsGo(out, parts, stride)
	case isa == avx2 && is32[T]():
		sumPartsF32AVX2(f32(out), &parts[0], rows, 8*stride, n)
	case isa == avx2:
		sumPartsF64AVX2(f64(out), &parts[0], rows, 8*stride, n)
	case is32[T]():
		sumPartsF32AVX512(f32(out), &parts[0], rows, 8*stride, n)
	default:
		sumPartsF64AVX512(f64(out), &parts[0], rows, 8*stride, n)
	}
}
