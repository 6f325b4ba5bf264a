package kernel

// ScaleColumns sets y = x·scale + shift for each row of a matrix, with one
// scale and one shift for each column. scale and shift may be nil, for 1 and 0.
// y may be x.
func ScaleColumns[T Float](y, x []T, rows, cols int, scale []float64, shift []T) {
	k := Borrow[float64](cols)
	defer k.Release()
	for j, b := range zeros(shift, cols) {
		k.Data[j] = float64(b)
	}
	v := View{rows, cols, 1}
	split(v.lineup().tasks(), v.Len(), scaled[T]{y, x, v, ones(scale, cols), k.Data})
}

// ColumnSums sets s[j] to the sum of column j of a matrix. It goes row by row, in
// the order of memory: the sums of all columns fit the first-level cache.
func ColumnSums[T Float](s, x []T, rows, cols int) {
	k := Borrow[float64](cols)
	defer k.Release()
	clear(k.Data)
	for r := 0; r < rows; r++ {
		columnSums(k.Data, x, block{off: r * cols, count: 1, length: cols})
	}
	store(s, k.Data)
}
