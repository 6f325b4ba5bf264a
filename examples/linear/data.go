package main

import (
	"math/rand/v2"

	"gorgonia.org/tensor"
)

// price is what batchNorm has to find out: square metres, rooms
// and metres to the station make a price.
func price(area, rooms, distance float32) float32 {
	return 0.03*area + 0.2*rooms - 0.0001*distance
}

// flats draws n flats: their features (n, 3) and their prices (n, 1).
func flats(n int) (features, prices *tensor.Dense) {
	rng := rand.New(rand.NewPCG(1, 2))
	x, y := make([]float32, 0, 3*n), make([]float32, 0, n)
	for range n {
		area, rooms, distance := 30+120*rng.Float32(), 1+float32(rng.IntN(5)), 5000*rng.Float32()
		x = append(x, area, rooms, distance)
		y = append(y, price(area, rooms, distance))
	}
	return matrix(x, n), matrix(y, n)
}

// slopes draws n rising or falling rows (n, 4) of very different sizes, and
// their directions (n, 1), 1 or −1.
func slopes(n int) (rows, directions *tensor.Dense) {
	rng := rand.New(rand.NewPCG(3, 4))
	x, y := make([]float32, 0, 4*n), make([]float32, 0, n)
	for i := range n {
		direction := float32(1 - 2*(i%2))
		size, offset := 1+1000*rng.Float32(), 1000*rng.Float32()
		for j := range 4 {
			x = append(x, offset+direction*size*(float32(j)+0.3*rng.Float32()))
		}
		y = append(y, direction)
	}
	return matrix(x, n), matrix(y, n)
}

// plane draws n points (n, 2) and the heights of a plane above them (n, 1).
func plane(n int) (points, heights *tensor.Dense) {
	rng := rand.New(rand.NewPCG(5, 6))
	x, y := make([]float32, 0, 2*n), make([]float32, 0, n)
	for range n {
		a, b := float32(rng.NormFloat64()), float32(rng.NormFloat64())
		x = append(x, a, b)
		y = append(y, 3*a-2*b+0.5)
	}
	return matrix(x, n), matrix(y, n)
}

func matrix(data []float32, rows int) *tensor.Dense {
	return tensor.New(tensor.WithShape(rows, len(data)/rows), tensor.WithBacking(data))
}
