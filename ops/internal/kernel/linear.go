package kernel

// ScaleColumns sets y = x·scale + shift for each row of a matrix, with one
// scale and one shift for each column. scale and shift may be nil, for 1 and 0.
// y may be x.
func ScaleColumns[T Float](y, x []T, rows, cols int, scale []float64, shift []T) {
	k := borrowConstants[T](2, cols)
	defer k.release()
	copy(k.of(0), ones(scale, cols))
	for j, b := range zeros(shift, cols) {
		k.of(1)[j] = float64(b)
	}
	k.round()
	mapPass[T]{loop: scaledPass, out: y, x: x, k: k}.over(View{rows, cols, 1})
}

// ColumnSums sets s[j] to the sum of column j of a matrix.
func ColumnSums[T Float](s, x []T, rows, cols int) {
	t := sumPass[T]{loop: plainSums, x: x}.over(View{rows, cols, 1})
	defer t.release()
	store(s, t.of(0)[:cols])
}
