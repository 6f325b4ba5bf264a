//go:build amd64 && !purego && !noasm

package kernel

import "unsafe"

// rowConstants are the constants of the kernels over rows, in the order of the
// assembly: see _asm/rows.go.
type rowConstants [8]float64

// headVectors is from how many vectors the mean of a row is guessed, if it has them: see
// _asm/rows_stats.go.
const headVectors = 4

// shortRow and longRow are numbers of bytes that a pass reads of a row. Up to shortRow
// it takes eight rows together; beyond it eight gain nothing over four. Beyond longRow it
// takes them one by one, as L1 does not keep four from the statistics to the result.
const (
	shortRow = 1 << 10
	longRow  = 8 << 10
)

// groupOf is how many rows the forward pass takes together.
func groupOf[T Float](p Rows) int { return rowsOfGroup(sizeOf[T]() * p.Cols) }

// gradGroupOf is groupOf for the gradient, which reads x and dy. It takes long rows together
// too, as they share γ and the sums for dγ and dβ.
func gradGroupOf[T Float](p Rows) int { return max(4, rowsOfGroup(2*sizeOf[T]()*p.Cols)) }

// rowsOfGroup is how many rows a pass that reads so many bytes of a row takes together:
// 8 at most, see _asm/rows.go.
func rowsOfGroup(bytes int) int {
	switch {
	case bytes <= shortRow:
		return 8
	case bytes <= longRow:
		return 4
	default:
		return 1
	}
}

// rowConstantsOf returns the constants of a call in float32 arithmetic (single) or
// float64, and the length of the head.
func rowConstantsOf[T Float](p Rows, single bool) (c rowConstants, head int) {
	lanes := 4
	if isa == avx512 {
		lanes *= 2
	}
	if single {
		lanes *= 2
	}
	if head = headVectors * lanes; p.Cols < head {
		head = min(p.Cols, lanes)
	}
	n, dof := float64(p.Cols), float64(p.Cols)
	var underRoot, besideRoot float64 = p.Eps, 0
	if p.UnbiasedStd {
		dof, underRoot, besideRoot = n-1, 0, p.Eps
	}
	// Smaller squares, or products with the gradient, are lost below the range, or lose
	// digits.
	least, leastGrad, mostGrad := 0x1p-960, 0x1p-480, 0x1p960
	if single {
		least, leastGrad, mostGrad = 0x1p-100, 0x1p-60, 0x1p100
	}
	if underRoot >= negligible {
		least = 0 // such squares are negligible beside eps
	}
	perHead, perRow := 1/float64(head), 1/n
	if p.Uncentred {
		perHead, perRow = 0, 0 // makes the guess of the mean, the mean, and that of u 0
	}
	return rowConstants{perHead, perRow, 1 / dof, underRoot, besideRoot, n * least, leastGrad, mostGrad}, head
}

// largestEps is the eps up to which rows of float32 are done in the assembly. Beside a
// larger one all values but the results may lie below the range of float32.
const largestEps = 0x1p40

// byDefinition says whether rows are left to the definitions altogether.
func byDefinition[T Float](p Rows) bool { return isa == generic || is32[T]() && p.Eps > largestEps }

// streamed is 1 if a pass over rows that moves so many arrays of all elements writes past
// the caches, and else 0.
func streamed[T Float](arrays int, out []T, all int, p Rows) int {
	size := sizeOf[T]()
	if pastCaches(arrays, all, out) && p.Cols*size%64 == 0 && p.apart()*size%64 == 0 {
		return 1
	}
	return 0
}

// layerNormRows normalizes rows. all is the number of elements of the whole array.
func layerNormRows[T Float](y, x, gamma, beta []T, p Rows, all int) {
	if len(x) == 0 || byDefinition[T](p) {
		layerNormRowsGo(y, x, gamma, beta, p)
		return
	}
	c, head := rowConstantsOf[T](p, is32[T]())
	group := groupOf[T](p)
	_, gamma, beta = y[len(x)-1], gamma[:p.Cols], beta[:p.Cols]
	stream := streamed(2, y, all, p)
	for first, rows := 0, p.in(len(x)); first < rows; {
		from, _ := p.row(first)
		left, bad := layerNormGroups(y[from:], x[from:], gamma, beta, &c, rows-first, p, head, group, stream)
		for k := range group {
			if bad>>k&1 != 0 {
				from, to := p.row(first + lastGroup(rows-left-first, group) + k)
				layerNormRowGo(y[from:to], x[from:to], gamma, beta, p)
			}
		}
		first = rows - left
	}
}

// layerNormGroups normalizes rows in the assembly, group by group. It stops after a group
// of which it leaves rows out: bad has a bit for each of them, and left is how many rows
// follow the group.
func layerNormGroups[T Float](y, x, gamma, beta []T, c *rowConstants, rows int, p Rows, head, group, stream int) (left, bad int) {
	n, pitch := p.Cols, p.apart()*sizeOf[T]()
	switch {
	case isa == avx2 && is32[T]():
		return layerNormRowsF32AVX2(f32(y), f32(x), f32(gamma), f32(beta), &c[0], rows, n, pitch, head, group, stream)
	case isa == avx2:
		return layerNormRowsF64AVX2(f64(y), f64(x), f64(gamma), f64(beta), &c[0], rows, n, pitch, head, group, stream)
	case is32[T]():
		return layerNormRowsF32AVX512(f32(y), f32(x), f32(gamma), f32(beta), &c[0], rows, n, pitch, head, group, stream)
	default:
		return layerNormRowsF64AVX512(f64(y), f64(x), f64(gamma), f64(beta), &c[0], rows, n, pitch, head, group, stream)
	}
}

