package main

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkStep is a training step of the default model. To see where its time
// goes: go test -run '^$' -bench Step/batch -cpuprofile cpu.prof ./mlp
func BenchmarkStep(b *testing.B) {
	d := &dataset{pixels: 784, images: make([]byte, 100*784), labels: make([]byte, 100)}
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range d.images {
		d.images[i] = byte(rng.UintN(256))
	}
	for _, kind := range normKinds {
		b.Run(kind, func(b *testing.B) {
			net, err := newNetwork(kind, d.pixels, rng)
			if err != nil {
				b.Fatal(err)
			}
			t, err := newTrainer(net, d.pixels, 100)
			if err != nil {
				b.Fatal(err)
			}
			defer t.vm.Close()
			indices := sequence(0, 100)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := t.step(d, indices, 1e-3); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
