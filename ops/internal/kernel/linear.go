package kernel

// ScaleColumns sets y = x·scale + shift for each row of a matrix, with one
// scale and one shift for each column. shift may be nil. y may be x.
func ScaleColumns[T Float](y, x []T, rows, cols int, scale []float64, shift []T) {
	k := Borrow[float64](cols)
	defer k.Release()
	for j, b := range zeros(shift, cols) {
		k.Data[j] = float64(b)
	}
	v := View{rows, cols, 1}
	split(v.lineup().tasks(), v.Len(), scaled[T]{y, x, v, scale, k.Data})
}

// AddToRows adds b to each row of a matrix, or nothing if it is nil.
func AddToRows[T Float](y []T, rows, cols int, b []T) {
	if b == nil {
		return
	}
	for r := range rows {
		row := y[r*cols:][:len(b)]
		for j, v := range b {
			row[j] += v
		}
	}
}

// ColumnSums sets s[j] to the sum of column j of a matrix.
func ColumnSums[T Float](s, x []T, rows, cols int) {
	k := Borrow[float64](cols)
	defer k.Release()
	clear(k.Data)
	for r := 0; r < rows; r++ {
		columnSums(k.Data, x, block{off: r * cols, count: 1, length: cols})
	}
	store(s, k.Data)
}