// lastGroup is where the last of the groups of some rows begins.
func lastGroup(rows, group int) int { return (rows - 1) / group * group }

// rowsOfChain is how many rows the assembly adds up in the type of the data before the
// sums are carried on in float64.
const rowsOfChain = 16

// layerNormGradRows gives dx of rows and adds to the sums for dγ and dβ, if there are any. all
// is the number of elements of the whole array.
func layerNormGradRows[T Float](dx []T, grads rowSums, x, gamma, dy []T, p Rows, all int) {
	if byDefinition[T](p) {
		layerNormGradRowsGo(dx, grads.sums, x, gamma, dy, p)
		return
	}
	k := gradKernel[T]{dx: dx, x: x, gamma: gamma[:p.Cols], dy: dy[:len(x)], stream: streamed(3, dx, all, p)}
	k.c, k.head = rowConstantsOf[T](p, is32[T]())
	k.group = gradGroupOf[T](p)
	_ = dx[:len(x)]
	rows := p.in(len(x))
	if grads.sums == nil {
		k.rows(0, rows, nil, p)
		return
	}
	short := unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(grads.short))), len(grads.short))
	clear(short)
	k.dgamma, k.dbeta = short[:len(short)/2], short[len(short)/2:]
	for r := 0; r < rows; r += rowsOfChain {
		k.rows(r, min(r+rowsOfChain, rows), grads.sums, p)
		carryRows(grads.sums, short)
	}
}

// gradKernel are the arguments of the assembly.
type gradKernel[T Float] struct {
	dx, dgamma, dbeta, x, gamma, dy []T
	c                               rowConstants
	head, group, stream             int
}

// rows does the rows [from, to). Those that the assembly leaves out are done in float64
// arithmetic.
func (k *gradKernel[T]) rows(from, to int, grads []float64, p Rows) {
	for from < to {
		left, bad, again := k.groups(from, to-from, p)
		first := from + lastGroup(to-left-from, k.group)
		n := to - left - first
		for r := 0; bad|again != 0 && r < n; r++ {
			switch {
			case again == 1<<n-1:
				k.inDouble(first, n, nil, p)
				again = 0
			case bad>>r&1 != 0:
				k.inDouble(first+r, 1, grads, p)
			case again>>r&1 != 0:
				k.inDouble(first+r, 1, nil, p)
			}
		}
		from = to - left
	}
}

// inDouble does rows in float64 arithmetic.
func (k *gradKernel[T]) inDouble(from, rows int, grads []float64, p Rows) {
	to, pitch := from+rows, p.apart()*sizeOf[T]()
	for from < to && is32[T]() {
		var dgamma, dbeta *float64
		if len(grads) != 0 {
			dgamma, dbeta = &grads[0], &grads[len(grads)/2]
		}
		c, head := rowConstantsOf[T](p, false)
		at, _ := p.row(from)
		dx, x, dy := k.dx[at:], k.x[at:], k.dy[at:]
		var left, bad int
		if isa == avx2 {
			left, bad, _ = layerNormGradRowsInDoubleAVX2(f32(dx), dgamma, dbeta, f32(x), f32(k.gamma), f32(dy), &c[0], to-from, p.Cols, pitch, head, k.group, 0)
		} else {
			left, bad, _ = layerNormGradRowsInDoubleAVX512(f32(dx), dgamma, dbeta, f32(x), f32(k.gamma), f32(dy), &c[0], to-from, p.Cols, pitch, head, k.group, 0)
		}
		first := from + lastGroup(to-left-from, k.group)
		for r := range k.group {
			if bad>>r&1 != 0 {
				k.inGo(first+r, grads, p)
			}
		}
		from = to - left
	}
	for ; from < to; from++ {
		k.inGo(from, grads, p)
	}
}

func (k *gradKernel[T]) inGo(row int, grads []float64, p Rows) {
	a, b := p.row(row)
	layerNormGradRowGo(k.dx[a:b], grads, k.x[a:b], k.gamma, k.dy[a:b], p)
}

// groups does groups of rows. It stops after a group of which it leaves rows out: bad has a
// bit for each of them, again for each that only lacks dx, and left is how many rows follow.
func (k *gradKernel[T]) groups(from, rows int, p Rows) (left, bad, again int) {
	at, _ := p.row(from)
	dx, x, dy := k.dx[at:], k.x[at:], k.dy[at:]
	n, pitch := p.Cols, p.apart()*sizeOf[T]()
	switch {
	case isa == avx2 && is32[T]():
		return layerNormGradRowsF32AVX2(f32(dx), f32(k.dgamma), f32(k.dbeta), f32(x), f32(k.gamma), f32(dy), &k.c[0], rows, n, pitch, k.head, k.group, k.stream)
	case isa == avx2:
		return layerNormGradRowsF64AVX2(f64(dx), f64(k.dgamma), f64(k.dbeta), f64(x), f64(k.gamma), f64(dy), &k.c[0], rows, n, pitch, k.head, k.group, k.stream)
	case is32[T]():
		return layerNormGradRowsF32AVX512(f32(dx), f32(k.dgamma), f32(k.dbeta), f32(x), f32(k.gamma), f32(dy), &k.c[0], rows, n, pitch, k.head, k.group, k.stream)
	default:
		return layerNormGradRowsF64AVX512(f64(dx), f64(k.dgamma), f64(k.dbeta), f64(x), f64(k.gamma), f64(dy), &k.c[0], rows, n, pitch, k.head, k.group, k.stream)
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

// sumParts sets out to the sums of the columns of parts, a matrix whose rows have stride
// elements.
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
